"""What is measured of a window before its method decides: by the learner, and by models beside it.

The learner fills ``Needs.columns``; the samplers of other models fill ``Needs.reads``; a method that writes
into prompts (port ``Marking``) does so before. All of it reads, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from accord.errors import PlanError
from accord.ports import Learner, Marking, Method, Needs, Reads, Sampler
from accord.records import Episode, Message, Prompt, Response
from accord.records.rows import Floats, Row, Text, Window
from accord.sources import seeded
from accord.worker import Worker

__all__ = ["Measuring", "imagined", "mismatched", "rendering", "shared_tokenizer"]


def _unrendered(prompt: str, mark: str) -> tuple[int, ...]:
    raise PlanError("method", mark, "a learner that renders prompts", f"nothing renders {prompt} here")


@dataclass(frozen=True)
class Measuring:
    """``readers``: the samplers of models beside the policy, by the names that methods have for them."""

    readers: Mapping[str, Sampler] = field(default_factory=dict[str, Sampler])
    worker: Worker | None = None
    rendered: Callable[[str, str], tuple[int, ...]] = _unrendered

    def of(self, window: Window, method: Method, learner: Learner, seed: int) -> Window:
        """The window with all that the method needs to have measured."""
        needs = method.needs()
        if isinstance(method, Marking):
            window = method.marked(window, self.rendered, seeded("mark", seed, window.index))
        found: dict[str, tuple[Floats, ...]] = {}
        if needs.columns:
            found |= learner.measure(window.rows, needs)
            if needs.mismatched:
                others = learner.measure(mismatched(window.rows), needs)
                found |= {f"mismatched_{name}": column for name, column in others.items()}
        for name in dict.fromkeys(one.model for one in needs.reads):
            found |= self._read([one for one in needs.reads if one.model == name], window, learner)
        return replace(window, measured=found) if found else window

    def _read(
        self, reads: Sequence[Reads], window: Window, learner: Learner
    ) -> dict[str, tuple[Floats, ...]]:
        """The columns that one model fills. PlanError where its tokenizer is not the policy's."""
        reader = self.readers[reads[0].model]
        own = shared_tokenizer(reads[0], reader, learner.sampler())
        episodes = [e for row in window.rows for e in row.episodes]
        texts = [text for episode in episodes for text in _texts(episode, own)]
        assert self.worker is not None, "whoever hands in readers hands in a worker"
        turns = iter(self.worker.run(reader.score(texts, frozenset(one.want for one in reads))))
        found: dict[str, list[Floats]] = {one.column: [] for one in reads}
        for episode in episodes:
            told = [next(turns).columns for said in episode.tokens if said]
            for one in reads:
                found[one.column] += _by_sequence(episode, [columns[one.want] for columns in told])
        return {name: tuple(column) for name, column in found.items()}


def shared_tokenizer(wanted: Reads, reader: Sampler, policy: Sampler) -> str:
    """The tokenizer of both. PlanError where they have two, or the reader cannot tell what is wanted."""
    named = wanted.model or "the plan's model"
    if wanted.want not in reader.can:
        raise PlanError("method", named, f"a model that can tell {wanted.want}", f"for {wanted.column}")
    own, other = (sampler.encode(Prompt.of("?"), "").tokenizer for sampler in (policy, reader))
    if other != own:
        advice = f"its tokenizer is {other[:12]}, the policy's {own[:12]}: tokens cannot be compared"
        raise PlanError("method", named, "a model with the tokenizer of the policy", advice)
    return own


def rendering(learner: Learner, prompts: Sequence[Prompt]) -> Callable[[str, str], tuple[int, ...]]:
    """Renders these prompts, by their ids, with a mark before what their system message says."""
    known = {prompt.id: prompt for prompt in prompts}

    def rendered(prompt: str, mark: str) -> tuple[int, ...]:
        messages = known[prompt].messages
        system = [m.content for m in messages[:1] if m.role == "system"]
        first = Message(role="system", content="\n".join([mark, *filter(None, system)]))
        marked = Prompt(messages=(first, *messages[len(system) :]))
        return learner.sampler().encode(marked, "").prompt_tokens

    return rendered


def imagined(rows: Sequence[Row], needs: Needs) -> dict[str, tuple[Floats, ...]]:
    """Columns of zeros in the form that measured ones have; nothing is read.

    All tokens lie within a nucleus, so that no row is left out for what was found of it.
    """
    sequences = [s for row in rows for e in row.episodes for s in e.sequences()]
    zeros, ones = (tuple(np.full(sum(s.answer), fill) for s in sequences) for fill in (0.0, 1.0))
    found = dict.fromkeys(needs.columns, zeros)
    found |= {one.column: ones if one.want == "support" else zeros for one in needs.reads}
    if needs.mismatched:
        by_row = tuple(np.zeros(len(row.episodes[-1].tokens[-1])) for row in mismatched(rows))
        found |= {f"mismatched_{name}": by_row for name in needs.columns}
    return found


def mismatched(rows: Sequence[Row]) -> list[Row]:
    """Each row's prompt with the answer of the next row that answers another prompt; single turns.

    Prompts are told apart by their tokens. PlanError where all rows answer one prompt.
    """
    found: list[Row] = []
    for r, row in enumerate(rows):
        asked = row.episodes[-1].prompt_tokens[-1]
        order = (*rows[r + 1 :], *rows[:r])
        other = next((one for one in order if one.episodes[-1].prompt_tokens[-1] != asked), None)
        if other is None:
            allowed = "windows with two prompts or more"
            raise PlanError(
                "source.per_window", len(rows), allowed, "this method compares with other answers"
            )
        mine, theirs = row.episodes[-1], other.episodes[-1]
        episode = Episode(
            prompt=mine.prompt,
            responses=theirs.responses[-1:],
            prompt_tokens=mine.prompt_tokens[-1:],
            tokens=theirs.tokens[-1:],
            allowed=mine.allowed,
            temperature=mine.temperature,
        )
        found.append(Row((episode,), group=row.group))
    return found


def _texts(episode: Episode, tokenizer: str) -> list[Text]:
    """The turns in which something was said, as a sampler scores them: by their tokens."""
    asked = Prompt(messages=(), allowed=episode.allowed)
    return [
        Text(
            asked,
            Response(
                prompt=episode.prompt,
                text="",
                prompt_tokens=before,
                tokens=said,
                temperature=episode.temperature,
                tokenizer=tokenizer,
            ),
        )
        for before, said in zip(episode.prompt_tokens, episode.tokens, strict=True)
        if said
    ]


def _by_sequence(episode: Episode, column_turn: Sequence[Floats]) -> list[Floats]:
    """What was found turn by turn, joined as the turns are in the episode's sequences."""
    whole = np.concatenate([np.zeros(0), *column_turn])
    cuts = np.cumsum([sum(s.answer) for s in episode.sequences()])[:-1]
    return list(np.split(whole, cuts))
