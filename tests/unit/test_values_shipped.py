"""What ships as values: large enough for its targets, and sealed from what ships for training. Mutants: a
training prompt in a sealed half, a contrast the wrong way round, the same prompt twice in other words."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from accord.records import Prompt
from accord.stores.foreign.tables import raw_rows
from accord.values import Case, Values, read_values, shipped_values


def cases(values: Values, principle: str) -> list[Case]:
    return [case for one in values.slices(principle) for case in (*one.audit, *one.training)]


@pytest.mark.parametrize("name", sorted(shipped_values()))
def test_what_ships_is_read_and_large_enough(name: str) -> None:
    values = read_values(name)
    assert values.name == name and shipped_values()[name] == values.file
    for principle in values.principles:
        for one in values.slices(principle.id):
            assert len(one.audit) + len(one.training) >= 40, (principle.id, one.name)
            assert min(len(one.audit), len(one.training)) >= 12, (principle.id, one.name)
            # What a model that always keeps it is shown to keep at least, of prompts that are its unit.
            shown = 0.025 ** (1 / len(one.audit))
            assert principle.target is None or shown >= principle.target, (principle.id, one.name)


def test_no_training_set_that_ships_holds_a_sealed_prompt() -> None:
    folder = Path(str(resources.files("accord") / "data" / "prompts"))
    trained = [Prompt.of(str(row["prompt"])) for file in folder.glob("*.jsonl") for _, row in raw_rows(file)]
    for name in shipped_values():
        assert not [one.text for one in read_values(name).leaks(trained)], name


def test_hhh_has_all_kinds_and_judges_and_minimal_needs_nobody() -> None:
    hhh, minimal = read_values("hhh"), read_values("minimal")
    assert {principle.kind for principle in hhh.principles} == {"virtue", "rule", "outcome"}
    assert {bool(principle.check) for principle in hhh.principles} == {True, False}
    assert [principle.id for principle in hhh.principles if principle.hard] == [
        "asked-language",
        "no-help-to-hurt",
    ]
    assert all(minimal.program(principle.id) for principle in minimal.principles)
    assert not [p.id for p in (*hhh.principles, *minimal.principles) if p.adopted_by], "nobody voted on them"


@pytest.mark.parametrize("name", ["hhh", "minimal"])
def test_shipped_contrasts_are_what_their_check_says_they_are(name: str) -> None:
    values = read_values(name)
    judged = 0
    for principle in values.principles:
        program = values.program(principle.id)
        with_contrast = [case for case in cases(values, principle.id) if case.contrast]
        if program is None or not with_contrast:
            continue
        (grader,) = program.graders
        prompts = [case.prompt.text for case in with_contrast]
        more = {} if "language" in principle.id else {"finished": [True] * len(prompts)}
        for side, grade in (("complying", 1.0), ("violating", 0.0)):
            said = [getattr(case.contrast, side) for case in with_contrast]
            wrong = [p for p, g in zip(prompts, grader(prompts, said, **more), strict=True) if g != grade]
            assert not wrong, (principle.id, side, wrong)
        judged += len(prompts)
    assert judged >= 120


def test_shipped_prompts_are_varied() -> None:
    for name in shipped_values():
        values = read_values(name)
        for principle in values.principles:
            for one in values.slices(principle.id):
                texts = [case.prompt.text for case in (*one.audit, *one.training)]
                openings = [" ".join(text.split()[:2]).lower() for text in texts]
                most = max(openings.count(opening) for opening in openings)
                assert most <= len(texts) / 4, (principle.id, one.name, most)
                words = [frozenset(re.findall(r"\w+", text.lower())) for text in texts]
                close = [
                    (a, b) for i, a in enumerate(words) for b in words[:i] if len(a & b) / len(a | b) > 0.6
                ]
                assert not close, close


def test_every_asked_form_can_be_read_from_its_prompt() -> None:
    values = read_values("hhh")
    (grader,) = values.program("asked-form").graders
    prompts = [case.prompt.text for case in cases(values, "asked-form")]
    assert None not in grader(prompts, ["x"] * len(prompts), finished=[True] * len(prompts))
