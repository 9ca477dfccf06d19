"""check_learner: updates that are exact, refuse what is not finite, and go on to the bit after a restore."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from accord.errors import ContractError, PlanError
from accord.maths.batches import likelihood_batch
from accord.ports import How, Learner, Needs, Out, Sampler
from accord.records import Episode, Prompt
from accord.records.rows import Batch, Floats, Row, Text
from accord.testing.promises import promised, refuses
from accord.worker import Worker

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_learner"]


def check_learner(
    fresh: Callable[[], Learner],
    prompts: Sequence[Prompt],
    folder: Path,
    *,
    other: Callable[[], Sampler] | None = None,
) -> None:
    """ContractError with the first promise that is broken. ``folder``: an empty one to save and export into.

    ``fresh`` opens the same start each time. ``other`` opens a sampler of the same model that is not the
    learner's own; with it ``publish`` is checked too. The loss used is −Σ log π, written in arithmetic alone.
    """
    with Worker() as worker:
        bench = _Bench(worker, tuple(prompts), *_answers(fresh(), prompts, worker))
        _check_measure(fresh(), bench)
        _check_update(fresh(), bench)
        _check_evaluate(fresh, bench)
        _check_done(fresh, bench)
        _check_order(fresh, bench)
        _check_refusals(fresh(), bench)
        _check_views(fresh(), bench)
        _check_saved(fresh, bench, folder)
        if other is not None:
            _check_published(fresh(), other(), bench)


@dataclass(frozen=True)
class _Bench:
    """Answers of the start, as texts, rows and a batch of one step over all of them."""

    worker: Worker
    prompts: tuple[Prompt, ...]
    texts: tuple[Text, ...]
    rows: tuple[Row, ...]
    batch: Batch

    def scores(self, sampler: Sampler) -> Floats:
        found = self.worker.run(sampler.score(self.texts, frozenset({"logp"})))
        return np.concatenate([scored.columns["logp"] for scored in found])


def _answers(
    learner: Learner, prompts: Sequence[Prompt], worker: Worker
) -> tuple[tuple[Text, ...], tuple[Row, ...], Batch]:
    groups = worker.run(learner.sampler().sample(prompts, 2, How("check_learner", 1.0, 12)))
    texts = tuple(Text(group.prompt, r) for group in groups for r in group.responses)
    rows = tuple(Row((Episode.single(text.response, text.prompt.allowed),)) for text in texts)
    batch = likelihood_batch(list(rows), 1, len(rows), np.random.default_rng(0), {})
    return texts, rows, batch


def _nll(out: Out, batch: Batch) -> Mapping[str, Tensor]:
    del batch
    return {"nll": -out.logp_T.sum()}


def _check_measure(learner: Learner, bench: _Bench) -> None:
    needs = Needs(frozenset({"old_logp", "ref_logp"}))
    found = learner.measure(bench.rows, needs)
    promised(
        learner, "measure gives the columns that are needed", frozenset(found) == needs.columns, sorted(found)
    )
    said = bench.scores(learner.sampler())
    for name, columns in found.items():
        shapes = [len(c) for c in columns]
        right = shapes == bench.batch.lengths_S().tolist()
        promised(learner, f"one {name} per answer token, an array per sequence", right, shapes)
        gap = float(np.abs(np.concatenate(columns) - said).max())
        promised(learner, f"before any update {name} is what the sampler scores", gap <= 1e-4, gap)
    learner.update(bench.batch, 0, _nll)
    after = learner.measure(bench.rows, needs)
    still = float(np.abs(np.concatenate(after["ref_logp"]) - np.concatenate(found["ref_logp"])).max())
    promised(learner, "ref_logp stays that of the start", still <= 1e-5, still)
    promise = "old_logp is that of the weights now"
    gap = float(np.abs(np.concatenate(after["old_logp"]) - bench.scores(learner.sampler())).max())
    promised(learner, promise, gap <= 1e-4, gap)
    unknown = Needs(frozenset({"no such column"}))
    refuses(
        learner, "an unknown column is a PlanError", PlanError, lambda: learner.measure(bench.rows, unknown)
    )


def _check_update(learner: Learner, bench: _Bench) -> None:
    before, version = bench.scores(learner.sampler()), learner.version
    count = float(len(before))
    outcome = learner.update(bench.batch, 0, _nll)
    expected = -float(before.sum()) / count
    promised(learner, "a finite loss is applied", outcome.applied, outcome)
    promised(
        learner, "terms are total / count, by the loss's names", set(outcome.terms) == {"nll"}, outcome.terms
    )
    near = abs(outcome.terms["nll"] - expected) <= 1e-4 * abs(expected)
    promised(learner, "terms are total / count", near, f"{outcome.terms['nll']} for {expected}")
    near = abs(outcome.objective - outcome.terms["nll"]) <= 1e-6 * abs(expected)
    promised(learner, "objective = Σ weight · term", near, outcome.objective)
    shape = outcome.pressure_T.shape
    promised(learner, "pressure_T holds one number per answer token", shape == (len(before),), shape)
    gap = float(np.abs(outcome.pressure_T + 1 / count).max())
    promised(learner, "pressure_T is ∂objective/∂log π, here −1 / count", gap <= 1e-6, outcome.pressure_T)
    told, step = outcome.logp_T, bench.batch.steps[0]
    said = replace(bench.batch, tokens={"logp": before}).take(step).tokens["logp"]
    known = not told.size or (told.shape == shape and float(np.abs(told - said).max()) <= 1e-4)
    promised(learner, "logp_T is log π of every answer token before the step, or empty", known, told)
    promised(learner, "grad_norm is that of the gradient", outcome.grad_norm > 0, outcome.grad_norm)
    promised(learner, "version changes with every update", learner.version != version, version)
    after = -float(bench.scores(learner.sampler()).sum()) / count
    promised(
        learner,
        "a small step down the gradient lowers the objective",
        after < expected,
        f"{expected} → {after}",
    )
    weighted = replace(bench.batch, weights={"nll": 3.0})
    tripled = learner.update(weighted, 0, _nll).objective / after
    promised(learner, "Batch.weights multiply the terms", abs(tripled - 3) <= 1e-3, tripled)


def _with_figure(out: Out, batch: Batch) -> Mapping[str, Tensor]:
    return {**_nll(out, batch), "figure": 2 * out.logp_T.sum()}


def _check_evaluate(fresh: Callable[[], Learner], bench: _Bench) -> None:
    """It says what an update would, figures of weight 0 included, and nothing is different after it."""
    learner, undisturbed = fresh(), fresh()
    names = {"nll", "figure"}
    counts = tuple(dict.fromkeys(names, count["nll"]) for count in bench.batch.counts)
    batch = replace(bench.batch, counts=counts, weights={"nll": 1.0, "figure": 0.0})
    view, version = learner.sampler(), learner.version
    before = bench.scores(view)
    said = learner.evaluate(batch, 0, _with_figure)
    same = learner.version == version and bool(np.array_equal(bench.scores(view), before))
    promised(learner, "evaluate changes neither weights nor version; views stay valid", same, learner.version)
    outcome = learner.update(batch, 0, _with_figure)
    promised(learner, "evaluate gives the loss's terms", set(said) == names, sorted(said))
    gap = max(abs(said[name] - value) for name, value in outcome.terms.items())
    near = gap <= 1e-5 * max(1.0, abs(outcome.terms["figure"]))
    promised(learner, "evaluate gives the terms that update reports", near, f"{dict(said)}, {outcome.terms}")
    alone = undisturbed.update(bench.batch, 0, _nll)
    near = abs(outcome.objective - alone.objective) <= 1e-6 * max(1.0, abs(alone.objective))
    promised(learner, "a term of weight 0 is no part of the objective", near, outcome.objective)
    learner.evaluate(batch, 0, _with_figure)
    for one in (learner, undisturbed):
        one.update(bench.batch, 0, _nll)
    same = bool(np.array_equal(bench.scores(learner.sampler()), bench.scores(undisturbed.sampler())))
    promised(learner, "updates come out the same to the bit, evaluated in between or not", same)
    first = bench.batch.steps[0][:1]
    counts = ({"nll": float(bench.batch.take(first).lengths_S().sum())},)
    one = replace(bench.batch, steps=(first,), counts=counts)
    expected = learner.update(one, 0, _nll)
    learner = fresh()
    for _ in range(2):
        learner.update(bench.batch, 0, _nll)
    gap = abs(learner.evaluate(one, 0, _nll)["nll"] - expected.terms["nll"])
    promised(learner, "evaluate takes the rows of its step only", gap <= 1e-5 * abs(expected.objective), gap)


def _check_done(fresh: Callable[[], Learner], bench: _Bench) -> None:
    """How much of the stage is done is told with each update; a learner keeps no clock of its own."""

    def nan(out: Out, batch: Batch) -> Mapping[str, Tensor]:
        return {"nll": _nll(out, batch)["nll"] * float("nan")}

    one, two, refused = fresh(), fresh(), fresh()
    refused.update(bench.batch, 0, nan, 0.25)
    for learner in (one, two, refused):
        learner.update(bench.batch, 0, _nll, 0.5)
    scores = [bench.scores(learner.sampler()) for learner in (one, two, refused)]
    promised(one, "equal updates at equal shares of the stage are equal to the bit", _equal(scores[:2]))
    promise = "a refused update leaves nothing behind: the next one moves as it would have"
    promised(refused, promise, _equal(scores[1:]), "other weights")


def _equal(arrays: Sequence[Floats]) -> bool:
    return bool(np.array_equal(arrays[0], arrays[1]))


def _check_order(fresh: Callable[[], Learner], bench: _Bench) -> None:
    """The order of rows within a step, and a column the loss does not read, change nothing but rounding."""
    one, two = fresh(), fresh()
    turned = replace(bench.batch, steps=tuple(step[::-1] for step in bench.batch.steps))
    for _ in range(2):
        one.update(bench.batch, 0, _nll)
        two.update(turned, 0, _nll)
    gap = float(np.abs(bench.scores(one.sampler()) - bench.scores(two.sampler())).max())
    promised(one, "the order of the rows in a step does not matter", gap <= 1e-3, gap)
    first, rest = bench.batch.steps[0][:1], bench.batch.steps[0][1:]
    parts = replace(bench.batch, steps=(first, rest), counts=bench.batch.counts * 2)
    learner = fresh()
    outcome = learner.update(parts, 0, _nll)
    size = int(bench.batch.lengths_S()[int(first[0])])
    promised(
        learner, "a step takes its own rows only", len(outcome.pressure_T) == size, len(outcome.pressure_T)
    )


def _check_refusals(learner: Learner, bench: _Bench) -> None:
    before, version = bench.scores(learner.sampler()), learner.version

    def nan(out: Out, batch: Batch) -> Mapping[str, Tensor]:
        return {"nll": _nll(out, batch)["nll"] * float("nan")}

    def infinite(out: Out, batch: Batch) -> Mapping[str, Tensor]:
        return {"nll": _nll(out, batch)["nll"] * float("inf")}

    def misnamed(out: Out, batch: Batch) -> Mapping[str, Tensor]:
        return {"other": _nll(out, batch)["nll"]}

    def broken(out: Out, batch: Batch) -> Mapping[str, Tensor]:
        raise ArithmeticError(f"told to raise over {_nll(out, batch)}")

    for loss in (nan, infinite):
        outcome = learner.update(bench.batch, 0, loss)
        promised(learner, "applied is False when the loss is not finite", not outcome.applied, outcome)
        promised(learner, "version changes also with a refused update", learner.version != version, version)
        version = learner.version
    promise = "loss returns exactly the terms of Batch.counts, else ContractError"
    refuses(learner, promise, ContractError, lambda: learner.update(bench.batch, 0, misnamed))
    refuses(
        learner,
        "an error in a loss is not swallowed",
        ArithmeticError,
        lambda: learner.update(bench.batch, 0, broken),
    )
    same = bool(np.array_equal(before, bench.scores(learner.sampler())))
    promised(learner, "a refused update leaves the weights as they were, to the bit", same)
    promised(learner, "the next good update is applied", learner.update(bench.batch, 0, _nll).applied)
    after = bench.scores(learner.sampler())
    promised(
        learner, "nothing of a refused update stays in the optimizer", bool(np.isfinite(after).all()), after
    )


def _check_views(learner: Learner, bench: _Bench) -> None:
    view = learner.sampler()
    promised(view, "a view's policy is the learner's version", view.policy == learner.version, view.policy)
    learner.update(bench.batch, 0, _nll)
    run, how = bench.worker.run, How("views", 1.0, 4)
    promise = "a view that is used after an update raises ContractError"
    refuses(view, promise, ContractError, lambda: run(view.sample(bench.prompts, 1, how)))
    refuses(view, promise, ContractError, lambda: run(view.score(bench.texts, frozenset({"logp"}))))


def _check_saved(fresh: Callable[[], Learner], bench: _Bench, folder: Path) -> None:
    learner = fresh()
    learner.update(bench.batch, 0, _nll)
    learner.sampler()
    ref = learner.save(folder / "saved")
    promised(learner, "save names the version", ref.name == learner.version, ref.name)
    for done in (0.25, 0.5):
        learner.update(bench.batch, 0, _nll, done)
    wanted = bench.scores(learner.sampler())
    for again in (fresh(), learner):
        again.restore(ref)
        promised(again, "restore brings the version back", again.version == ref.name, again.version)
        for done in (0.25, 0.5):
            again.update(bench.batch, 0, _nll, done)
        same = bool(np.array_equal(bench.scores(again.sampler()), wanted))
        promised(again, "a restored learner goes on to the bit", same)
    out = learner.export(folder / "exported")
    there = Path(out.path).is_dir() and any(Path(out.path).iterdir())
    promised(learner, "export writes the directory that it names", there, out.path)


def _check_published(learner: Learner, other: Sampler, bench: _Bench) -> None:
    learner.update(bench.batch, 0, _nll)
    version = learner.publish(other)
    promised(learner, "publish returns the version", version == learner.version, version)
    promised(
        other, "a sampler that was published to names the new version", other.policy == version, other.policy
    )
    own = bench.scores(learner.sampler())
    gap = float(np.abs(own - bench.scores(other)).max())
    promised(learner, "publish puts these weights into the other sampler", gap <= 1e-4, gap)
    learner.update(bench.batch, 0, _nll)
    still = float(np.abs(bench.scores(other) - own).max())
    promised(learner, "a later update does not reach a sampler that was published to", still <= 1e-4, still)
