"""Messages: each has its Chinese, and those that a run keeps are told with their values in either language."""

from __future__ import annotations

import pickle
import re
import sys
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from string import Formatter

import pytest

from segmentor.result.codes import REASONS, reason_in_words, too_small
from segmentor.wording import Message, either_of, in_sequence, speaking

sys.path.insert(0, str(Path(__file__).parent))

from messages import COMPILED, Said, compiled, in_catalog, in_code

CATALOG = in_catalog()


def values_of(text: str) -> set[tuple[str, str | None]]:
    """Names of values in a text, with how a number is written."""
    return {(name, form) for _, name, form, _ in Formatter().parse(text) if name is not None}


def test_the_catalog_is_of_the_messages_in_the_code() -> None:
    """Each has an entry, and no entry is left of one that is gone; `python tests/wording/messages.py` brings them together."""
    assert {(message.context, message.id) for message in CATALOG if message.id} == {
        (said.context, said.id) for said in in_code()
    }


def test_the_compiled_catalog_is_that_of_the_translations() -> None:
    """What the package reads says what translators wrote; the same command compiles it."""

    def messages(content: bytes) -> dict[object, str]:
        return {text: said for text, said in GNUTranslations(BytesIO(content))._catalog.items() if text}

    assert messages(COMPILED.read_bytes()) == messages(compiled())


@pytest.mark.parametrize("said", in_code(), ids=lambda said: said.text[:50])
def test_every_message_has_a_translation_with_the_same_values(said: Said) -> None:
    """The Chinese names what the English names; numbers are written alike, and nothing is left in English."""
    message = CATALOG.get(said.text, said.context)
    chinese = message.string[0] if isinstance(message.string, tuple) else message.string
    assert chinese
    assert values_of(chinese) == values_of(said.many or said.text) | (values_of(said.text) & values_of(chinese))
    assert not re.search(r"[A-Za-z]{4,} [A-Za-z]{4,}", re.sub(r"\{[^}]*\}|<[^>]*>|segmentor [a-z]+", "", chinese))


def test_a_message_tells_numbers_texts_and_messages() -> None:
    """Numbers keep their format, a text is never read as a format, and several values stand in a row in the language's way."""
    message = Message(
        "{before} {after}",
        {
            "before": Message("{days:.1f} days", {"days": 4.56}),
            "after": Message("neither {others} nor {last}", {"others": ("{a}", "b"), "last": "c"}),
        },
    )
    assert str(message) == "4.6 days neither {a}, b nor c"
    with speaking("zh"):
        assert str(message) == "4.6 天不属于 {a}、b，也不属于 c"
    assert f"{message}" == str(message)


def test_a_message_about_several_goes_by_their_number() -> None:
    """One and several differ in English and not in Chinese."""
    text = "{number:,} order id is shared by several customers; an order counts for each of them."
    one, many = (Message(text, {"number": number}, many=text.replace("id is", "ids are")) for number in (1, 1200))
    assert (str(one)[:14], str(many)[:20]) == ("1 order id is ", "1,200 order ids are ")
    with speaking("zh"):
        assert str(one) == str(many).replace("1,200", "1")


def test_a_message_that_names_what_it_has_not_is_refused() -> None:
    """A text or its plural that could not be told is an error where it is made."""
    with pytest.raises(ValueError, match="names 'b', which has no value"):
        Message("{a} {b:.2f}", {"a": "x"})
    with pytest.raises(ValueError, match="names 'number'"):
        Message("one", many="{number}")


def test_messages_are_equal_hashed_and_copied_by_what_they_say() -> None:
    """Two of the same text and values are one in a set, and one from another process is the same."""
    one, other = (Message("{a}", {"a": ("x", Message("y"))}) for _ in range(2))
    assert len({one, other, Message("{a}", {"a": "x"})}) == 2
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - its own


def test_texts_of_a_message_may_be_called_otherwise() -> None:
    """Texts among the values are called as a function says, however deep they stand; numbers and the sentence stay."""
    message = Message(
        "{a} {b:.1f} {c}", {"a": "x", "b": 2.0, "c": Message("y {d}", {"d": ("x", Message("x {e}", {"e": "x"}))})}
    )
    assert str(message.renamed(lambda text: text.replace("x", "{x}"))) == "{x} 2.0 y {x}, x {x}"


def test_parts_and_sentences_in_a_row() -> None:
    """Of parts the last is told apart, a single one stands alone, and sentences follow each other."""
    assert [str(either_of(parts)) for parts in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a or b", "a, b or c"]
    assert str(in_sequence(Message("A."), Message("B."), Message("C."))) == "A. B. C."


def test_every_reason_has_words_within_a_sentence() -> None:
    """In English a reason is its code; in Chinese it has words, and a group keeps its name."""
    small = too_small("a {b}: c", least=100)
    assert all(str(reason_in_words(code)) == code for code in (*REASONS, small))
    with speaking("zh"):
        assert not re.search("[a-z]", "".join(str(reason_in_words(code)) for code in REASONS))
        assert str(reason_in_words(small)) == "组内不足 100 名顾客：a {b}: c"
