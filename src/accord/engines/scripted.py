"""The scripted engine: a table of probabilities in place of a network. The public fake, exact to the last digit.

The model is a row of logits over a few words and the end for each context (all tokens before it), so sampling,
scores and gradients are what a hand can work out, and a whole stage takes milliseconds. Plain gradient descent on
the rows, in float64. Only the loss of a method needs more than numpy:

- ``tensors = "torch"`` (default) hands the method torch tensors, as every engine does; torch gives
  ∂objective/∂log π, the table does the rest. It runs every method.
- ``tensors = "numpy"`` hands it numpy arrays and takes the same derivative by central differences. It runs a
  method whose loss is arithmetic alone, where torch is not installed. It does not run ``sft`` or ``best_of_n``.

Not for answers anyone would want to read.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, cast

import numpy as np
from pydantic import Field, model_validator

from accord.errors import ContractError, PlanError, Unreadable
from accord.part import Part
from accord.ports import How, Learner, Loss, Needs, Out, Sampler, Scored, StepOutcome
from accord.progress import Progress, Silent
from accord.records import JSON, Episode, ModelRef, Prompt, Response, digest
from accord.records import Sequence as Masked
from accord.records.rows import Batch, Floats, Group, Row, Text

__all__ = ["Evaluated", "Scripted", "ScriptedLearner", "ScriptedSampler", "evaluate"]

END = 0
_FILE = "scripted.json"
_STEP = 1e-6  # of the central differences; their error on a smooth loss is about its square

Context = tuple[int, ...]


class Scripted(Part):
    """A tabular model. A plan names it by ``model = "scripted"``, or by the folder of an exported table.

    Answers are ``shortest`` to ``longest`` words and the end. ``p`` gives the probabilities of the first word by
    the text of the prompt; every other row starts equal, or normal with deviation ``spread`` from its context.
    """

    words: tuple[str, ...] = ("yes", "no", "maybe")
    shortest: int = Field(default=1, ge=0)
    longest: int = Field(default=1, ge=1)
    p: dict[str, tuple[float, ...]] = {}
    spread: float = Field(default=0.0, ge=0)
    lr: float = Field(default=0.5, gt=0)
    tensors: Literal["torch", "numpy"] = "torch"

    @model_validator(mode="after")
    def _can_speak(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"shortest {self.shortest} is over longest {self.longest}")
        if (
            not self.words
            or len(set(self.words)) < len(self.words)
            or any(len(w.split()) != 1 for w in self.words)
        ):
            raise ValueError(
                f"words are one or more, all different, none empty or with a blank: {self.words}"
            )
        for text, p in self.p.items():
            if len(p) != len(self.words) or min(p) < 0 or not math.isclose(sum(p), 1, abs_tol=1e-9):
                raise ValueError(f"p[{text!r}] is not one probability for each of {self.words}: {p}")
        return self

    def learner(self, model: str, run: str, seed: int, progress: Progress) -> Learner:
        """A learner that starts from ``model``. Nothing in it is drawn, so ``seed`` changes nothing."""
        del seed
        return ScriptedLearner(Table.open(self, model), model, run, progress)

    def sampler(self, model: str, progress: Progress) -> Sampler:
        """A table that is only read; its policy name is the digest of its rows."""
        table = Table.open(self, model)
        return ScriptedSampler(table, f"base:{digest(table.written())[:16]}", progress=progress)

    def environment(self) -> dict[str, str]:
        """What must be equal for a run to resume to the bit."""
        return {"engine": "scripted", "numpy": np.__version__}


class Table:
    """The model: logits for each context; a context that was never trained has those it starts with."""

    def __init__(self, start: Scripted, rows: Mapping[Context, Floats] | None = None) -> None:
        self.start = start
        self.rows: dict[Context, Floats] = dict(rows or {})
        self.tokenizer = digest(["scripted", *start.words])
        self._ids = {word: i for i, word in enumerate(start.words, start=1)}
        self._opening = {self.render(Prompt.of(text)): p for text, p in start.p.items()}

    @classmethod
    def open(cls, start: Scripted, model: str) -> Table:
        """The start itself, or what ``written`` once wrote into a folder."""
        if model == "scripted":
            return cls(start)
        file = Path(model) / _FILE
        if not file.is_file():
            raise PlanError("model", model, '"scripted", or a folder that the scripted engine exported')
        try:
            tree = cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8")))
            said, rows = tree["start"], cast("dict[str, list[float]]", tree["rows"])
            table = cls(start, {_context(at): np.array(row, dtype=np.float64) for at, row in rows.items()})
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable(file, "a table of the scripted engine", str(error)) from error
        if said != table.written()["start"]:
            raise PlanError(
                "learner", model, "the words and first probabilities that the table was made with"
            )
        return table

    def written(self) -> dict[str, JSON]:
        """The table as JSON; floats come back to the bit."""
        own = {"words", "shortest", "longest", "p", "spread"}
        rows = {",".join(map(str, at)): row.tolist() for at, row in sorted(self.rows.items())}
        return {
            "start": cast(JSON, self.start.model_dump(mode="json", include=own)),
            "rows": cast(JSON, rows),
        }

    def copy(self) -> Table:
        return Table(self.start, {at: row.copy() for at, row in self.rows.items()})

    def words(self, text: str) -> tuple[int, ...]:
        """The tokens of an answer that stops. PlanError for a word that the table does not have."""
        if strange := [word for word in text.split() if word not in self._ids]:
            raise PlanError(
                "text", strange[0], f"the words of the scripted engine: {' '.join(self.start.words)}"
            )
        return (*(self._ids[word] for word in text.split()), END)

    def text(self, tokens: Sequence[int]) -> str:
        return " ".join(self.start.words[t - 1] for t in tokens if 0 < t <= len(self._ids))

    def render(self, prompt: Prompt) -> tuple[int, ...]:
        """Earlier answers as the tokens they had, everything else as bytes; so a conversation extends itself."""
        said: list[int] = []
        for message in prompt.messages:
            if message.role == "assistant":
                said += self.words(message.content)
            else:
                text = f"{message.role}: {message.content}\n".encode("utf-8", "surrogatepass")
                said += [len(self._ids) + 1 + byte for byte in text]
        return tuple(said)

    def raw(self, context: Context) -> Floats:
        """The trained or starting logits of a context, before anything is barred."""
        if context in self.rows:
            return self.rows[context]
        if context in self._opening:
            with np.errstate(divide="ignore"):
                return np.log(np.array([1.0, *self._opening[context]], dtype=np.float64))
        seed = int(digest([self.tokenizer, *context])[:32], 16)
        draw = np.random.Generator(np.random.Philox(key=seed)).standard_normal(len(self._ids) + 1)
        return cast(Floats, self.start.spread * draw)

    def logp(self, context: Context, allowed: tuple[int, ...] | None, temperature: float) -> Floats:
        """Log-probabilities of the end and of each word; −∞ for what cannot be said here."""
        depth = 0
        while depth < len(context) and 0 < context[-1 - depth] <= len(self._ids):
            depth += 1
        logits = self.raw(context) / temperature
        barred = np.zeros(len(logits), dtype=np.bool_)
        barred[END] = depth < self.start.shortest
        barred[END + 1 :] = depth >= self.start.longest
        if allowed is not None:
            barred |= ~np.isin(np.arange(len(logits)), allowed)
        logits = np.where(barred, -np.inf, logits)
        top = float(logits.max())
        if top == -math.inf:
            raise PlanError(
                "prompt.allowed", allowed, f"at least one of the tokens 0 … {len(self._ids)} that can follow"
            )
        return cast(Floats, logits - top - math.log(float(np.exp(logits - top).sum())))


class ScriptedSampler:
    """Answers from the table and scores exactly. ``current`` tells the version now; a view of another raises."""

    can = frozenset({"sample", "logp", "rank", "entropy", "support"})

    def __init__(
        self,
        table: Table,
        policy: str,
        *,
        current: Callable[[], str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.policy = policy
        self._table = table
        self._current = current or (lambda: self.policy)
        self._progress = progress or Silent()

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(
            prompt=prompt.id,
            text=text,
            prompt_tokens=self._table.render(prompt),
            tokens=self._table.words(text),
            finish="data",
            tokenizer=self._table.tokenizer,
            template="scripted",
            parents=(prompt.id,),
        )

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        self._fresh()
        if how.temperature <= 0 or how.max_tokens < 1 or n < 1:
            asked = f"{how}, n={n}"
            raise ContractError(
                "the caller of ScriptedSampler", "temperature > 0, max_tokens ≥ 1, n ≥ 1", asked
            )
        groups: list[Group] = []
        for prompt in prompts:
            groups.append(Group(prompt, tuple(self._draw(prompt, i, how) for i in range(n))))
            self._progress.advance(n)
            await asyncio.sleep(0)
        return groups

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        self._fresh()
        if not want <= self.can - {"sample"}:
            raise ContractError(
                "the caller of ScriptedSampler", f"asks for {sorted(self.can)}", f"{sorted(want)}"
            )
        found: list[Scored] = []
        for text in texts:
            cells = [_measures(logp, token) for logp, token in _steps(self._table, self._sequence(text))]
            columns = {
                name: np.array([cell[name] for cell in cells], dtype=np.float64) for name in sorted(want)
            }
            found.append(Scored(columns, self._table.tokenizer))
        return found

    def load(self, table: Table, version: str) -> None:
        """Take over another table; what ``Learner.publish`` calls."""
        self._table, self.policy = table.copy(), version
        self._current = lambda: version

    def _fresh(self) -> None:
        if self._current() != self.policy:
            promise = f"uses {self.policy} before the next update"
            raise ContractError("the caller of a sampler view", promise, self._current())

    def _sequence(self, text: Text) -> Masked:
        response = text.response
        if response.tokenizer != self._table.tokenizer or not response.tokens:
            told = self.encode(text.prompt, response.text).model_dump() | {
                "temperature": response.temperature
            }
            response = Response.model_validate(told)
        return Episode.single(response, text.prompt.allowed).sequences()[0]

    def _draw(self, prompt: Prompt, index: int, how: How) -> Response:
        seed = hashlib.sha256(f"{how.key}\n{prompt.id}\n{index}".encode()).hexdigest()[:32]
        uniform = np.random.Generator(np.random.Philox(key=int(seed, 16))).random(how.max_tokens)
        opening = self._table.render(prompt)
        said: list[int] = []
        measured: list[float] = []
        for u in uniform:
            logp = self._table.logp((*opening, *said), prompt.allowed, how.temperature)
            mass = np.exp(logp).cumsum()
            # Never past the last token that has any mass, however the sum was rounded.
            token = min(
                int(np.searchsorted(mass, u * mass[-1], side="right")),
                int(np.flatnonzero(logp > -np.inf)[-1]),
            )
            said.append(token)
            measured.append(float(logp[token]))
            if token == END:
                break
        return Response(
            prompt=prompt.id,
            text=self._table.text(said),
            prompt_tokens=opening,
            tokens=tuple(said),
            finish="stop" if said[-1] == END else "length",
            policy=self.policy,
            seed=seed,
            index=index,
            temperature=how.temperature,
            tokenizer=self._table.tokenizer,
            template="scripted",
            logp=tuple(measured),
            parents=(prompt.id,),
        )


class ScriptedLearner:
    """Gradient descent on the rows of a table that the batch touches."""

    def __init__(self, table: Table, base: str, run: str, progress: Progress) -> None:
        self._table, self._reference = table, table.copy()
        self._base, self._run, self._progress = base, run, progress
        self._step = 0

    @property
    def version(self) -> str:
        return f"{self._run}@{self._step}"

    @property
    def notes(self) -> list[str]:
        """What the first screen should say."""
        return ["the scripted engine trains a table of probabilities, not a language model"]

    def sampler(self) -> Sampler:
        current = self.version
        return ScriptedSampler(self._table, current, current=lambda: self.version, progress=self._progress)

    def publish(self, sampler: Sampler) -> str:
        if not isinstance(sampler, ScriptedSampler):
            found = type(sampler).__name__
            raise ContractError("the caller of ScriptedLearner.publish", "hands in a ScriptedSampler", found)
        sampler.load(self._table, self.version)
        return self.version

    def measure(self, rows: Sequence[Row], needs: Needs) -> Mapping[str, tuple[Floats, ...]]:
        tables = {"old_logp": self._table, "ref_logp": self._reference}
        if unknown := needs.columns - tables.keys():
            raise PlanError("method", sorted(unknown), "columns this engine measures: old_logp, ref_logp")
        sequences = [s for row in rows for e in row.episodes for s in e.sequences()]
        return {name: tuple(_logp_T(tables[name], s) for s in sequences) for name in sorted(needs.columns)}

    def update(self, batch: Batch, step: int, loss: Loss) -> StepOutcome:
        part, counts = batch.take(batch.steps[step]), batch.counts[step]
        logp_T = np.concatenate([np.zeros(0), *(_logp_T(self._table, s) for s in part.sequences)])
        scale = {name: batch.weights[name] / count if count else 0.0 for name, count in counts.items()}
        found = evaluate(loss, part, logp_T, scale, self._table.start.tensors)
        gradient = self._gradient(part, found.pressure_T)
        norm = math.sqrt(sum(float((row**2).sum()) for row in gradient.values()))
        terms = {name: total / counts[name] if counts[name] else 0.0 for name, total in found.totals.items()}
        objective = sum(batch.weights[name] * value for name, value in terms.items())
        applied = math.isfinite(objective) and math.isfinite(norm)
        if applied:
            for context, slope in gradient.items():
                self._table.rows[context] = self._table.raw(context) - self._table.start.lr * slope
        self._step += 1
        tokens = sum(len(s.tokens) for s in part.sequences)
        return StepOutcome(terms, objective, norm, applied, found.pressure_T, tokens)

    def save(self, to: Path) -> ModelRef:
        to.mkdir(parents=True, exist_ok=True)
        tree = {"step": self._step, "now": self._table.written(), "reference": self._reference.written()}
        (to / "learner.json").write_text(json.dumps(tree), encoding="utf-8")
        return ModelRef(name=self.version, path=str(to), base=self._base)

    def restore(self, ref: ModelRef) -> None:
        file = Path(ref.path) / "learner.json"
        try:
            tree = cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8")))
            now, reference = (_rows(tree[name]["rows"]) for name in ("now", "reference"))
            step = int(tree["step"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unreadable(file, "what ScriptedLearner.save wrote", str(error)) from error
        self._table, self._reference = Table(self._table.start, now), Table(self._table.start, reference)
        self._step = step

    def export(self, to: Path) -> ModelRef:
        to.mkdir(parents=True, exist_ok=True)
        (to / _FILE).write_text(json.dumps(self._table.written()), encoding="utf-8")
        return ModelRef(name=self.version, path=str(to), base=self._base)

    def _gradient(self, part: Batch, pressure_T: Floats) -> dict[Context, Floats]:
        """∂objective/∂logits: ∂log π(chosen)/∂logits = (1[chosen] − π) / temperature, row by row."""
        gradient: dict[Context, Floats] = {}
        weights = iter(pressure_T.tolist())
        for sequence in part.sequences:
            for at, (logp, token) in zip(_places(sequence), _steps(self._table, sequence), strict=True):
                slope = -np.exp(logp)
                slope[token] += 1
                context = sequence.tokens[:at]
                before = gradient.get(context, np.zeros(len(slope)))
                gradient[context] = before + next(weights) * slope / sequence.temperature
        return gradient


class Evaluated(NamedTuple):
    """Totals of a loss by term, and ∂(Σ scale · total)/∂log π of every answer token."""

    totals: dict[str, float]
    pressure_T: Floats


class _Seen(NamedTuple):
    logp_T: Any
    sequence_T: Any


def evaluate(
    loss: Loss, part: Batch, logp_T: Floats, scale: Mapping[str, float], tensors: Literal["torch", "numpy"]
) -> Evaluated:
    """One loss on given log-probabilities. ContractError when its terms are not those of ``scale``.

    With ``"numpy"`` the loss is called twice for each token, so it must not remember anything.
    """
    sequence_T = np.repeat(np.arange(len(part.sequences)), part.lengths_S())

    def checked(out: _Seen) -> Mapping[str, Any]:
        totals = cast("Mapping[str, Any]", loss(cast(Out, out), part))
        if set(totals) != set(scale):
            raise ContractError("the method", f"loss returns the terms {sorted(scale)}", f"{sorted(totals)}")
        return totals

    if tensors == "torch":
        return _by_torch(checked, logp_T, sequence_T, scale)

    def objective(at: Floats) -> float:
        totals = checked(_Seen(at, sequence_T))
        return sum(scale[name] * float(total) for name, total in totals.items())

    steps = np.eye(len(logp_T)) * _STEP
    slopes = [(objective(logp_T + s) - objective(logp_T - s)) / (2 * _STEP) for s in steps]
    totals = {name: float(total) for name, total in checked(_Seen(logp_T, sequence_T)).items()}
    return Evaluated(totals, np.array(slopes, dtype=np.float64))


def _by_torch(
    loss: Callable[[_Seen], Mapping[str, Any]], logp_T: Floats, sequence_T: Any, scale: Mapping[str, float]
) -> Evaluated:
    try:
        import torch as _torch
    except ImportError as error:
        advice = 'install accord[train], or set learner.tensors = "numpy" for a loss that is arithmetic alone'
        raise PlanError("learner.tensors", "torch", "an installed torch", advice) from error
    torch = cast(Any, _torch)
    logp = torch.tensor(logp_T, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        totals = loss(_Seen(logp, torch.tensor(sequence_T)))
        objective = sum((scale[name] * total for name, total in totals.items()), start=0.0 * logp.sum())
        (slope,) = torch.autograd.grad(objective, logp)
    return Evaluated(
        {name: float(t.detach()) for name, t in totals.items()}, slope.numpy().astype(np.float64)
    )


def _places(sequence: Masked) -> list[int]:
    return [at for at, chosen in enumerate(sequence.answer) if chosen]


def _steps(table: Table, sequence: Masked) -> list[tuple[Floats, int]]:
    """For each answer token the log-probabilities it was chosen from, and which it was."""
    return [
        (table.logp(sequence.tokens[:at], sequence.allowed, sequence.temperature), sequence.tokens[at])
        for at in _places(sequence)
    ]


def _logp_T(table: Table, sequence: Masked) -> Floats:
    return np.array([logp[token] for logp, token in _steps(table, sequence)], dtype=np.float64)


def _measures(logp: Floats, token: int) -> dict[str, float]:
    p = np.exp(logp)
    over = logp > logp[token]
    return {
        "logp": float(logp[token]),
        "rank": float(over.sum()),
        "entropy": float(-(p[p > 0] * logp[p > 0]).sum()),
        "support": float(float(p[over].sum()) < 0.95),
    }


def _context(text: str) -> Context:
    return tuple(int(token) for token in text.split(",") if token)


def _rows(tree: Mapping[str, list[float]]) -> dict[Context, Floats]:
    return {_context(at): np.array(row, dtype=np.float64) for at, row in tree.items()}
