"""Text from the data: harmless, isolated, cut."""

from __future__ import annotations

import pytest

from segmentor.report.names import code, cut, name, names, prose


def test_names_are_escaped_and_isolated() -> None:
    """Markup in a name is text, in an element of its own direction."""
    assert name("<b>&\"'") == "<bdi>&lt;b&gt;&amp;&#34;&#39;</bdi>"
    assert prose("<b>") == '<bdi dir="ltr">&lt;b&gt;</bdi>'
    assert code("a < 'b'") == '<code dir="ltr">a &lt; &#39;b&#39;</code>'


def test_names_in_a_row_read_as_a_sentence() -> None:
    """Commas between, and a word before the last."""
    assert names(["a"]) == "<bdi>a</bdi>"
    assert names(["a", "b", "c"]) == "<bdi>a</bdi>, <bdi>b</bdi> and <bdi>c</bdi>"
    assert names([]) == ""


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\r", "\x85", "\u202e", "\u2066", "\ufffe", "\ud800"])
def test_characters_that_hide_or_turn_are_replaced(character: str) -> None:
    """Control characters and changes of direction are seen as what they are: not to be shown."""
    assert cut(f"a{character}b", 10) == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("text", ["香水 🌸", "عطر", "e\u0301", "👩\u200d🔬", "two\nlines"])
def test_writing_of_any_script_is_kept(text: str) -> None:
    """Other scripts, combining characters and joined emoji stay as they are."""
    assert cut(text, 20) == text


def test_long_text_is_cut_to_length() -> None:
    """The cut text has the length asked for, says that it was cut, and keeps its end, in which names that are alike differ."""
    assert cut("x" * 10, 10) == "x" * 10
    assert cut("x" * 1_000_000, 10) == "xxxxx…xxxx"
    assert [cut(f"with a long list of products and size: {size}", 20) for size in ("full", "sample")] == [
        "with a lon…ize: full",
        "with a lon…e: sample",
    ]


def test_a_name_that_is_cut_is_whole_where_one_points_at_it() -> None:
    """The whole name is the title of one that is cut, escaped and harmless too; a short one has none."""
    assert (
        name('"a\x00" and so on', length=8)
        == '<bdi title="&#34;a\N{REPLACEMENT CHARACTER}&#34; and so on">&#34;a\N{REPLACEMENT CHARACTER}&#34;… on</bdi>'
    )
    assert name("short", length=8) == "<bdi>short</bdi>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<= 32.0", "&lt;= 32"),
        ("> 1.3966666666666667", "&gt; 1.3967"),
        ("large / <= 1040.50", "large / &lt;= 1,040.5"),
        ("version 2.0", "version 2.0"),
        ("a<= 2.0", "a&lt;= 2.0"),
    ],
)
def test_bounds_are_written_as_people_write_them(text: str, shown: str) -> None:
    """The number behind the sign of a group that a cut makes has no needless digits; other numbers in names stay."""
    assert name(text) == f"<bdi>{shown}</bdi>"


def test_wide_characters_count_twice_where_room_is_counted() -> None:
    """Chinese text is cut to the room that it takes."""
    assert cut("香水香水香水", 12, wide=True) == "香水香水香水"
    assert cut("香水香水香水香水", 12, wide=True) == "香水香…香水"
