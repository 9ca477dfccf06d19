"""Evaluations: figures by hand, every row once, nothing changed, honest intervals, and what is the best."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord import evaluation
from accord.engines.scripted import Scripted
from accord.errors import PlanError
from accord.evaluation import Criterion, Evaluation, Evaluator, Standing
from accord.maths.intervals import ratio_of_sums
from accord.methods.kto import KTO
from accord.ports import Task
from accord.records import NotMeasured, Prompt, Reading
from accord.records.rows import Columns, Group, Text
from accord.sources import Offline, Surroundings, seeded
from accord.testing import PlainLikelihood
from accord.worker import Worker

P = {"Why?": (0.2, 0.7, 0.1), "How?": (0.5, 0.25, 0.25), "Who?": (0.1, 0.1, 0.8)}
ENGINE = Scripted(words=("yes", "no", "maybe"), p=P, lr=1.0, tensors="numpy")
RUN = "run/stage"
LOWER = Criterion("objective", "lower", 0, False)


class Said:
    """A Progress that remembers what stays."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, what: str, total: float | None = None) -> None:
        pass

    def advance(self, done: float = 1, note: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        self.lines.append(text)

    def end(self) -> None:
        pass


def silent(groups: Sequence[Group]) -> Columns | None:
    return None


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def data(folder: Path, rows: Sequence[tuple[str, str]]) -> str:
    file = folder / "eval.jsonl"
    file.write_text("".join(json.dumps({"prompt": p, "completion": c}) + "\n" for p, c in rows))
    return str(file)


ROWS = (("Why?", "yes"), ("How?", "yes"), ("Who?", "maybe"), ("How?", "no"), ("What?", "no"))
# Each answer is a word and the end, which is certain after one word; What? is even over three words.
NLL = -(math.log(0.2) + math.log(0.5) + math.log(0.8) + math.log(0.25) + math.log(1 / 3)) / 10


def an_evaluator(folder: Path, worker: Worker, rows: Any = ROWS, **told: Any) -> Evaluator:
    method = told.pop("method", PlainLikelihood(by="data", rows_per_step=2, likely=True))
    per_window = told.pop("per_window", 2)
    source = Offline(data=data(folder, rows), per_window=per_window).open(
        Surroundings(RUN, 0, method.rows, worker)
    )
    plain: dict[str, Any] = {
        "run": RUN,
        "seed": 0,
        "source": source,
        "windows": None,
        "criterion": LOWER,
        "method": method,
        "learner": ENGINE.learner("scripted", Task(RUN, 0)),
        "feedback": silent,
        "progress": Said(),
        "described": {"name": "plain"},
        "path": "stage[0].eval",
    }
    return Evaluator(**plain | told)


def readings(found: Evaluation) -> dict[str, Reading]:
    assert all(isinstance(one, Reading) for one in found.found), found
    return {one.name: one for one in found.found if isinstance(one, Reading)}


def train(evaluator: Evaluator, prompt: str, answer: str, times: int = 1) -> None:
    from accord.maths.batches import likelihood_batch
    from accord.records import Episode
    from accord.records.rows import Row

    said = evaluator.learner.sampler().encode(Prompt.of(prompt), answer)
    batch = likelihood_batch([Row((Episode.single(said),))], 1, 1, np.random.default_rng(0), {})
    for _ in range(times):
        evaluator.learner.update(batch, 0, PlainLikelihood().loss)


def test_figures_are_what_a_hand_finds(tmp_path: Path, worker: Worker) -> None:
    found = readings(an_evaluator(tmp_path, worker).read(0, {}, Standing(), last=False))
    assert list(found) == ["eval.nll", "eval.likely"], "the one they are judged by stands first"
    nll, likely = found["eval.nll"], found["eval.likely"]
    assert nll.value == pytest.approx(NLL, rel=1e-9)
    # Over one half: the five certain ends and "maybe"; "yes" to How? is just one half, and not over it.
    assert likely.value == pytest.approx(6 / 10)
    assert (nll.n, nll.unit, nll.step, nll.cost.tokens_in > 0) == (5, "nats/token", 0, True)
    assert likely.cost.tokens_in == 0, "what all figures took is counted once"
    assert (nll.base, nll.change) == (None, None)


@pytest.mark.parametrize("cut", [{"rows_per_step": 1}, {"rows_per_step": 9}, {"epochs": 3}])
@pytest.mark.parametrize("per_window", [1, 2, 4, 9])
def test_a_figure_does_not_depend_on_how_rows_are_cut(
    cut: dict[str, int], per_window: int, tmp_path: Path, worker: Worker
) -> None:
    """Kills: rows of the next pass counted again, epochs counted again, a mean over steps."""
    method = PlainLikelihood.model_validate({"by": "data", **cut})
    evaluator = an_evaluator(tmp_path, worker, method=method, per_window=per_window)
    found = readings(evaluator.read(0, {}, Standing(), last=False))
    assert found["eval.nll"].value == pytest.approx(NLL, rel=1e-9)
    assert found["eval.nll"].n == 5


@pytest.mark.parametrize("per_window", [1, 2, 4])
def test_a_window_left_with_one_prompt_is_compared_with_its_neighbour(
    per_window: int, tmp_path: Path, worker: Worker
) -> None:
    """Five rows never divide into such windows; with one row each, all of them are one."""
    file = tmp_path / "labels.jsonl"
    rows = [{"prompt": p, "completion": c, "label": c == "yes"} for p, c in ROWS]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    method = KTO(rows_per_step=2)
    source = Offline(data=str(file), per_window=per_window, labels="column").open(
        Surroundings(RUN, 0, method.rows, worker)
    )
    engine = ENGINE.model_copy(update={"tensors": "torch"})
    told: dict[str, Any] = {"method": method, "source": source}
    evaluator = an_evaluator(tmp_path, worker, learner=engine.learner("scripted", Task(RUN, 0)), **told)
    found = readings(evaluator.read(0, {}, Standing(), last=False))
    assert found["eval.kto"].value == pytest.approx(0.5)
    assert found["eval.kto"].n == 5


def test_nothing_is_changed_by_reading(tmp_path: Path, worker: Worker) -> None:
    evaluator = an_evaluator(tmp_path, worker)
    view = evaluator.learner.sampler()
    text = Text(Prompt.of("Why?"), view.encode(Prompt.of("Why?"), "yes"))
    before = worker.run(view.score([text], frozenset({"logp"})))[0].columns["logp"]
    memory: Mapping[str, Any] = {"windows": 3}
    evaluator.read(4, memory, Standing(), last=False)
    after = worker.run(view.score([text], frozenset({"logp"})))[0].columns["logp"]
    assert np.array_equal(before, after)
    assert evaluator.learner.version == f"{RUN}@0"
    assert memory == {"windows": 3}


def test_the_interval_resamples_steps_joined_by_their_prompts(tmp_path: Path, worker: Worker) -> None:
    method = PlainLikelihood(by="data", rows_per_step=1)
    found = readings(an_evaluator(tmp_path, worker, method=method).read(0, {}, Standing(), last=False))
    cost = {"Why?": -math.log(0.2), "How?": -math.log(0.5 * 0.25), "Who?": -math.log(0.8)}
    # How? has two rows in two steps: one prompt, one cluster. Clusters stand in the seeded order of steps.
    nll = found["eval.nll"]
    clusters = set(zip([*cost.values(), -math.log(1 / 3)], [2, 4, 2, 2], strict=True))
    widths = set[tuple[float, float]]()
    for order in permutations(sorted(clusters)):
        top, bottom = (np.array(column, dtype=np.float64) for column in zip(*order, strict=True))
        one = ratio_of_sums(top, bottom, seeded(RUN, "eval.nll", 0))
        widths.add((round(one.low, 9), round(one.high, 9)))
    assert (round(nll.low, 9), round(nll.high, 9)) in widths
    assert nll.low < NLL < nll.high


def test_one_prompt_has_no_interval_and_says_so(tmp_path: Path, worker: Worker) -> None:
    rows = (("Why?", "yes"), ("Why?", "no"), ("Why?", "maybe"))
    evaluator = an_evaluator(tmp_path, worker, rows, method=PlainLikelihood(by="data", rows_per_step=1))
    nll = readings(evaluator.read(0, {}, Standing(), last=False))["eval.nll"]
    assert (nll.low, nll.high) == (-math.inf, math.inf)
    assert nll.value == pytest.approx(-math.log(0.2 * 0.7 * 0.1) / 6)


def test_texts_that_answer_nobody_are_clusters_of_their_own(tmp_path: Path, worker: Worker) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": word}) + "\n" for word in ("yes", "no", "maybe")))
    method = PlainLikelihood(by="data", rows_per_step=1)
    source = Offline(data=str(file)).open(Surroundings(RUN, 0, method.rows, worker))
    evaluator = an_evaluator(tmp_path, worker, method=method, source=source)
    train(evaluator, "Why?", "yes")
    nll = readings(evaluator.read(0, {}, Standing(), last=False))["eval.nll"]
    assert (nll.n, math.isfinite(nll.low)) == (3, True)


def test_later_readings_are_compared_with_the_first(tmp_path: Path, worker: Worker) -> None:
    evaluator, standing = an_evaluator(tmp_path, worker), Standing()
    first = readings(evaluator.read(0, {}, standing, last=False))
    train(evaluator, "How?", "yes")
    saved = Standing(**json.loads(json.dumps(vars(standing))))
    second = readings(evaluator.read(1, {}, standing, last=False))
    for name, one in second.items():
        assert one.base == pytest.approx(first[name].value)
        assert one.change == pytest.approx(one.value - first[name].value)
        assert one.change_low is not None and one.change_high is not None
        assert one.change_low <= one.change <= one.change_high
        assert one.parents == (first["eval.nll"].id,), "all rows are named once, by the first"
    assert first["eval.likely"].parents == (first["eval.nll"].id,)
    assert len(first["eval.nll"].parents) == 5
    # A process that was killed in between, and took the standing from a checkpoint, says the same.
    (tmp_path / "again").mkdir()
    other = an_evaluator(tmp_path / "again", worker)
    train(other, "How?", "yes")
    again = readings(other.read(1, {}, saved, last=False))
    assert {n: one.id for n, one in again.items()} == {n: one.id for n, one in second.items()}
    assert saved == standing


@pytest.mark.parametrize(
    ("criterion", "least", "most"),
    [
        (LOWER, 1, 3),  # on yes and no to one question, training on yes helps first and then harms
        (Criterion("likely", "higher", 0, False), 0, 0),  # first no is likely, then yes: equal is no gain
        (Criterion("nll", "higher", 0, False), 4, 4),
    ],
)
def test_the_best_is_the_first_of_the_best_values(
    criterion: Criterion, least: int, most: int, tmp_path: Path, worker: Worker
) -> None:
    rows = (("Why?", "yes"), ("Why?", "no"))
    evaluator, standing = an_evaluator(tmp_path, worker, rows, criterion=criterion), Standing()
    by = "likely" if criterion.by == "likely" else "nll"
    seen: list[float] = []
    for step in range(5):
        seen.append(readings(evaluator.read(step, {}, standing, last=False))[f"eval.{by}"].value)
        train(evaluator, "Why?", "yes", times=3)
    wanted = min(seen) if criterion.better == "lower" else max(seen)
    assert (standing.best, standing.value) == (seen.index(wanted), wanted), seen
    assert least <= standing.best <= most, seen
    assert (standing.count, standing.step, standing.waited) == (5, 4, 4 - standing.best)


def test_patience_counts_evaluations_without_a_gain(tmp_path: Path, worker: Worker) -> None:
    criterion = Criterion("objective", "lower", 2, True)
    evaluator, standing = an_evaluator(tmp_path, worker, criterion=criterion), Standing()
    texts = [evaluator.read(step, {}, standing, last=False).event.text for step in range(3)]
    assert (standing.best, standing.waited) == (0, 2), "equal is no gain"
    assert standing.ended == "nll has not improved in 2 evaluations"
    assert texts[0].endswith("the best so far")
    assert texts[2].endswith("the stage ends early: nll has not improved in 2 evaluations")


def test_the_last_evaluation_ends_nothing_early(tmp_path: Path, worker: Worker) -> None:
    criterion = Criterion("objective", "lower", 1, True)
    evaluator, standing = an_evaluator(tmp_path, worker, criterion=criterion), Standing()
    evaluator.read(0, {}, standing, last=False)
    evaluator.read(1, {}, standing, last=True)
    assert (standing.waited, standing.ended) == (1, "")


def test_a_figure_that_is_not_there_is_a_plan_error_with_its_path(tmp_path: Path, worker: Worker) -> None:
    evaluator = an_evaluator(tmp_path, worker, criterion=Criterion("likly", "higher", 0, False))
    with pytest.raises(PlanError) as caught:
        evaluator.read(0, {}, Standing(), last=False)
    assert caught.value.path == "stage[0].eval.by"
    assert caught.value.allowed == "objective, nll, likely"
    assert caught.value.advice == 'did you mean "likely"?'


class Two(PlainLikelihood):
    """Two terms that are trained, over the same count or not."""

    same: bool = True

    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        batch, memory = super().batch(window, memory, rng)
        counts = tuple(
            {"nll": c["nll"], "rows": c["nll"] if self.same else float(len(s))}
            for s, c in zip(batch.steps, batch.counts, strict=True)
        )
        return replace(batch, counts=counts, weights={"nll": 0.5, "rows": 2.0}), memory

    def loss(self, out: Any, batch: Any) -> Any:
        return {"nll": -out.logp_T.sum(), "rows": -out.logp_T.sum()}


@pytest.mark.parametrize("same", [True, False])
def test_an_objective_of_several_terms(same: bool, tmp_path: Path, worker: Worker) -> None:
    """Its value is Σ weight · total / count; resampling steps means something only where they count alike."""
    method = Two(by="data", rows_per_step=2, same=same)
    found = readings(an_evaluator(tmp_path, worker, method=method).read(0, {}, Standing(), last=False))
    assert list(found) == ["eval.objective", "eval.nll", "eval.rows"]
    rows = NLL if same else 2 * NLL
    assert found["eval.objective"].value == pytest.approx(0.5 * NLL + 2 * rows, rel=1e-9)
    assert math.isfinite(found["eval.objective"].low) is same
    assert math.isfinite(found["eval.nll"].low)


class Unheard(PlainLikelihood):
    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        return super().batch(replace(window, rows=()), memory, rng)


class Infinite(PlainLikelihood):
    def loss(self, out: Any, batch: Any) -> Any:
        return {"nll": super().loss(out, batch)["nll"] * float("inf")}


@pytest.mark.parametrize(
    ("kind", "reason"), [(Unheard, "none of its rows has all"), (Infinite, "nll: not finite")]
)
def test_what_cannot_be_read_is_a_fault_and_no_gain(
    kind: type[PlainLikelihood], reason: str, tmp_path: Path, worker: Worker
) -> None:
    evaluator, standing = an_evaluator(tmp_path, worker, method=kind(by="data")), Standing()
    found = evaluator.read(3, {}, standing, last=False)
    (one,) = found.found
    assert isinstance(one, NotMeasured)
    assert reason in one.reason
    assert (found.event.name, found.event.step) == ("fault", 3)
    assert reason in found.event.text
    assert (standing.step, standing.count, standing.best, standing.waited) == (3, 0, -1, 0)


def test_it_says_what_it_reads_and_where_it_stops(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = an_evaluator(tmp_path, worker)
    whole.read(0, {}, Standing(), last=False)
    assert whole.progress.lines == ["an evaluation reads 5 rows in 3 windows"]  # type: ignore[attr-defined]
    one = an_evaluator(tmp_path, worker, windows=1)
    assert readings(one.read(0, {}, Standing(), last=False))["eval.nll"].n == 2
    many = an_evaluator(tmp_path, worker, windows=40)
    assert readings(many.read(0, {}, Standing(), last=False))["eval.nll"].n == 5, "a row counts once"
    monkeypatch.setattr(evaluation, "MOST", 3)
    some = an_evaluator(tmp_path, worker)
    assert readings(some.read(0, {}, Standing(), last=False))["eval.nll"].n == 4
    said: Any = some.progress
    assert said.lines == [
        "an evaluation reads 4 rows in 2 windows, perhaps not all of them: say eval.windows for more than 3"
    ]


def test_windows_that_lost_all_their_rows_are_passed_over(tmp_path: Path, worker: Worker) -> None:
    """Kills: an empty window taken for the end of a pass, and one that is waited for for ever."""
    evaluator = an_evaluator(tmp_path, worker, per_window=1)

    class Short:
        """Leaves out every row of these prompts, as a source does with rows that are too long."""

        def __init__(self, *left_out: str) -> None:
            self.inner, self.left_out = evaluator.source, {Prompt.of(text).id for text in left_out}

        def prompts(self) -> Any:
            return self.inner.prompts()

        def window(self, index: int, policy: Any, feedback: Any) -> Any:
            window = self.inner.window(index, policy, feedback)
            return replace(
                window, rows=tuple(r for r in window.rows if r.episodes[0].prompt not in self.left_out)
            )

    some: Any = Short("How?", "Who?")
    found = readings(replace(evaluator, source=some).read(0, {}, Standing(), last=False))
    assert found["eval.nll"].n == 2
    none: Any = Short(*(prompt for prompt, _ in ROWS))
    (one,) = replace(evaluator, source=none).read(0, {}, Standing(), last=False).found
    assert isinstance(one, NotMeasured)
