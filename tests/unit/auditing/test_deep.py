"""Deep forms in an audit: which depth reads them, of how many items, at what cost, beside which base.

Mutants that must be killed: deep forms at ``quick``, a quarter at ``full``, one draw of the base in place of
eight, a prompt read once for each of the base's answers to it, the policy's ranks in place of the base's.
"""

from __future__ import annotations

import asyncio
import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from accord.auditing import AuditTable, audit
from accord.auditing.asking import Foreseen
from accord.auditing.programme import Course, Wish, drawn, programme
from accord.errors import PlanError
from accord.indicators.calibration_error import error
from accord.panels import read_panel
from accord.ports import How, Sampler
from accord.progress import Progress
from accord.records import NotMeasured, Prompt, Reading, Response
from accord.records.panels import Panel
from accord.records.rows import Group, Text
from accord.testing.organisms import Exam, Planted, Rates, Speaker, organism, twin


class Speakers:
    """An engine of models that are written down."""

    def __init__(self, **models: Speaker) -> None:
        self.models = models

    def check(self, model: str) -> None:
        if model not in self.models:
            raise PlanError("MODEL", model, ", ".join(self.models))

    def sampler(self, model: str, progress: Progress) -> Sampler:
        del progress
        return self.models[model]


def courses(depth: str) -> dict[str, Course]:
    found = programme(Wish(("m",), "b", depth=depth))  # type: ignore[arg-type]
    return {f"{c.indicator.name}.{c.indicator.criteria[0]}": c for c in found.asking if c.deep}


def few(place: Path, name: str, places: slice) -> tuple[Path, Exam]:
    """Some lines of a panel that ships, as a file and as an exam."""
    raw = resources.files("accord").joinpath(f"data/panels/{name}.jsonl").read_text("utf-8")
    file = place / f"{name}.jsonl"
    file.write_text("\n".join(raw.splitlines()[places]), "utf-8")
    return file, Exam({name: Panel(name, read_panel(name).items[places])})


def test_the_depth_decides_whether_and_how_many() -> None:
    assert courses("quick") == {}
    full, standard = courses("full"), courses("standard")
    said = tuple(
        Group(p, tuple(Response(prompt=p.id, text=f"{k}", index=k) for k in range(2)))
        for p in (Prompt.of(f"{i}?") for i in range(1000))
    )
    counts = {
        name: tuple(len(drawn(table[name], Wish(("m",), depth=depth), said).items) for depth, table in both)
        for name in full
        for both in ((("full", full), ("standard", standard)),)
    }
    assert counts == {
        "capability_free.wrong": (400, 100),
        "greedy_rank.beyond": (1000, 250),
        "wide_diversity.alike": (100, 25),
        "sycophancy_said.answer": (324, 100),
        "sycophancy_said.are_you_sure": (324, 100),
        "sycophancy_said.feedback": (104, 100),
        "refused.safe": (221, 100),
        "refused.unsafe": (221, 100),
        "calibration_error.ece": (1020, 500),
        "unsaid_free.gap": (400, 100),
        "tampering.tampers": (420, 300),
        "preferences.first": (420, 105),
    }
    own = drawn(full["greedy_rank.beyond"], Wish(("m",), depth="full"), said)
    assert len({item.prompt.id for item in own.items}) == 1000, "each prompt is one item"
    assert own.again == () and {one.indicator.draws for one in full.values()} == {1, 8}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> AuditTable:
    """An over-refuser and a twin beside their base, on twelve pairs of requests."""
    file, exam = few(tmp_path_factory.mktemp("refused"), "refusals", slice(24))
    engine = Speakers(
        base=Planted("base", exam, Rates()),
        sick=organism("over-refuser", exam),
        well=twin("over-refuser", exam),
    )
    panels = (f"refusals={file}",)
    return audit(["sick", "well"], "base", panels=panels, depth="full", price="1:2", audits=2, engine=engine)


def test_what_is_said_is_read_beside_eight_answers_of_the_base(refused: AuditTable) -> None:
    found = {m: {r.name: r for r in readings} for m, readings in refused.readings.items()}
    sick, well = found["sick"]["refused.safe"], found["well"]["refused.safe"]
    assert isinstance(sick, Reading) and isinstance(well, Reading)
    assert sick.change_low is not None and sick.change_low > 0.3
    assert well.change is not None and abs(well.change) < 0.25
    assert {x * 8 % 1 for x in sick.anchors} == {0.0} and sick.n == 12
    assert {"refused.unsafe", "refused.safe_disputed", "refusals.safe"} <= found["sick"].keys()
    beside = refused.beside["base"]["refused.safe"]
    assert beside.tolerance == "" and beside.noise is not None and beside.noise.way == "halves"


def test_foresight_counts_every_answer(refused: AuditTable) -> None:
    """Requests to the number; tokens as long as answers may be."""
    spent = list(refused.spent.values())
    foreseen = refused.foreseen
    assert foreseen["requests"] == sum(cost.calls for cost in spent)
    written = (8 + 1 + 1) * 24 * 64  # of the base, and of two models
    assert foreseen["tokens_written"] == written > sum(cost.tokens_out for cost in spent) > 0
    read = foreseen["tokens_read"]
    assert isinstance(read, int) and read == sum(cost.tokens_in for cost in spent)
    assert foreseen["money"] == pytest.approx((read + 2 * written) / 1e6)


def test_two_draws_of_one_prompt_are_two_texts_to_read() -> None:
    """What stands in for a model says the same in both. A text that comes again counts once."""
    fake = Foreseen(Speaker("like", lambda prompt: {"ash": 1.0}), "m", remote=False, cuts=True)
    groups = [asyncio.run(fake.sample([Prompt.of("Why?")], 1, How(key, 1.0, 4)))[0] for key in "ab"]
    texts = [Text(group.prompt, group.responses[0]) for group in groups]
    assert fake.cost.calls == 2
    asyncio.run(fake.score([*texts, *texts], frozenset({"logp"})))
    assert fake.cost.calls == 4


def test_a_figure_that_is_no_mean_stands_in_the_table(tmp_path: Path) -> None:
    file, exam = few(tmp_path, "choices", slice(None, None, 100))
    engine = Speakers(base=Planted("base", exam, Rates()), sick=organism("collapser", exam))
    table = audit(["sick"], "base", panels=(f"choices={file}",), depth="full", audits=2, engine=engine)
    found = {r.name: r for r in table.readings["sick"]}
    ece = found["calibration_error.ece"]
    assert isinstance(ece, Reading) and ece.base is not None and ece.change is not None
    assert ece.value == error(np.array(ece.outcomes)) and ece.base == error(np.array(ece.anchors))
    assert ece.change == pytest.approx(ece.value - ece.base)
    assert ece.low < ece.value < ece.high
    beside, halves = table.beside["base"]["calibration_error.ece"], np.array(ece.anchors)
    assert beside.noise is not None
    assert beside.noise.value == pytest.approx(error(halves[1::2]) - error(halves[::2]))
    rows = [row["indicator"] for row in table.rows(slices=True)]
    assert any(name.startswith("capability.wrong /") for name in rows)
    assert not any(name.startswith("calibration_error.ece /") for name in rows), "slices of a mean only"


def test_greedy_answers_are_read_with_the_base_s_eyes(tmp_path: Path) -> None:
    asked = tmp_path / "prompts.jsonl"
    asked.write_text("\n".join(json.dumps({"prompt": f"question {i} ?"}) for i in range(6)), "utf-8")
    base = Speaker("base", lambda prompt: {"ash": 0.4, "bay": 0.3, "cod": 0.2, "dew": 0.1})
    mute = Speaker("mute", lambda prompt: {"ash": 1.0})
    mute.can = frozenset({"sample", "logp"})  # type: ignore[misc]
    engine = Speakers(base=base, sick=Speaker("sick", lambda prompt: {"dew": 1.0}), mute=mute)

    def read(models: list[str], beside: str | None) -> dict[str, dict[str, Reading | NotMeasured]]:
        how = {"panels": ("base",), "depth": "full", "prompts": asked, "answers": 2, "audits": 2}
        table = audit(models, beside, engine=engine, **how)  # type: ignore[arg-type]
        return {model: {r.name: r for r in readings} for model, readings in table.readings.items()}

    found = read(["sick", "mute"], "base")
    shifted, alike = (found["sick"][name] for name in ("greedy_rank.content", "wide_diversity.alike"))
    assert isinstance(shifted, Reading) and isinstance(alike, Reading)
    assert (shifted.value, shifted.base, shifted.n) == (pytest.approx(1 / 3), 0.0, 6)
    assert alike.change is not None and alike.change > 0.1, "it says one thing only"
    other = found["mute"]["greedy_rank.beyond"]
    assert isinstance(other, Reading) and other.value == 0.0, "ranks are asked of the base alone"
    level = read(["sick"], None)["sick"]["greedy_rank.content"]
    assert isinstance(level, Reading) and level.value == 0.0, "alone it is its own base"
    blind = read(["sick"], "mute")["sick"]["greedy_rank.beyond"]
    assert isinstance(blind, NotMeasured) and blind.reason == "of the base: the model gives no ranks"
