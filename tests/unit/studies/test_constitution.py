"""The study of the constitution: its clauses, the clerk, k revisions, the alarm, and a small run of its arms.

Mutants: a clerk that does not err, or errs by the order, one principle for all turns, a turn that changes
nothing, principles that are not dealt out, a gain with the sign turned round, a fall tolerated in nats, equal
answers as a pair.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from accord.catalog import build
from accord.errors import PlanError
from accord.overseers.constitution import Constitution as Drawing
from accord.overseers.noisy import Noisy
from accord.overseers.program import Program
from accord.ports import Overseer
from accord.records import Instrument, Kind, Prompt, Question, Reading, Response
from accord.records.rows import Group
from accord.studies import read_study
from accord.studies.arms import Cell, Measured
from accord.studies.bars import ruled
from accord.studies.constitution import Constitution, gained
from accord.studies.outcome import Series
from accord.studies.port import Setting
from accord.studies.replying import fallen, preferred
from accord.studies.revising import Clerk, constitution, revisions
from accord.testing import a_response
from accord.worker import Worker
from accord.worlds.helpdesk import MIXED, PRINCIPLES, Helpdesk, broken, case_of, demonstration, exact, tasks

DESK = Helpdesk(products=12, table=5)
CLERK = Clerk(products=12, table=5)


class Speaks:
    """Encodes words as they are; all that revisions ask of a sampler."""

    def encode(self, prompt: Prompt, text: str) -> Response:
        return a_response(prompt, text)


def drafts(count: int) -> list[tuple[Prompt, Response]]:
    draw, prompts = np.random.default_rng(1), tasks(DESK, (str(i) for i in range(count)))
    said = [demonstration(DESK, case_of(one.text), MIXED, draw) for one in prompts]
    return [(one, a_response(one, text)) for one, text in zip(prompts, said, strict=True)]


def left(texts: list[list[str]], begun: list[tuple[Prompt, Response]], turn: int) -> float:
    cases = [case_of(prompt.text) for prompt, _ in begun]
    odd = [[*broken(c, t[turn]).values()] for c, t in zip(cases, texts, strict=True)]
    return float(np.mean(odd))


def test_k_revisions_leave_three_quarters_to_the_power_of_k() -> None:
    begun = drafts(120)
    with Worker() as worker:
        texts = revisions(begun, Speaks(), CLERK, 4, worker)  # type: ignore[arg-type]
        half = revisions(begun, Speaks(), CLERK.model_copy(update={"error": 0.49}), 2, worker)  # type: ignore[arg-type]
        dealt = revisions(begun, Speaks(), CLERK.model_copy(update={"dealt": 1}), 2, worker)  # type: ignore[arg-type]
    start, law = left(texts, begun, 0), exact(DESK)
    for turn in range(5):
        assert abs(left(texts, begun, turn) / start - law[f"after {turn}"]) < 0.08
    # A point that is there is found with .51 and mended with .51: a quarter of the fourth that is drawn.
    assert abs(left(half, begun, 2) / start - (1 - 0.25 * 0.51**2) ** 2) < 0.08
    assert abs(left(dealt, begun, 2) / start - 1) < 0.08


def test_the_clerk_prefers_what_keeps_the_principle_whatever_the_order() -> None:
    prompt = tasks(DESK, ["1"])[0]
    case = case_of(prompt.text)
    one, other = a_response(prompt, f"see {case.source}"), a_response(prompt, "your")
    errs = 0
    with Worker() as worker:
        for name, text in PRINCIPLES.items():
            for clerk in (CLERK, CLERK.model_copy(update={"error": 0.49})):
                found = [_judged(worker, clerk, prompt, pair, text) for pair in ((one, other), (other, one))]
                assert found[0] == found[1]
                if clerk is CLERK:
                    odd = [broken(case, r.text)[name] for r in (one, other)]
                    wanted = 1 if odd[0] == odd[1] else 2
                    assert len(found[0]) == wanted
                    assert wanted == 1 or found[0][0] == (one.id if odd[1] else other.id,)
                else:
                    errs += len(found[0]) == 2
    assert errs, "some of the noisy ones had something to tell apart"


def _judged(
    worker: Worker, clerk: Clerk, prompt: Prompt, pair: tuple[Response, Response], text: str
) -> tuple[tuple[str, ...], ...]:
    class Desk:
        def read(self, name: str) -> object:
            return {prompt.id: prompt, **{one.id: one for one in pair}}[name]

    question = Question(
        asks=Kind.COMPARE,
        prompt=prompt.id,
        responses=(pair[0].id, pair[1].id),
        instrument=Instrument(wording="?", version="1", principles=(text,)),
    )

    async def asked() -> object:
        return (await clerk.judge(question, Desk())).verdict  # type: ignore[arg-type]

    tiers = worker.run(asked()).tiers  # type: ignore[attr-defined]
    return tuple(tuple(sorted(tier)) for tier in tiers)


def test_a_critique_and_its_revision_are_under_one_principle() -> None:
    overseer = constitution(CLERK, 2)
    assert isinstance(overseer, Drawing)
    prompt = tasks(DESK, ["9"])[0]
    drawn = set[int]()
    for number in range(40):
        answer = a_response(prompt, f"your {number}")
        ways = [
            overseer.drawn(Question(asks=kind, prompt=prompt.id, responses=(answer.id,)))
            for kind in (Kind.CRITIQUE, Kind.REVISE)
        ]
        assert ways[0] == ways[1]
        drawn.add(ways[0])
    assert drawn == {0, 1, 2, 3}


@pytest.mark.parametrize(("delta", "pairs"), [(0.01, 1), (0.0, 2)])
def test_equal_answers_are_a_pair_only_for_who_draws_one_of_them(delta: float, pairs: int) -> None:
    """Who sees no difference makes none; without a least difference to see the rater tosses a coin."""
    prompt = next(one for one in tasks(DESK, map(str, range(50))) if case_of(one.text).listed)
    fact, *_ = DESK.facts(case_of(prompt.text).product, case_of(prompt.text).topic)
    texts = (f"it is {fact}", f"one gets {fact}", "it is", f"the {fact}")
    facts = cast(Overseer, Program(fn="accord.worlds.helpdesk:helpful"))
    rater = Noisy(inner=facts, temperature=0.02, delta=delta)
    with Worker() as worker:
        group = Group(prompt, tuple(a_response(prompt, text) for text in texts))
        rows = preferred([group], cast(Overseer, rater), worker)
    assert len(rows) == pairs and rows[-1].columns["p"] == 0, "the wrong one stands first in the last pair"


def _found(**change: dict[str, float]) -> dict[str, dict[str, Series]]:
    """A study that went as its bar has it, but for what is changed."""
    violations = {f"r{k}": 0.5 - 0.1 * k for k in range(5)} | {"rl": 0.05, "over": 0.2, "shuffled": 0.5}
    figures = {
        "violations": violations,
        "gained": {"rl": 0.0},
        "boilerplate": {"over": 1.0, "rl": 0.0, "r4": 0.0},
    }
    for figure, values in change.items():
        figures[figure] = figures[figure] | values
    return {
        figure: {
            arm: Series.of(
                {
                    s: {f"task {t}": value + 1e-3 * (-1) ** t * (figure != "boilerplate") for t in range(40)}
                    for s in range(10)
                }
            )
            for arm, value in values.items()
        }
        for figure, values in figures.items()
    }


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "met"),
        ({"violations": {"r3": 0.35}}, "not met"),
        ({"violations": {"rl": 0.2}}, "not met"),
        ({"violations": {"shuffled": 0.05}}, "not met"),
        ({"gained": {"rl": 0.03}}, "not met"),
        ({"gained": {"rl": -0.03}}, "not met"),
        ({"boilerplate": {"over": 0.0}}, "not met"),
        ({"boilerplate": {"r4": 1.0}}, "not met"),
        ({"boilerplate": {"rl": 1.0}}, "not met"),
    ],
)
def test_every_clause_decides(change: dict[str, dict[str, float]], outcome: str) -> None:
    study = read_study("constitution")
    assert isinstance(study, Constitution) and study.bar(None).seeds == 10
    assert ruled(study.bar(None), _found(**change)).outcome == outcome


def test_an_arm_that_nobody_does_is_refused() -> None:
    for name, odd in (("constitution", "r5"), ("instructgpt", "base_3")):
        settings = read_study(name).model_dump(mode="json")  # type: ignore[attr-defined]
        with pytest.raises(PlanError, match=odd):
            build("studies", {"name": name, **settings, "arms": [odd]})


def test_the_gain_is_of_rl_over_r4_question_by_question() -> None:
    cells = {
        arm: Measured(arm, 0, "measured", items={"helpful": {"a": value, "b": 0.5}})
        for arm, value in (("rl", 1.0), ("r4", 0.25))
    }
    assert gained(cells) == {"rl": {"gained": {"a": 0.75, "b": 0.0}}}
    assert gained({"rl": cells["rl"]}) == {}


def test_an_alarm_is_a_fall_of_the_whole_interval_by_a_share_of_the_base() -> None:
    told = {"run": "study", "name": "diversity", "step": 1, "instrument": "i", "unit": "EAD", "n": 8}
    read = {"value": 0.2, "low": 0.1, "high": 0.3, "base": 0.8}
    found = Reading.model_validate({**told, **read, "change": -0.6, "change_low": -0.7, "change_high": -0.5})
    assert fallen(found, 0.5).startswith("diversity fell by 0.6") and fallen(found, 0.625) == ""
    assert fallen(found.model_copy(update={"base": 0.0}), 0.5) == ""


def read_file(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_the_arms_of_one_seed(tmp_path: Path) -> None:
    """At a fiftieth of the settings: that each arm is done on one base and read on the same questions."""
    study = read_study("constitution")
    assert isinstance(study, Constitution)
    course = study.sft.model_copy(update={"windows": 1, "rows": 64})
    ppo = study.rl.model_copy(update={"windows": 1, "rows": 16})
    counts = {"demonstrations": 64, "drafts": 24, "pairs": 12, "sealed": 6, "answers": 2, "probes": 8}
    few = {"base": course, "sft": course, "reward": course, "rl": ppo, "over": ppo, "counts": counts}
    study = study.model_copy(update=few)
    at = Setting(tmp_path, 1, study.arms)
    with study.opened(at, 100) as do:
        cells = [do(Cell(arm, 100, tmp_path / f"{arm}-100")) for arm in ("base", "r2", "over")]
    assert len({cell.base for cell in cells}) == 1
    assert all(cell.items["violations"].keys() == cells[0].items["violations"].keys() for cell in cells)
    base, second, over = cells
    assert "boilerplate" not in base.items
    assert over.items["fell.told"].keys() == second.items["fell.diversity"].keys() == {"seed 100"}
    assert second.items["boilerplate"]["seed 100"] in (0.0, 1.0)
    assert second.figures["changed"] and over.figures["pairs"]
    said = [read_file(tmp_path / "models" / f"{name}-100") for name in ("base", "r2", "over")]
    assert len({*said}) == 3, "each was taught something"
