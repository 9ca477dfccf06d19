"""check_method and check_source: what a window teaches, and that windows depend on their index alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, cast

import numpy as np

from accord.engines.scripted import Evaluated, evaluate
from accord.engines.scripted.losses import Beside
from accord.measuring import mismatched
from accord.ports import Feedback, Loss, Marking, Memory, Method, Needs, Out, Sampler, Shape, Source
from accord.records import JSON, Episode, Prompt, canonical
from accord.records.rows import Batch, Floats, Row, Window
from accord.testing.building import a_response
from accord.testing.promises import promised

__all__ = ["check_method", "check_source", "windows_for"]


def check_method(
    method: Method, *, columns: Sequence[str] = (), tensors: Literal["torch", "numpy"] = "torch"
) -> None:
    """ContractError with the first promise that is broken, on small windows of the method's own shape.

    ``columns`` are those of the plan's asks that it reads: by default ``score``, of pairs ``p`` (and
    ``weight``, the number of votes, which pairs always have). ``tensors``: see the scripted engine. Whether
    it reaches the optimum it should is asked by ``optimum.py``.
    """
    shape = method.rows
    promised(method, "rows ask for one answer or more", shape.n >= 1, shape)
    measured = _measured_columns(method)
    for plain in windows_for(shape, columns, measured):
        given = _mismatched(plain, method.needs())
        for window in (given, *_marked(method, given)):
            _check_taught(method, window, tensors)
    nothing = _mismatched(Window(0, (), dict.fromkeys(measured, ())), method.needs())
    empty, _ = method.batch(nothing, {}, _rng())
    promised(method, "a window without rows has no steps", not empty.steps, empty.steps)


def _check_taught(method: Method, window: Window, tensors: Literal["torch", "numpy"]) -> None:
    batch, memory = _check_pure(method, window)
    _check_batch(method, window, batch)
    _check_missing(method, window, batch)
    for step in range(len(batch.steps)):
        _check_loss(method, batch, step, tensors)
    kept = cast(Memory, json.loads(canonical(cast(JSON, memory))))
    one, two = (method.batch(window, m, _rng())[0] for m in (memory, kept))
    promised(method, "Memory is JSON: it works on after a resume as before", _same(one, two), kept)


def windows_for(
    shape: Shape, columns: Sequence[str] = (), measured: frozenset[str] = frozenset()
) -> list[Window]:
    """A plain window, one with ties and missing rows, and one of missing rows only, of the given shape."""
    plain = [[0.1 * ((3 * g + 5 * k) % 11) for k in range(max(2, shape.n))] for g in range(3)]
    ragged: list[list[float | None]] = [[1.0, 1.0, None], [None, 0.0], [0.5]]
    missing: list[list[float | None]] = [[None, None], [None]]
    tables = cast("list[list[list[float | None]]]", [plain, ragged, missing])
    columns = columns or (("p",) if shape.unit == "pair" else ("score",))
    return [_window(index, table, shape, columns, measured) for index, table in enumerate(tables)]


def _window(
    index: int,
    table: Sequence[Sequence[float | None]],
    shape: Shape,
    columns: Sequence[str],
    measured: frozenset[str],
) -> Window:
    rows: list[Row] = []
    for g, scores in enumerate(table):
        prompt = Prompt.of(f"prompt {g}")
        for k, score in enumerate(scores):
            episodes = _episodes(prompt, g, k, shape)
            value = float("nan") if score is None else score
            votes = {"weight": float(1 + k)} if shape.unit == "pair" else {}
            rows.append(Row(episodes, {**votes, **dict.fromkeys(columns, value)}, score is None, g))
    sequences = [s for row in rows for e in row.episodes for s in e.sequences()]
    rng = np.random.default_rng(index)
    found = {name: tuple(_measured(name, sum(s.answer), rng) for s in sequences) for name in sorted(measured)}
    return Window(index, tuple(rows), found)


def _episodes(prompt: Prompt, g: int, k: int, shape: Shape) -> tuple[Episode, ...]:
    """An answer, a pair of answers, or one episode of two turns or three with rewards of 1, 0 and none."""
    asked = (1, 2, 90 + g)
    if shape.unit != "episode":
        members = range(2 * k, 2 * k + 2) if shape.unit == "pair" else range(k, k + 1)
        said = [a_response(prompt, f"{g}.{m}", m, (100 + 16 * g + m, *range(3, 3 + m))) for m in members]
        return tuple(Episode.single(r.model_copy(update={"prompt_tokens": asked})) for r in said)
    turns = range(2 + k % 2)
    told = [(100 + 16 * g + k, *range(3, 4 + t)) for t in turns]
    before = [(*asked, *(token for turn in told[:t] for token in (*turn, 80))) for t in turns]
    rewards = tuple((1.0, 0.0, None)[(g + k + t) % 3] for t in turns)
    names = tuple(f"{g}.{k}.{t}" for t in turns)
    return (
        Episode(
            prompt=prompt.id,
            responses=names,
            prompt_tokens=tuple(before),
            tokens=tuple(told),
            rewards=rewards,
        ),
    )


def _mismatched(window: Window, needs: Needs) -> Window:
    """The window with what a method needs of mismatched answers, if it does."""
    if not needs.mismatched:
        return window
    rng, rows = np.random.default_rng(window.index + 100), mismatched(window.rows)
    sizes = [len(row.episodes[-1].tokens[-1]) for row in rows]
    more = {f"mismatched_{n}": tuple(_measured(n, s, rng) for s in sizes) for n in sorted(needs.columns)}
    return replace(window, measured={**window.measured, **more})


def _measured_columns(method: Method) -> frozenset[str]:
    needs = method.needs()
    return needs.columns | {one.column for one in needs.reads}


def _measured(name: str, size: int, rng: np.random.Generator) -> Floats:
    """Log-probabilities are under 0, values on either side of it; most tokens lie within a nucleus."""
    if name == "support":
        return (rng.random(size) < 0.8).astype(np.float64)
    return -rng.exponential(size=size) if name.endswith("logp") else rng.normal(size=size)


def _check_pure(method: Method, window: Window) -> tuple[Batch, Memory]:
    given: dict[str, JSON] = {}
    found = np.random.get_state()  # noqa: NPY002 - the global generator is what a method must not draw from
    try:
        np.random.seed(0)  # noqa: NPY002
        batch, memory = method.batch(window, given, _rng())
        np.random.seed(1)  # noqa: NPY002
        again, remembered = method.batch(window, {}, _rng())
    finally:
        np.random.set_state(found)  # noqa: NPY002
    promised(method, "batch leaves the Memory it was given as it was", not given, given)
    promised(method, "batch is pure: equal inputs, equal outputs", _same(batch, again), "another batch")
    same = canonical(cast(JSON, memory)) == canonical(cast(JSON, remembered))
    promised(method, "batch is pure: equal inputs, equal outputs", same, "another memory")
    return batch, memory


def _marked(method: Method, window: Window) -> list[Window]:
    """The window as a method that marks would have it; marks stand in prompts, and change nothing else."""
    if not isinstance(method, Marking):
        return []

    def rendered(prompt: str, mark: str) -> tuple[int, ...]:
        return tuple(f"{mark}/{prompt}".encode())

    def stays(row: Row, columns: Mapping[str, float]) -> str:
        answers = [(e.prompt, e.responses, e.tokens, len(e.prompt_tokens)) for e in row.episodes]
        return repr((row.group, row.missing, row.parents, answers, {n: row.columns.get(n) for n in columns}))

    found, again = (method.marked(window, rendered, _rng()) for _ in range(2))
    promised(
        method, "marked is pure: equal inputs, equal outputs", repr(found) == repr(again), "another window"
    )
    pairs = list(zip(window.rows, found.rows, strict=False))
    kept = all(stays(before, before.columns) == stays(after, before.columns) for before, after in pairs)
    promise = "marked writes into prompts alone: rows, answers and verdicts stay as they are"
    promised(method, promise, kept and len(window.rows) == len(found.rows), found.rows)
    other = method.marked(_filled(window), rendered, _rng())
    alike = [a.episodes == b.episodes for a, b in zip(found.rows, other.rows, strict=True) if not a.missing]
    promised(method, "a row that is missing has no say in the marks of others", all(alike), alike)
    return [found]


def _check_batch(method: Method, window: Window, batch: Batch) -> None:
    steps, counts = len(batch.steps), len(batch.counts)
    promised(method, "counts holds the denominators of every step", steps == counts, f"{counts} for {steps}")
    rows = int(batch.row_S.max()) + 1 if batch.row_S.size else 0
    promised(
        method, "row_S gives each sequence its row", len(batch.row_S) == len(batch.sequences), batch.row_S
    )
    for step in batch.steps:
        inside = step.size > 0 and bool(((step >= 0) & (step < rows)).all())
        promised(method, "a step lists rows of the batch, at least one", inside, step)
    for count in batch.counts:
        names = set(count) == set(batch.weights)
        promised(method, "every term has a weight and a count", names, f"{set(count)}, {set(batch.weights)}")
        positive = all(np.isfinite(c) and c > 0 for c in count.values())
        promised(method, "counts are finite and over 0", positive, count)
    tokens = int(batch.lengths_S().sum())
    for name, column in batch.tokens.items():
        promised(method, f"tokens[{name!r}] has a value per answer token", len(column) == tokens, len(column))
        promised(method, f"tokens[{name!r}] is finite", bool(np.isfinite(column).all()), column)
    for name, column in batch.rows.items():
        promised(method, f"rows[{name!r}] has a value per row", len(column) >= rows, len(column))
    known = [s for row in window.rows for e in row.episodes for s in e.sequences()]
    strange = [s for s in batch.sequences if s not in known]
    promised(method, "the sequences of a batch are those of the window", not strange, strange)


def _check_missing(method: Method, window: Window, batch: Batch) -> None:
    """A missing row teaches nothing, whatever its columns hold."""
    filled, _ = method.batch(_filled(window), {}, _rng())
    same = _same(replace(filled, scalars={}), replace(batch, scalars={}))
    promised(method, "a row that is missing has no say in the batch", same, "its columns changed the batch")
    gone = [s for row in window.rows if row.missing for e in row.episodes for s in e.sequences()]
    if all(row.missing for row in window.rows):
        promised(method, "a window of missing rows has no steps", not batch.steps, batch.steps)
    taught = [s for s in batch.sequences if s in gone]
    promised(method, "a row that is missing is not trained on", not taught, taught)


def _filled(window: Window) -> Window:
    """The window with numbers in the rows that have none."""
    rows = [replace(r, columns=dict.fromkeys(r.columns, 1e6)) if r.missing else r for r in window.rows]
    return replace(window, rows=tuple(rows))


def _check_loss(method: Method, batch: Batch, step: int, tensors: Literal["torch", "numpy"]) -> None:
    """Totals are row-local: they add over any split, with the gradient of the whole."""
    part, counts = batch.take(batch.steps[step]), batch.counts[step]
    scale = {name: batch.weights[name] / counts[name] for name in counts}
    loss, heads = _watched(method), method.needs().scores

    def found(micro: Batch, scale: Mapping[str, float]) -> Evaluated:
        return evaluate(loss, micro, _logp_of(micro), scale, tensors, Beside.made_up(micro, heads))

    whole = found(part, scale)
    finite = all(np.isfinite(total) for total in whole.totals.values())
    promised(method, "loss is finite on finite log-probabilities", finite, whole.totals)
    if not method.pushes_down:
        up = bool((whole.pressure_T <= 1e-12).all())
        promised(method, "pushes_down is False: no answer token loses probability", up, whole.pressure_T)
    if tensors == "torch" and (figures := sorted(n for n in scale if batch.weights[n] == 0)):
        bare = found(part, {name: float(name in figures) for name in scale})
        still = not any(slope.any() for slope in bare[1:])
        promised(method, "terms of weight 0 are figures, without a gradient", still, figures)
    rows = sorted({int(r) for r in part.row_S})
    for split in ([[r] for r in rows], [rows[::-1]], [rows[::2], rows[1::2]]):
        parts = [part.take(rows) for rows in split if rows]
        _check_split(method, [part, *parts], [whole, *(found(micro, scale) for micro in parts)])


def _watched(method: Method) -> Loss:
    """The method's loss, seeing no more than its needs name."""

    class Seen:
        def __init__(self, out: Out, needs: Needs) -> None:
            self._out, self._needs = out, needs
            self.logp_T, self.sequence_T = out.logp_T, out.sequence_T

        @property
        def score_SK(self) -> object:
            promised(method, "needs names the scores that loss reads", self._needs.scores > 0, self._needs)
            return self._out.score_SK

        @property
        def score_TK(self) -> object:
            promised(method, "needs names the scores that loss reads", self._needs.scores > 0, self._needs)
            return self._out.score_TK

        @property
        def value_T(self) -> object:
            promised(method, "needs names the critic that loss reads", self._needs.critic, self._needs)
            return self._out.value_T

    return lambda out, batch: method.loss(cast(Out, Seen(out, method.needs())), batch)


def _check_split(method: Method, batches: Sequence[Batch], found: Sequence[Evaluated]) -> None:
    """The first is the whole, the others its parts."""
    whole, parts = found[0], found[1:]
    promise = "loss is row-local: totals add, however the rows of a step are split"
    for name, wanted in whole.totals.items():
        total = sum(part.totals[name] for part in parts)
        near = abs(total - wanted) <= 1e-6 * max(1.0, abs(wanted))
        promised(method, promise, near, f"{name}: {total} in {len(parts)} parts, {wanted} at once")
    slopes = _by_sequence(batches[0], whole)
    for batch, part in zip(batches[1:], parts, strict=True):
        for tokens, slope in _by_sequence(batch, part).items():
            near = bool(np.allclose(slopes[tokens], slope, rtol=1e-5, atol=1e-7))
            promised(method, "loss is row-local: so is its gradient", near, slope)


def _by_sequence(batch: Batch, found: Evaluated) -> dict[tuple[int, ...], Floats]:
    """By the tokens of a sequence, the derivatives by all that was said of it."""
    cuts = np.cumsum(batch.lengths_S())[:-1]
    by_token = [np.split(slope, cuts) for slope in (found.pressure_T, found.value_T, found.score_TK)]
    sides = zip(*by_token, found.score_SK, strict=True)
    return {
        s.tokens: np.concatenate([slope.ravel() for slope in side])
        for s, side in zip(batch.sequences, sides, strict=True)
    }


def _logp_of(part: Batch) -> Floats:
    """Log-probabilities by the sequence and the place, so that a part has those of the whole."""
    values = [
        -0.1 * (1 + (7 * sum(s.tokens) + 3 * t) % 13) for s in part.sequences for t in range(sum(s.answer))
    ]
    return np.array(values, dtype=np.float64)


def _same(one: Batch, two: Batch) -> bool:
    def equal(a: Mapping[str, Floats], b: Mapping[str, Floats]) -> bool:
        return a.keys() == b.keys() and all(np.array_equal(a[n], b[n], equal_nan=True) for n in a)

    return (
        one.sequences == two.sequences
        and bool(np.array_equal(one.row_S, two.row_S))
        and len(one.steps) == len(two.steps)
        and all(np.array_equal(a, b) for a, b in zip(one.steps, two.steps, strict=True))
        and (one.counts, one.weights) == (two.counts, two.weights)
        and equal(one.rows, two.rows)
        and equal(one.tokens, two.tokens)
        and canonical(dict(one.scalars)) == canonical(dict(two.scalars))
    )


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def check_source(
    fresh: Callable[[], Source], policy: Sampler, feedback: Feedback, *, shape: Shape, windows: int = 4
) -> None:
    """ContractError with the first promise that is broken. ``fresh`` opens the same source each time.

    Equal policies and a feedback that repeats itself are taken for granted; ``shape`` is the method's.
    """
    source = fresh()
    prompts = [prompt.id for prompt in source.prompts()]
    promised(source, "prompts lists all prompts that it can draw", bool(prompts), "none")
    seen = [source.window(index, policy, feedback) for index in range(windows)]
    for index, window in enumerate(seen):
        _check_window(source, window, index, set(prompts), shape)
    promise = "window k is a function of k, the policy and the feedback: no hidden cursor"
    other = fresh()
    for index in reversed(range(windows)):
        same = _rows_of(other.window(index, policy, feedback)) == _rows_of(seen[index])
        promised(source, promise, same, f"another window {index} when asked in another order")
    same = _rows_of(source.window(0, policy, feedback)) == _rows_of(seen[0])
    promised(source, promise, same, "another window 0 when asked again")


def _check_window(source: Source, window: Window, index: int, prompts: set[str], shape: Shape) -> None:
    promised(source, "a window carries its index", window.index == index, window.index)
    promised(source, "a window has rows", bool(window.rows), "none")
    members = {"answer": 1, "episode": 1, "pair": 2}[shape.unit]
    homes: dict[int, str] = {}
    for row in window.rows:
        size = len(row.episodes)
        promised(source, f"a row is of the method's unit, {shape.unit}", size == members, f"{size} episodes")
        asked = {episode.prompt for episode in row.episodes}
        promised(source, "the episodes of a row share their first prompt", len(asked) == 1, asked)
        promised(source, "every row's prompt is among prompts()", asked <= prompts, asked)
        home = homes.setdefault(row.group, next(iter(asked)))
        promised(source, "the rows of a group share their prompt", {home} == asked, row.group)
        finite = row.missing or all(np.isfinite(v) for v in row.columns.values())
        promised(source, "a row without a number is marked missing", finite, row.columns)
    if shape.by == "policy" and shape.unit != "pair":
        sizes = [sum(row.group == g for row in window.rows) for g in homes]
        promised(
            source, f"a group holds the n = {shape.n} answers of the method", set(sizes) == {shape.n}, sizes
        )


def _rows_of(window: Window) -> list[tuple[object, ...]]:
    return [
        (tuple(e.id for e in row.episodes), canonical(dict(row.columns)), row.missing, row.group)
        for row in window.rows
    ]
