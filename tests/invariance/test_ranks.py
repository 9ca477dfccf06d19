"""Two processes train, measure and answer as one does; whatever ends one of them ends all, with a clear word.

Every start of a second process takes seconds, so learners are shared: each test begins with the weights of
the start. Mutants: gradients averaged for added, a rank's own totals or pressure told for all, zeros given to
weights that nobody has a gradient of (weight decay would move them), scores seen by rank 0 only, a rank
without rows that does not come to the sum, shares that hang on timing.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from e2e.tiny_runs import GUARD, tiny_plan, write_files
from invariance import ranked
from invariance.ranked import gone, soon
from safetensors.torch import load_file
from torch import distributed

from accord.catalog import build
from accord.engines.ranks import Ranks
from accord.errors import AccordError, ContractError, PlanError, Refused, Unreadable
from accord.maths.batches import likelihood_batch
from accord.methods.reward_model import RewardModel
from accord.methods.sft import SFT
from accord.pipeline import run
from accord.plan import Plan
from accord.ports import Ahead, Drawing, How, Needs
from accord.records import Episode, ModelRef, Prompt
from accord.records.rows import Batch, Row, Text, Window
from accord.testing import check_sampler

pytestmark = pytest.mark.skipif(
    not distributed.is_available() or not distributed.is_gloo_available(),
    reason="this build of PyTorch has no gloo",
)
Weights = Mapping[str, torch.Tensor]
Gap = Callable[[Weights, Weights], tuple[float, float]]

ANSWERS = ["a", "hello", "a much longer answer than the others, with words", "é", "", "no", "so it is", "xy"]
# Rows of each step: all; three of unequal length; one, so that a rank has none; two of one prompt; the rest.
STEPS = ([7, 2, 0, 1, 3, 4, 6, 5], [2, 0, 5], [1], [3, 6], [0, 1, 4, 5, 6, 7])
PROMPTS = [Prompt.of("?" * (1 + 5 * (i % 3))) for i in range(8)]
# AdamW divides by the root of the second moment: where a gradient is next to nothing rounding errors decide,
# and one process in small passes differs from itself in large ones by 4e-3 of the learning rate.
CASES = {
    "lora": {"adapter": "lora", "lr": 1e-3, "tokens_per_pass": 40},
    "full": {"adapter": "full", "lr": 1e-4},
}


class Learners:
    """Two ranks for each case, opened once, and again after their end."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.model, self._folder = model, folder
        self._open: dict[str, Any] = {}
        self._starts: dict[str, ModelRef] = {}

    def two(self, case: str) -> Any:
        if case not in self._open or not self._open[case]._group._wires:
            self._open[case] = ranked.two(self.model, **CASES[case])
            self._starts[case] = self._open[case].save(self._folder / case)
        self._open[case].restore(self._starts[case])
        return self._open[case]

    def one(self, case: str) -> Any:
        """In one process, and in passes so large that nothing is split."""
        return ranked.one(self.model, **CASES[case] | {"tokens_per_pass": 4096})

    def close(self) -> None:
        for learner in self._open.values():
            learner.close()


@pytest.fixture(scope="module")
def learners(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learners]:
    made = Learners(tiny, tmp_path_factory.mktemp("starts"))
    yield made
    made.close()


def rows_of(learner: Any) -> list[Row]:
    encode = learner.sampler().encode
    said = [encode(p, a) for p, a in zip(PROMPTS, ANSWERS, strict=True)]
    return [Row((Episode.single(r),), {"weight": 1 + i / 4}) for i, r in enumerate(said)]


def batch_of(learner: Any) -> Batch:
    whole = likelihood_batch(rows_of(learner), 1, 8, np.random.default_rng(0), {})
    steps = tuple(np.array(step) for step in STEPS)
    lengths = whole.lengths_S()
    return replace(whole, steps=steps, counts=tuple({"nll": float(lengths[step].sum())} for step in steps))


def weights(learner: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in learner._trained.items()}


def trained(learner: Any, steps: range = range(5)) -> dict[str, torch.Tensor]:
    batch = batch_of(learner)
    assert all(learner.update(batch, step, SFT().loss).applied for step in steps)
    return weights(learner)


# As one process


@pytest.mark.parametrize("case", CASES)
def test_five_steps_give_the_weights_of_one_process(learners: Learners, gap: Gap, case: str) -> None:
    """Ragged shares, a rank without rows; under LoRA in passes so small that each rank has several."""
    one, two = learners.one(case), learners.two(case)
    start = weights(one)
    wanted = trained(one)
    assert gap(wanted, start)[0] > 3e-4, "they moved much further than they may differ"
    assert gap(wanted, trained(two))[0] <= 1e-6
    two.check_equal()


@pytest.mark.parametrize("case", CASES)
def test_an_update_reports_the_whole_step(learners: Learners, case: str) -> None:
    one, two = learners.one(case), learners.two(case)
    batch = batch_of(one)
    for step in range(len(STEPS)):
        said = [made.evaluate(batch, step, ranked.nll)["nll"] for made in (one, two)]
        ours, theirs = one.update(batch, step, ranked.nll), two.update(batch, step, ranked.nll)
        assert said[1] == pytest.approx(said[0], rel=1e-6)
        assert theirs.terms["nll"] == pytest.approx(ours.terms["nll"], rel=1e-6)
        assert theirs.terms["nll"] == pytest.approx(said[1], rel=1e-6)
        assert theirs.grad_norm == pytest.approx(ours.grad_norm, rel=1e-5)
        assert theirs.pressure_T == pytest.approx(ours.pressure_T, rel=1e-5)
        assert theirs.logp_T == pytest.approx(ours.logp_T, rel=1e-5) and ours.logp_T.size > 0
        assert (theirs.tokens, theirs.applied) == (ours.tokens, True)
        assert two.version == one.version == f"run/stage@{step + 1}"


def test_a_weight_without_a_gradient_stays_where_it_is(learners: Learners) -> None:
    """Nobody has rows with an answer: no gradient, so AdamW must not decay anything."""
    two = learners.two("full")
    before, batch = weights(two), batch_of(two)
    silent = replace(
        batch,
        sequences=tuple(s._replace(answer=(False,) * len(s.tokens)) for s in batch.sequences),
        tokens={"weight": np.zeros(0)},
    )
    assert two.update(silent, 0, ranked.nll).applied
    assert all(torch.equal(p, before[name]) for name, p in weights(two).items())
    assert two.gradients(batch, 0, ranked.nll).keys() == before.keys()


def test_it_measures_answers_and_scores_as_one_process(learners: Learners) -> None:
    one, two = learners.one("lora"), learners.two("lora")
    trained(one, range(2))
    trained(two, range(2))
    needs = Needs(frozenset({"old_logp", "ref_logp"}))
    wanted, found = (made.measure(rows_of(one), needs) for made in (one, two))
    assert set(found) == set(wanted) == needs.columns
    for name in needs.columns:
        assert [len(c) for c in found[name]] == [len(c) for c in wanted[name]]
        assert np.concatenate(found[name]) == pytest.approx(np.concatenate(wanted[name]), abs=1e-5)
    how = How("key", 1.0, 9)
    for asked in (PROMPTS[:3], PROMPTS[:1]):
        said, told = (asyncio.run(made.sampler().sample(asked, 3, how)) for made in (one, two))
        assert [[r.id for r in g.responses] for g in told] == [[r.id for r in g.responses] for g in said]
    texts = [Text(g.prompt, r) for g in said for r in g.responses]
    want = frozenset({"logp", "entropy"})
    read, again = (asyncio.run(made.sampler().score(texts, want)) for made in (one, two))
    for ours, theirs in zip(read, again, strict=True):
        assert all(theirs.columns[name] == pytest.approx(ours.columns[name], abs=1e-5) for name in want)


def test_its_view_keeps_the_promises_of_a_sampler(learners: Learners) -> None:
    two = learners.two("lora")
    trained(two, range(1))
    check_sampler(two.sampler(), PROMPTS[:3])
    assert two.notes[0].startswith("2 processes share the rows")


def test_calls_of_a_view_may_be_under_way_together(learners: Learners) -> None:
    """Overseers ask when they like; every rank makes the calls in one order."""
    two = learners.two("lora")
    view, how = two.sampler(), How("key", 1.0, 6)
    texts = [Text(p, view.encode(p, a)) for p, a in zip(PROMPTS, ANSWERS, strict=True)]

    async def both() -> list[Any]:
        asked = [view.sample(PROMPTS[:2], 2, how), view.score(texts, frozenset({"logp"}))]
        return await asyncio.gather(*asked, view.sample(PROMPTS[:2], 2, how))

    first, scored, second = asyncio.run(both())
    assert [[r.id for r in g.responses] for g in first] == [[r.id for r in g.responses] for g in second]
    assert [len(s.columns["logp"]) for s in scored] == [len(t.response.tokens) for t in texts]


def test_a_view_is_of_its_version_and_a_kept_policy_of_every_rank(learners: Learners, tmp_path: Path) -> None:
    two = learners.two("lora")
    view = two.sampler()
    trained(two, range(1))
    with pytest.raises(ContractError, match="before the next update"):
        asyncio.run(view.sample(PROMPTS[:1], 1, How("key", 1.0, 2)))
    with pytest.raises(ContractError, match="before the next update"):
        asyncio.run(view.score([], frozenset({"logp"})))
    two.snapshot(tmp_path / "kept")
    said = asyncio.run(two.sampler().sample(PROMPTS[:4], 2, How("key", 1.0, 4)))
    trained(two, range(1, 2))
    assert asyncio.run(two.read(tmp_path / "kept").sample(PROMPTS[:4], 2, How("key", 1.0, 4))) == said
    two.check_equal()


@pytest.mark.parametrize("way", ["two, then one", "one, then two"])
def test_a_checkpoint_goes_on_in_another_number_of_processes(
    learners: Learners, gap: Gap, tmp_path: Path, way: str
) -> None:
    wanted = trained(learners.one("lora"))
    made = {"one": learners.one, "two": learners.two}
    before, after = (made[name]("lora") for name in way.split(", then "))
    trained(before, range(3))
    after.restore(before.save(tmp_path / "saved"))
    assert after.version == "run/stage@3"
    assert gap(wanted, trained(after, range(3, 5)))[0] <= 1e-6


def test_a_reward_model_remembers_what_all_ranks_saw(tiny: Path, tmp_path: Path) -> None:
    method = RewardModel(heads=2, rows_per_step=4)
    one = ranked.one(tiny, method.needs())
    episodes = [row.episodes[0] for row in rows_of(one)]
    couples = zip(episodes[::2], episodes[1::2], strict=True)
    pairs = [Row((chosen, asked_too(other, chosen)), {"p": 1.0}) for chosen, other in couples]
    batch, _ = method.batch(Window(0, tuple(pairs)), {}, np.random.default_rng(0))
    two = ranked.two(tiny, method.needs())
    for made in (one, two):
        assert made.update(batch, 0, method.loss).applied
    cards = [made._seen.card(2) for made in (one, two)]
    assert len(two._seen.rows) == len(one._seen.rows) == 8
    assert cards[1].shift == pytest.approx(cards[0].shift, abs=1e-6)
    assert cards[1].spread_limit == pytest.approx(cards[0].spread_limit, abs=1e-6)
    folder, (pid,) = two._group.place.folder, two._group.pids
    del two, made
    gc.collect()
    assert soon(lambda: gone(pid)), "a follower ends with its learner"
    assert not folder.exists()


def asked_too(episode: Episode, other: Episode) -> Episode:
    """The same answer to another prompt."""
    told = episode.model_dump() | {"prompt": other.prompt, "prompt_tokens": other.prompt_tokens}
    return Episode.model_validate(told)


# What goes wrong


def test_an_error_of_any_rank_is_raised_and_leaves_all_as_they_were(learners: Learners, gap: Gap) -> None:
    two = learners.two("lora")
    before, batch = weights(two), batch_of(two)
    for there in (True, False):
        with pytest.raises(ArithmeticError, match="told to raise over") as told:
            two.update(batch, 0, ranked.Breaks(os.getpid(), there).loss)
        assert any("on another rank" in note for note in getattr(told.value, "__notes__", [])) is not there
        with pytest.raises(ArithmeticError, match="told to raise over"):
            two.evaluate(batch, 0, ranked.Breaks(os.getpid(), there).loss)
    with pytest.raises(ContractError, match="loss can be sent"):
        two.update(batch, 0, lambda out, part: ranked.nll(out, part))
    with pytest.raises(ContractError, match="loss returns the terms"):
        two.update(replace(batch, counts=({"other": 1.0},) * 5), 0, ranked.nll)
    with pytest.raises(PlanError, match="columns this engine measures"):
        two.measure(rows_of(two), Needs(frozenset({"no such column"})))
    with pytest.raises((Unreadable, FileNotFoundError)):
        two.restore(ModelRef(name="none", path="no/such/folder"))
    assert gap(before, weights(two)) == (0.0, 0.0)
    assert not two.update(batch, 0, ranked.not_a_number).applied
    assert gap(before, weights(two)) == (0.0, 0.0)
    assert gap(trained(learners.one("lora")), trained(two))[0] <= 1e-6


def test_every_rank_foresees_its_share(learners: Learners, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the memory that is left is each one's; what one refuses, all refuse, and can go on."""
    two = learners.two("lora")
    batch, rows = batch_of(two), rows_of(two)
    drawing = Drawing(1, 8, 2, 5, 4, True)
    ahead = Ahead(Window(0, tuple(rows)), batch, 3, (drawing,), 100, (two.sampler(),))
    told = two.foresee(ahead)
    assert told[0] == "for each of 2 processes, with its share of the rows:"
    assert any(line.startswith("time: about") for line in told)
    mine = two._shared(ahead)
    assert 0 < sum(map(len, mine.batch.steps)) < sum(map(len, STEPS))
    assert 0 < len(mine.window.rows) < len(rows)
    assert mine.drawings[0].prompts == 4
    foresight = "accord.engines.local.foresight"
    monkeypatch.setattr(f"{foresight}.room", lambda device: 10)
    monkeypatch.setattr(f"{foresight}.held", lambda device: 0)
    monkeypatch.setattr(f"{foresight}.refusal", lambda *given: Refused(f"{given[3]} are too few: learner.lr"))
    with pytest.raises(Refused, match=r"^5 are too few: learner\.local\.lr$"):
        two.foresee(ahead)
    assert two.update(batch, 0, ranked.nll).applied


def test_ranks_that_drifted_apart_are_not_saved(learners: Learners, tmp_path: Path) -> None:
    two = learners.two("full")
    two.update(batch_of(two), 0, ranked.Spoils(os.getpid()).loss)
    with pytest.raises(ContractError, match="holds the same weights"):
        two.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_follower_that_dies_ends_the_run_with_a_clear_error(learners: Learners) -> None:
    two = learners.two("full")
    folder = two._group.place.folder
    began = time.monotonic()
    with pytest.raises(AccordError, match=r"rank 1 of 2 was ended by signal 9 \(SIGKILL\)") as told:
        two.update(batch_of(two), 0, ranked.Dies(os.getpid()).loss)
    assert time.monotonic() - began < 60
    assert str(folder / "rank-1.log") in str(told.value)
    assert "told to die" in str(told.value)
    with pytest.raises(AccordError, match="were ended"):
        two.update(batch_of(two), 0, ranked.nll)
    shutil.rmtree(folder)


def test_a_call_that_is_broken_off_ends_the_others(learners: Learners) -> None:
    """Ctrl-C while answers are drawn: nobody knows how far the others are, so they are let go."""
    two = learners.two("lora")
    folder, (pid,) = two._group.place.folder, two._group.pids

    async def broken_off() -> None:
        drawing = asyncio.ensure_future(two.sampler().sample(PROMPTS, 4, How("key", 1.0, 64)))
        await asyncio.sleep(0.01)
        drawing.cancel()
        await drawing

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(broken_off())
    assert soon(lambda: gone(pid))
    assert not folder.exists()


def test_followers_end_with_rank_zero(tiny: Path) -> None:
    """Killed without a warning; or at its end, then without a word of gloo's and with nothing left behind."""
    path = {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    told: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    words = [sys.executable, "-m", "invariance.ranked", str(tiny)]
    killed, ended = (
        subprocess.Popen([*words, ends], env={**os.environ, **path}, **told) for ends in ("killed", "ended")
    )
    folder, pid = killed.stdout.readline().split()
    assert not gone(int(pid))
    killed.kill()
    killed.wait(120)
    assert soon(lambda: gone(int(pid)), 60)
    shutil.rmtree(folder)
    out, err = ended.communicate(timeout=240)
    assert (ended.returncode, err) == (0, "")
    folder, pid = out.split()
    assert gone(int(pid))
    assert not Path(folder).exists()


# In a plan


def test_a_plan_gives_the_model_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    plan = tiny_plan(only=True, guard=GUARD)
    local = {k: v for k, v in plan["stage"][0]["learner"].items() if k != "name"}
    shared = tiny_plan(only=True, guard=GUARD, learner={"name": "ranks", "processes": 2, "local": local})
    found: list[Weights] = []
    for name, table in (("one", plan), ("two", shared)):
        outcome = run(Plan.model_validate(table), runs=Path(name), name="run", store="none")
        assert outcome.action == "done", outcome.decision
        found.append(load_file(outcome.folder / "amplify" / "model" / "model.safetensors"))
    start = load_file(tmp_path / "tiny" / "model.safetensors")
    assert found[0].keys() == found[1].keys()
    moved = max(float((found[0][name] - start[name]).abs().max()) for name in found[0])
    apart = max(float((found[0][name] - found[1][name]).abs().max()) for name in found[0])
    assert moved > 1e-3
    assert apart <= 1e-5


def test_its_settings_are_those_of_a_plan(tiny: Path) -> None:
    made = cast(Ranks, build("engines", {"name": "ranks", "processes": 3, "local": {"lr": 0.5}}))
    assert made.local.lr == 0.5
    assert made.environment()["processes"] == "3"
    assert made.environment() != made.model_copy(update={"processes": 2}).environment()
    with pytest.raises(PlanError, match=r"learner\.local\.lrr"):
        build("engines", {"name": "ranks", "local": {"lrr": 0.5}}, "learner")
    made.model_copy(update={"local": made.local.model_copy(update={"device": "cpu"})}).check(str(tiny))
    alone = Ranks(processes=1, local=made.local)
    assert not hasattr(alone.learner(str(tiny), ranked.Task("run/stage", 0)), "_group")
