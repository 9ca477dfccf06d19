"""Table: the model of the scripted engine.

Tokens where it sees all: 0 is the end, then the words, then the bytes of what is no answer. Where it sees the
last message only: the words from 0 on, so that they are the tokens of a world's alphabet; the end behind
them; then one token for each message, 48 bits of its SHA-256, which is the state.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from accord.errors import PlanError, Unreadable, Unsayable
from accord.records import JSON, Prompt, digest
from accord.records import Sequence as Masked
from accord.records.rows import Floats

__all__ = ["FILE", "Context", "Start", "Table", "logp_T", "places", "rows_of", "steps"]

FILE = "scripted.json"

Context = tuple[int, ...]


class Start(NamedTuple):
    """What can be said and how probable it is before anything is trained; see ``Scripted``."""

    words: tuple[str, ...]
    shortest: int
    longest: int
    p: Mapping[str, tuple[float, ...]]
    spread: float
    sees: Literal["all", "last"] = "all"


class Table:
    """The model: logits for each context; a context that was never trained has those it starts with."""

    def __init__(self, start: Start, rows: Mapping[Context, Floats] | None = None) -> None:
        self.start = start
        self.rows: dict[Context, Floats] = dict(rows or {})
        last = start.sees == "last"
        self.tokenizer = digest(["scripted, last message" if last else "scripted", *start.words])
        self._first, self.end = (0, len(start.words)) if last else (1, 0)
        self._ids = {word: i for i, word in enumerate(start.words, start=self._first)}
        self._opening = {self.render(Prompt.of(text)): p for text, p in start.p.items()}

    @classmethod
    def open(cls, start: Start, model: str) -> Table:
        """The start itself, or what ``written`` once wrote into a folder."""
        if model == "scripted":
            return cls(start)
        file = Path(model) / FILE
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
        start: dict[str, JSON] = {
            "words": list(self.start.words),
            "shortest": self.start.shortest,
            "longest": self.start.longest,
            "p": {text: list(p) for text, p in self.start.p.items()},
            "spread": self.start.spread,
            **({"sees": "last"} if self.start.sees == "last" else {}),
        }
        rows = {",".join(map(str, at)): cast(JSON, row.tolist()) for at, row in sorted(self.rows.items())}
        return {"start": start, "rows": rows}

    def copy(self) -> Table:
        return Table(self.start, {at: row.copy() for at, row in self.rows.items()})

    def words(self, text: str) -> tuple[int, ...]:
        """The tokens of an answer that stops. Unsayable for a word that the table does not have."""
        if strange := [word for word in text.split() if word not in self._ids]:
            raise Unsayable(
                "text", strange[0], f"the words of the scripted engine: {' '.join(self.start.words)}"
            )
        return (*(self._ids[word] for word in text.split()), self.end)

    def text(self, tokens: Sequence[int]) -> str:
        return " ".join(self.start.words[t - self._first] for t in tokens if self._is_word(t))

    def render(self, prompt: Prompt) -> tuple[int, ...]:
        """Earlier answers as their tokens, all else as bytes, or as one token where only the last message is
        seen: a conversation extends what stands before."""
        said: list[int] = []
        begun, rest = prompt.begun, prompt.messages
        if begun is not None and begun.tokenizer == self.tokenizer:
            said, rest = list(begun.tokens), rest[prompt.answered :]
            said += [self.end] if said[-1] != self.end else []
        for message in rest:
            if message.role == "assistant":
                said += self.words(message.content)
            else:
                said += self._told(f"{message.role}: {message.content}\n")
        return tuple(said)

    def seen(self, context: Context) -> Context:
        """What of all that stands before a token decides it: the row's name in the table."""
        if self.start.sees == "all":
            return context
        state = len(context) - 1
        while state > 0 and context[state] <= len(self._ids):
            state -= 1
        return context[max(state, 0) :]

    def raw(self, context: Context) -> Floats:
        """The trained or starting logits of what was seen, before anything is barred."""
        if context in self.rows:
            return self.rows[context]
        if context in self._opening:
            with np.errstate(divide="ignore"):
                words = np.log(np.array(self._opening[context], dtype=np.float64))
                return np.insert(words, self.end, 0.0)
        if self.start.sees == "last" and not self.start.spread:
            return np.zeros(len(self._ids) + 1)
        seed = int(digest([self.tokenizer, *context])[:32], 16)
        draw = np.random.Generator(np.random.Philox(key=seed)).standard_normal(len(self._ids) + 1)
        return self.start.spread * draw

    def logp(self, context: Context, allowed: tuple[int, ...] | None, temperature: float) -> Floats:
        """Log-probabilities of the end and of each word; −∞ for what cannot be said here."""
        depth = 0
        while depth < len(context) and self._is_word(context[-1 - depth]):
            depth += 1
        logits = self.raw(self.seen(context)) / temperature
        barred = np.full(len(logits), depth >= self.start.longest)
        barred[self.end] = depth < self.start.shortest
        if allowed is not None:
            barred |= ~np.isin(np.arange(len(logits)), allowed)
        logits = np.where(barred, -np.inf, logits)
        top = float(logits.max())
        if top == -math.inf:
            raise PlanError("prompt.allowed", allowed, "at least one of the tokens that can follow here")
        return logits - top - math.log(float(np.exp(logits - top).sum()))

    def over(self, said: Sequence[int], allowed: tuple[int, ...] | None) -> bool:
        """Whether an answer has come to its end: said, or where only the last message is seen and the end is
        not allowed, reached with the ``longest``-th word."""
        if said[-1] == self.end:
            return True
        bare = self.start.sees == "last" and allowed is not None and self.end not in allowed
        return bare and len(said) >= self.start.longest

    def _is_word(self, token: int) -> bool:
        return self._first <= token < self._first + len(self._ids)

    def _told(self, text: str) -> list[int]:
        """The tokens of what is no answer."""
        behind = len(self._ids) + 1
        if self.start.sees == "last":
            return [behind + int(digest(text)[:12], 16)]
        return [behind + byte for byte in text.encode("utf-8", "surrogatepass")]


def places(sequence: Masked) -> list[int]:
    return [at for at, chosen in enumerate(sequence.answer) if chosen]


def steps(table: Table, sequence: Masked) -> list[tuple[Floats, int]]:
    """For each answer token the log-probabilities it was chosen from, and which it was."""
    return [
        (table.logp(sequence.tokens[:at], sequence.allowed, sequence.temperature), sequence.tokens[at])
        for at in places(sequence)
    ]


def logp_T(table: Table, sequence: Masked) -> Floats:
    return np.array([logp[token] for logp, token in steps(table, sequence)], dtype=np.float64)


def _context(text: str) -> Context:
    return tuple(int(token) for token in text.split(",") if token)


def rows_of(tree: Mapping[str, list[float]]) -> dict[Context, Floats]:
    return {_context(at): np.array(row, dtype=np.float64) for at, row in tree.items()}
