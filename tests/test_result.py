"""``results.json``: what is written is read back equal, and what cannot be read is refused with the mend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from segmentor.errors import InputError
from segmentor.result import (
    Bundle,
    Chosen,
    Clustering,
    ClusterRule,
    CohortCount,
    Comparability,
    Crossover,
    CrossoverCell,
    CrossSellRule,
    Curve,
    Cutpoint,
    CycleSummary,
    DealtLabels,
    GroupEffect,
    Habit,
    InputQuality,
    Interval,
    LedgerEntry,
    LeftOut,
    NextCurve,
    PairEffect,
    Quality,
    Rule,
    RuleInSegment,
    RunResult,
    ScoreTest,
    Search,
    SeedVerdict,
    Segment,
    ShareBack,
    SplitTest,
    Subset,
    TreeNode,
    Trial,
    Worth,
    from_json,
    to_json,
)
from segmentor.result.schema import json_schema
from segmentor.wording import Message


@pytest.fixture
def result() -> RunResult:
    """A result that fills every field of every record."""
    interval = Interval(0.1 + 0.2, None, 1e-17)
    share = (ShareBack(30, interval),)
    curve = Curve((0, 1), (0.0, 0.5), (0.0, 0.4), (0.0, 0.6), (12, 6))
    group = GroupEffect("小 small", 12, 30, interval, share, interval, interval, 41.5, curve)
    trial = Trial(
        segment="all",
        split="size",
        source="declared",
        known="first_purchases: 2",
        definition=(("small", "size <= 1"),),
        groups=(group, replace(group, name="b")),
        not_known=3,
        verdict="separates",
        reasons=("why",),
        sentence=Message("They differ."),
        restate=Message("Ask again."),
        restated="- name: size\n  known: first_purchase\n",
        merged_from="sizes",
        attribute="size",
        aliases=("with size: small",),
        explained_by="channel",
        cluster=ClusterRule("kmeans", 1, 3, 40, 0.9, 0.8, 0.85, 0.3),
        cutpoint=Cutpoint("size", 1.0, 12, 3.4, 0.5, 1.5, 0.4),
        no_follow_up=1,
        comparability=Comparability(0.97, (CohortCount("2017-03", (7, 5)),), (90.5, None)),
        horizon_days=120,
        tau_days=118,
        pairs=(PairEffect("small", "b", interval, interval, interval, share, separated=True, equivalent=False),),
        verdict_pair=0,
        carried_by="ratio",
        test=SplitTest((ScoreTest("typical_gap Gehan", 3.2, 1, 0.07),), 0.01, "type III", 1e-9),
        p_discovery_adjusted=0.01,
        p_adjusted=0.02,
        customers_needed=4_000,
        months_needed=8,
        same_direction=True,
        other_seeds=(SeedVerdict(2, "inconclusive"),),
        habits=(Habit("order value", "money", 20, (8.5, None), "small", "b", interval, interval, 0.01, 0.2),),
        crossover=Crossover(1, 9, (CrossoverCell("small", "b", 9, interval, None),), 0.4, 0.3, interval, None),
        robustness=(Subset("season", "winter", 11, interval, None, 0.3, agrees=False),),
        dealt=DealtLabels(20, 3, 1.1, None),
    )
    rule = CrossSellRule(
        antecedent=("a", "b"),
        consequent="c",
        kind="attach",
        mode="same_occasion",
        segment="all",
        customers=60,
        support=0.1,
        confidence=0.2,
        lift=interval,
        p_confirmation_adjusted=0.03,
        valid=True,
        median_days=12.0,
        most_days=30.0,
        curve=NextCurve((0.0, 0.5, None), (0.0, 0.25, None)),
        worth=Worth(40, interval, None),
        segments=(RuleInSegment("small", 9, interval, holds=True),),
        p_segments_adjusted=0.2,
        repeat_days=44.0,
    )
    leaf = Rule("size", "small", "entry", "size = 1")
    return RunResult(
        experiment="x",
        title="标题",
        language="en",
        seed=7,
        config={"z": [1, 0.1, None, True, {"b": "c"}], "groups": {"small": "size <= 1", "large": "true", "b": "false"}},
        quality=Quality(
            inputs={"transactions": InputQuality(5, 2, 1, 2, {"missing customer": 2}, "f0")},
            cycle=CycleSummary(1, 2, 1, 1, 0, "2017-01-01", "2017-12-31", 0),
            warnings=(Message("{number:,} look.", {"number": 2, "of": ("a", Message("b"))}, many="{number:,} look."),),
        ),
        trials=(trial,),
        ledger=(LedgerEntry("all", "size", "confirmation", "Holm", 0.01, 1, 2, 0.02, "significant"),),
        segments=(Segment("all", "all", None, (leaf,), 4, 0.5, 30.0, 120, (10, 20), Message("why"), Message("words")),),
        rules=(rule,),
        bundles=(
            Bundle(
                ("a", "b", "c"),
                60,
                interval,
                0.03,
                valid=True,
                orders_a_year=12.5,
                price=99.0,
                usual_discount=0.1,
                bundle_price=None,
                margin_an_order=None,
                break_even=1.2,
            ),
        ),
        min_cell=10,
        tree=(
            TreeNode(
                "all",
                None,
                12,
                3,
                "size",
                ("small", "b"),
                0.01,
                0.02,
                held=True,
                ended="not confirmed",
                chosen_again=(Chosen("size", 0.9),),
            ),
        ),
        search=Search(
            3,
            (LeftOut("id", "column", Message("{share:.0%} of {of}", {"share": 0.5, "of": Message("keys")})),),
            (Clustering("kmeans", ("money",), 40, 3, 0.1, 0.9, 0.2),),
        ),
        versions={"python": "3.11.9"},
    )


def test_a_result_is_read_back_equal(result: RunResult) -> None:
    """Every field of every record survives, floats to the last bit, tuples as tuples."""
    assert from_json(to_json(result)) == result


def test_a_result_without_rules_is_read_back_equal(result: RunResult) -> None:
    """That cross-sell was off is told from no rule found."""
    assert from_json(to_json(replace(result, rules=None))).rules is None
    assert from_json(to_json(replace(result, rules=()))).rules == ()


def test_the_config_keeps_the_order_of_its_file(result: RunResult) -> None:
    """Of a split's groups the first that holds decides, so that the text and what is read from it have them in order."""
    text = to_json(result)
    assert list(json.loads(text)["config"]) == list(from_json(text).config) == ["z", "groups"]
    assert list(json.loads(text)["config"]["groups"]) == ["small", "large", "b"]


def test_the_text_is_the_same_when_written_again_and_readable(result: RunResult) -> None:
    """What is read and written again has the same bytes, text stays readable, and the file ends with a line feed."""
    text = to_json(result)
    assert to_json(from_json(text)) == text
    assert text.endswith("}\n")
    assert "标题" in text
    assert "0.30000000000000004" in text
    assert "\r" not in text


def test_a_number_that_is_none_cannot_be_written(result: RunResult) -> None:
    """NaN and infinity are refused: what is undefined is null."""
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json(replace(result, config={"a": float("nan")}))


@pytest.mark.parametrize("found", [0, 1, "2", None])
def test_another_format_is_refused_by_name(result: RunResult, found: object) -> None:
    """A result of an older or newer format is refused, with both formats and what to do."""
    text = json.dumps({**json.loads(to_json(result)), "format": found})
    with pytest.raises(InputError, match=rf"format {found!r} is not one .* reads format 4\); run the experiment again"):
        from_json(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"trials": []}'])
def test_a_text_that_is_no_result_is_refused(text: str) -> None:
    """Text that is not JSON, or not a result, is an error of the input."""
    with pytest.raises(InputError, match=r"results\.json"):
        from_json(text)


def test_a_damaged_result_is_refused_with_the_place(result: RunResult) -> None:
    """A value of the wrong kind is named by where it stands."""
    document = json.loads(to_json(result))
    document["trials"][0]["verdict"] = "perhaps"
    with pytest.raises(InputError, match=r"trials\.0\.verdict"):
        from_json(json.dumps(document))


def test_the_schema_tells_the_meaning_of_every_field() -> None:
    """No record and no field of `results.json` is without a description."""
    schema = json_schema()
    for name, record in {"RunResult": schema, **schema["$defs"]}.items():
        assert record["description"], name
        assert all(field["description"] for field in record["properties"].values()), name


def test_what_is_written_fits_the_schema(result: RunResult) -> None:
    """A result that fills every field is what the schema says, and one with a field more, less or of another kind is not."""
    schema, document = json_schema(), json.loads(to_json(result))
    assert list(misfits(document, schema, schema)) == []
    trial = document["trials"][0]
    del document["seed"]
    trial["verdict"] = "perhaps"
    trial["more"] = 1
    assert sorted(misfits(document, schema, schema)) == [".seed", ".trials.0.more", ".trials.0.verdict"]


KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def misfits(value: Any, schema: dict[str, Any], whole: dict[str, Any], place: str = "") -> Iterator[str]:
    """Where a value is not what a schema says, as far as ours say anything."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        if all(any(misfits(value, one, whole)) for one in schema["anyOf"]):
            yield place
    elif (
        not isinstance(value, KINDS.get(schema.get("type", ""), object))
        or value not in schema.get("enum", [value])
        or value != schema.get("const", value)
    ):
        yield place
    else:
        for name, inner in parts(value, schema):
            if inner is None:
                yield f"{place}.{name}"
            else:
                yield from misfits(value[name], inner, whole, f"{place}.{name}")


def parts(value: Any, schema: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any] | None]]:
    """Names or numbers of what is in a value with its schema; ``None`` for what may not be there, or is not there and has to be."""
    if isinstance(value, list):
        firsts = schema.get("prefixItems", [])
        yield from enumerate([*firsts, *[schema.get("items", {})] * (len(value) - len(firsts))])
    if isinstance(value, dict):
        named, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        yield from ((name, None) for name in schema.get("required", []) if name not in value)
        for name in value:
            yield name, named.get(name, others if isinstance(others, dict) else {} if others else None)


def test_every_field_is_filled(result: RunResult) -> None:
    """The result that is written and read back leaves no record at its defaults, so that none can be forgotten on the way."""
    trial = result.trials[0]
    defaults = {field.name: field.default for field in fields(Trial)}
    assert not [name for name, default in defaults.items() if getattr(trial, name) in (default, ())]
    assert result.ledger
