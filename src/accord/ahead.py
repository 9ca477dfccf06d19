"""What a stage will do, told before it does anything: its first window with answers and verdicts made up.

The source and the method are asked as the loop will ask them, so rows, steps and lengths are the stage's own.
No overseer is asked and no answer drawn: answers that the policy would draw stand there as long as they may
be, verdicts are random numbers. What models would be asked for those verdicts is rehearsed (``rehearsal``).
Nothing of it is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from accord.feedback import Asking
from accord.heldout import HeldOutSet
from accord.loop import Loop
from accord.measuring import imagined
from accord.ports import Ahead, Ask, Drawing, Feedback, Foreseeing, How, Sampler, Scored
from accord.records import Prompt, Response
from accord.records.rows import Columns, Group, Text
from accord.rehearsal import rehearsed
from accord.sources import seeded

__all__ = ["Imagined", "foretold", "made_up"]


def foretold(loop: Loop, asking: Sequence[Asking], held_out: HeldOutSet | None, audits: int) -> list[str]:
    """What the learner foresees and what overseers will take, line by line.

    ``audits``: how often the guard looks. Evaluations on other data are not counted.
    """
    learner = loop.learner
    if not isinstance(learner, Foreseeing) and not any(one.voices for one in asking):
        return []
    policy, judged = Imagined(loop.learner.sampler()), list[Group]()
    verdicts = made_up([one.ask for one in asking], loop.run)

    def noted(groups: Sequence[Group]) -> Columns | None:
        judged.extend(groups)
        return verdicts(groups)

    window = loop.source.window(0, policy, noted)
    called = list(_calling(asking, judged, loop))
    if not isinstance(learner, Foreseeing):
        return called
    window = replace(window, measured=imagined(window.rows, loop.method.needs()))
    batch, _ = loop.method.batch(window, {}, seeded(loop.run, "ahead"))
    watch, windows = loop.guard.watch, loop.pace.windows
    drawings = [d._replace(times=windows) for d in policy.drawings]
    read, beside = 0, tuple[Sampler, ...]()
    if watch.probing.prompts:
        probing = watch.probing
        count = min(probing.probes, len(probing.prompts))
        asked = policy.length(probing.prompts[:count])
        # The base answers once more, at the start.
        drawings.append(Drawing(audits + 1, count, probing.answers, asked, probing.max_tokens, False))
        # What several indicators want to know of an answer is read in one pass.
        costs = [i.cost(count, probing.answers, asked + probing.max_tokens) for i in watch.indicators]
        read = audits * max((cost.tokens_in for cost in costs), default=0)
        beside = (watch.base,)
    if held_out is not None:
        every, count = loop.pace.examine_every, len(held_out.prompts)
        times = 2 + ((windows - 1) // every if every else 0)
        asked = policy.length(held_out.prompts)
        drawings.append(Drawing(times, count, held_out.n, asked, held_out.max_tokens, False))
    # Models that fill columns answer nothing, so they are not beside; each reads every window once.
    sequences = [s for row in window.rows for e in row.episodes for s in e.sequences()]
    read += windows * len(loop.measuring.readers) * sum(len(s.tokens) for s in sequences)
    return [*learner.foresee(Ahead(window, batch, windows, tuple(drawings), read, beside)), *called]


def _calling(asking: Sequence[Asking], groups: Sequence[Group], loop: Loop) -> Iterator[str]:
    """What overseers will ask models in all windows, a line for each ask; ``groups``: those of one window."""
    windows, worker = loop.pace.windows, loop.measuring.worker
    if worker is None:
        return
    for one in asking:
        if (found := rehearsed(one, groups, worker)) is not None:
            cost = found.cost
            calls, read, written = (windows * n for n in (cost.calls, cost.tokens_in, cost.tokens_out))
            yield (
                f"overseers: {windows * found.questions:,.0f} questions in all windows, about {calls:,} "
                f"calls of models that read about {read:,} tokens and write {written:,} at most; held-out "
                "answers and repairs come on top"
            )


class Imagined:
    """The policy, except that its answers are one token over and over, to the last that is allowed.

    Each is opened by another token: a method that compares answers has nothing to learn from equal ones.
    """

    can = frozenset({"sample"})

    def __init__(self, policy: Sampler) -> None:
        self._policy, self.policy = policy, policy.policy
        self.drawings: list[Drawing] = []

    def encode(self, prompt: Prompt, text: str) -> Response:
        return self._policy.encode(prompt, text)

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        asked = self.length(prompts)
        self.drawings.append(Drawing(1, len(prompts), n, asked, how.max_tokens, True))
        return [Group(p, tuple(self._said(p, i, how) for i in range(n))) for p in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        return await self._policy.score(texts, want)

    def length(self, prompts: Iterable[Prompt]) -> int:
        """Tokens of these prompts on average."""
        lengths = [len(self.encode(p, "").prompt_tokens) for p in prompts]
        return round(sum(lengths) / max(1, len(lengths)))

    def _said(self, prompt: Prompt, index: int, how: How) -> Response:
        empty = self.encode(prompt, "")
        words = list(dict.fromkeys((*empty.tokens[-1:], *reversed(empty.prompt_tokens))))
        told = empty.model_dump(include={"prompt", "prompt_tokens", "tokenizer", "template", "parents"})
        said = {
            "text": "",
            "tokens": (words[index % len(words)], *words[:1] * (how.max_tokens - 1)),
            "finish": "length",
            "policy": self.policy,
            "seed": f"ahead/{prompt.id}/{index}",
            "index": index,
            "temperature": how.temperature,
        }
        return Response.model_validate(told | said)


def made_up(asks: Sequence[Ask], run: str) -> Feedback:
    """Random numbers in the columns of the asks; None where nothing is asked, as in the stage itself."""

    def told(groups: Sequence[Group]) -> Columns | None:
        if not asks:
            return None
        tables = [ask.columns(groups, []) for ask in asks]
        draw = seeded(run, "ahead", "verdicts")
        names = [name for table in tables for name in table.values]
        count = len(tables[0].members)
        return Columns(
            members=tables[0].members,
            values={name: draw.random(count) for name in names},
            missing=np.zeros(count, dtype=np.bool_),
            parents=((),) * count,
        )

    return told
