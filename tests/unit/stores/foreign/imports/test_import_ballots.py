"""Ballots as values: a consensus of groups, never of heads; malformed lines by number; nobody told apart.
Mutants: a share over all heads, an abstention that agrees, a mean for the product, a small group let through,
a contested principle that is trained or stays hard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accord.cli import main
from accord.errors import PlanError, Refused, Unreadable
from accord.stores.foreign.imports.ballots import Counted, bring_ballots
from accord.values import Values, read_values


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def draft() -> Values:
    principles = [
        f'[[principle]]\nid = "{name}"\nkind = "rule"\ntext = "Be {name}."\ntarget = 0.9\n'
        f'check = "accord.overseers.program:brief"\nprompts = "rows.jsonl"\n{more}'
        for name, more in (("brief", ""), ("bold", "hard = true\n"), ("blunt", ""), ("brave", ""))
    ]
    Path("draft.toml").write_text('name = "ours"\n\n' + "\n".join(principles), encoding="utf-8")
    rows = [{"prompt": f"Question {n}?", "slice": "a"} for n in range(40)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_values("draft.toml")


def cast(split: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    """``{group: {principle: "yyn-"}}``: the first letter is what the group's first person said."""
    words = {"y": "yes", "n": "no", "-": "abstain"}
    return [
        {"person": f"{group} {place}", "group": group, "principle": principle, "vote": words[letter]}
        for group, said in split.items()
        for principle, letters in said.items()
        for place, letter in enumerate(letters)
    ]


def written(ballots: list[Any]) -> Path:
    file = Path("ballots.jsonl")
    lines = [one if isinstance(one, str) else json.dumps(one) for one in ballots]
    file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return file


BALLOTS = cast(
    {
        # A large group that wants everything, and a small one.
        "many": {
            "brief": "y" * 90 + "n" * 10,
            "bold": "y" * 100,
            "blunt": "n" * 60 + "y" * 40,
            "brave": "y" * 9,
        },
        "few": {"brief": "y" * 8 + "n-", "bold": "yy" + "n" * 8, "blunt": "n" * 9 + "y", "brave": "y" * 10},
    }
)


def outcomes(found: Counted) -> dict[str, tuple[str, float | None]]:
    return {one.principle: (one.outcome, one.consensus) for one in found.tallies}


def test_consensus_is_of_groups_and_what_one_group_alone_wants_is_contested(draft: Values) -> None:
    found = bring_ballots(written(BALLOTS), draft, 0.5)
    told = {name: (what, value and round(value, 6)) for name, (what, value) in outcomes(found).items()}
    assert told == {
        "brief": ("adopted", 0.72),  # 90/100 · 8/10: who abstains does not agree
        "bold": ("contested", 0.2),  # of heads 102 of 110 want it; of one group two of ten
        "blunt": ("unwanted", 0.04),
        "brave": ("unheard", None),  # nine ballots of a group of a hundred
    }
    (brief,), (bold,) = found.document.principle, found.document.contested
    assert [one.told for one in brief.adopted_by] == [
        "few: 8 yes, 1 no, 1 abstained",
        "many: 90 yes, 10 no, 0 abstained",
    ]
    assert draft["bold"].hard and not bold.hard and not found.folded
    assert outcomes(bring_ballots(written(BALLOTS), draft, 0.72))["brief"][0] == "adopted"
    assert outcomes(bring_ballots(written(BALLOTS), draft, 0.2))["bold"][0] == "adopted"
    with pytest.raises(
        Refused, match=r"no principle reaches a consensus of 0\.73; the most is 0\.720, of brief"
    ):
        bring_ballots(written(BALLOTS), draft, 0.73)


def test_a_group_that_only_abstains_agrees_to_nothing(draft: Values) -> None:
    split = {"a": {"brief": "y" * 10, "bold": "y" * 10}, "b": {"brief": "-" * 10, "bold": "y" * 10}}
    found = bring_ballots(written(cast(split)), draft, 0.5)
    assert outcomes(found)["brief"] == ("contested", 0.0) and outcomes(found)["bold"] == ("adopted", 1.0)


def test_every_malformed_line_is_named_and_nobody_with_it(draft: Values) -> None:
    good = {"person": "Ada", "group": "a", "principle": "brief", "vote": "yes"}
    bad = [
        '{"person": "Ada"',
        {**good, "vote": "aye"},
        {**good, "person": "B", "principle": "breif"},
        {**good, "person": 7},
        {key: value for key, value in good.items() if key != "group"},
        {**good, "vots": "no"},
        {**good, "vote": "no"},
        {**good, "group": "b", "principle": "bold"},
        "[]",
    ]
    with pytest.raises(Unreadable) as raised:
        bring_ballots(written([good, *bad]), draft, 0.5)
    told = str(raised.value)
    assert told.startswith("ballots.jsonl:2: ") and "9 that are none" in told and "Ada" not in told
    for number, word in enumerate(
        (
            "no object",
            "'aye'",
            '"brief"?',
            "'person'",
            "'group'",
            '"vote"?',
            "in line 1",
            "'a' in line 1",
            "no object",
        ),
        start=2,
    ):
        (line,) = [line for line in told.splitlines() if line.strip().startswith(f"line {number}:")]
        assert word in line, line
    with pytest.raises(Unreadable, match="and lines 21, 22, 23, 24"):
        bring_ballots(written(["{"] * 24), draft, 0.5)
    with pytest.raises(Unreadable, match="it is empty"):
        bring_ballots(written([]), draft, 0.5)


def test_groups_that_could_be_told_apart_are_refused_or_folded_by_name(draft: Values) -> None:
    split = {"many": {"brief": "y" * 20}, "one": {"brief": "n" * 4}, "two": {"brief": "n" * 6}}
    with pytest.raises(Refused, match=r"(?s)under 10 people in one \(4\), two \(6\).*--fold NAME"):
        bring_ballots(written(cast(split)), draft, 0.5)
    split["many"] |= {"bold": "y" * 20}
    split["one"] |= {"bold": "y" * 4}
    split["two"] |= {"bold": "y" * 6}
    found = bring_ballots(written(cast(split)), draft, 0.5, fold="others")
    assert found.folded == {"one": 4, "two": 6}
    (brief,) = found.document.contested
    assert [one.told for one in brief.adopted_by] == [
        "many: 20 yes, 0 no, 0 abstained",
        "others: 0 yes, 10 no, 0 abstained",
    ]
    with pytest.raises(PlanError, match="no group of its own"):
        bring_ballots(written(cast(split)), draft, 0.5, fold="many")
    del split["two"]
    with pytest.raises(Refused, match="also together"):
        bring_ballots(written(cast(split)), draft, 0.5, fold="others")


def test_the_command_writes_a_document_that_is_read_back(
    here: Path, draft: Values, capsys: pytest.CaptureFixture[str]
) -> None:
    written(BALLOTS)
    command = [
        "import",
        "data",
        "ballots.jsonl",
        "--as",
        "values",
        "--of",
        "draft.toml",
        "--threshold",
        "0.5",
    ]
    assert main([*command, "--to", "values.toml", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    values = read_values("values.toml")
    assert told["values"] == values.digest and told["of"] == draft.digest and told["threshold"] == 0.5
    assert [one["outcome"] for one in told["principles"]] == ["adopted", "contested", "unwanted", "unheard"]
    assert [one.id for one in values.principles] == ["brief"] and [one.id for one in values.contested] == [
        "bold"
    ]
    assert 'prompts = "rows.jsonl"' in Path("values.toml").read_text("utf-8"), "it moves with its folder"
    assert main([*command, "--to", "again.toml"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 principle adopted at 0.5, 1 contested, in again.toml")
    assert "under 10 ballots of many" in said and "nothing trains it or watches it" in said
    assert Path("again.toml").read_bytes() == Path("values.toml").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (
            ["labels.db", "--as", "values", "--of", "minimal", "--threshold", "0.5", "--to", "v.toml"],
            "labels.db",
        ),
        (["--as", "values", "--of", "minimal", "--to", "v.toml"], "it has no default"),
        (["--as", "values", "--threshold", "0.5", "--to", "v.toml"], "--of"),
        (["--as", "values", "--of", "minimal", "--threshold", "0.5"], "--to"),
        (["--as", "values", "--of", "minimal", "--threshold", "1.5", "--to", "v.toml"], "--threshold = 1.5"),
        (["--as", "valeus"], "valeus"),
        (["labels.db", "--threshold", "0.5"], "only with --as values"),
        ([], "STORE"),
    ],
)
def test_what_is_not_said_is_asked_for(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(BALLOTS)
    assert main(["import", "data", "ballots.jsonl", *arguments]) == 1
    assert word in capsys.readouterr().err and not Path("v.toml").exists() and not Path("labels.db").exists()
