"""Debating: judges that hear quotes of what they do not see, and players that choose what is quoted.

A judge is an overseer that compares two answers. It reads what its prompt shows, and of everything that was
said before it the quotes that the protocol found to stand in what was to be quoted from; all else that is
said, and who says it, is nothing to it. So a player moves it by what it chooses to show, and by nothing else.

    p(answer) = believed(answer) / (believed(One) + believed(Two))

A player is a scripted Sampler, an *oracle*: it knows the judge, and pleads for the answer that it is told to
defend. A quote is the best of n: of n different ones that it has not seen quoted, drawn by the key of the
turn, that which makes the judge surest of its side, of equal ones the first drawn. With n = 1 it quotes at
random, whichever side it is on. Candidates of n for the first quote of a turn are among those of a larger n.

1. Players look one quote ahead (in 1805.00899 by Monte Carlo tree search, to the end of the game).
2. An adviser defends what it holds to be true where it is told to be honest, the other where not. What it
   holds is what the judge would say if it saw everything.
3. Nobody quotes what does not stand there: the judge would not heed it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import ClassVar, NamedTuple, cast

import numpy as np
from pydantic import Field

from accord.errors import ContractError
from accord.maths.digit_images import digit_images
from accord.maths.masked import Fit, Masked, beliefs, fitted
from accord.maths.talking import NAMES, blocks, marks, quotes
from accord.overseers.debate import defended
from accord.part import Part
from accord.ports import Desk, How, Scored
from accord.records import By, Cost, Judgment, Kind, Prompt, Question, Response, Spread
from accord.records.rows import Floats, Group, Text
from accord.sources import seeded
from accord.worlds import pixels, stories

__all__ = ["Judging", "PixelJudge", "Player", "Side", "StoryJudge", "best", "side"]


class Judging(Part, ABC):
    """A judge of two answers by what it sees and what is quoted to it. It leaves nothing open: where it knows
    nothing it says one half."""

    material: ClassVar[str]  # the column that is quoted from

    @abstractmethod
    def surely(self, shown: str, heard: Sequence[Sequence[str]], answers: tuple[str, str]) -> Floats:
        """P(first answer), once for each list of quotes that might be heard."""

    @abstractmethod
    def quotable(self, material: str) -> tuple[str, ...]:
        """What of the material is worth a quote, each once."""

    @abstractmethod
    def holds(self, material: str, answers: tuple[str, str]) -> bool:
        """Whether who reads all of the material holds the first answer to be true."""

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        prompt = cast(Prompt, desk.read(question.prompt))
        one, two = (cast(Response, desk.read(answer)).text for answer in question.responses)
        flags, heard = marks(question.instrument.wording), list[str]()
        for number, piece in enumerate(question.evidence, start=1):
            said = quotes(cast(Response, desk.read(piece)).text, ())
            stand = flags.get(f"piece {number}", (False,) * len(said))
            heard += [quote.text for quote, stands in zip(said, stand, strict=True) if stands]
        p = float(self.surely(prompt.text, [heard], (one, two))[0])
        first, second = question.responses
        return Judgment(
            question=question.id,
            by=By(type="program", name=type(self).__name__, config=self.config),
            shown=question.responses,
            verdict=Spread(p={first: p, second: 1 - p}),
            confidence=max(p, 1 - p),
            cost=Cost(calls=1),
        )


class PixelJudge(Judging):
    """Reads ``pixels``: a classifier that was trained on random masks of ``shown`` pixels (``maths.masked``),
    on the first ``learnt`` images. ``draw``: of its first weights and its batches."""

    material: ClassVar[str] = "image"

    shown: int = Field(ge=1)
    learnt: int
    steps: int = Field(ge=1)
    draw: int = 0

    @property
    def model(self) -> Masked:
        """Its weights: trained once in a process, which takes seconds."""
        return _fitted(self.shown, self.learnt, self.steps, self.draw)

    def of_ten(self, images_NP: Floats) -> Floats:
        """How probable it holds each digit to be, image × digit."""
        return np.exp(beliefs(self.model, images_NP))

    def surely(self, shown: str, heard: Sequence[Sequence[str]], answers: tuple[str, str]) -> Floats:
        base_P = pixels.seen(shown)
        seen_NP = np.array([np.maximum(base_P, pixels.revealed(words)) for words in heard])
        return self._first(seen_NP, answers)

    def quotable(self, material: str) -> tuple[str, ...]:
        return tuple(material.split(" "))

    def holds(self, material: str, answers: tuple[str, str]) -> bool:
        image_P = pixels.revealed(self.quotable(material))
        return bool(self._first(image_P[None, :], answers)[0] > 0.5)

    def _first(self, images_NP: Floats, answers: tuple[str, str]) -> Floats:
        p_NC = self.of_ten(images_NP)
        one_N, two_N = (p_NC[:, int(digit)] for digit in answers)
        # It was never trained on nothing, and knows nothing of it.
        return np.where(images_NP.any(axis=1), one_N / (one_N + two_N), 0.5)


class StoryJudge(Judging):
    """Reads ``stories``: counts the walks that agree with what it sees and what is quoted to it."""

    material: ClassVar[str] = "story"

    def surely(self, shown: str, heard: Sequence[Sequence[str]], answers: tuple[str, str]) -> Floats:
        lines = stories.seen(shown)
        at = [stories.PLACES.index(place) for place in answers]
        one_two_NA = np.array([stories.believed(lines, words)[at] for words in heard])
        total_N = one_two_NA.sum(axis=1)
        # Both are excluded where neither was offered rightly: then it knows nothing of the two.
        return np.where(total_N > 0, one_two_NA[:, 0] / np.where(total_N > 0, total_N, 1), 0.5)

    def quotable(self, material: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(material.split(" ")))

    def holds(self, material: str, answers: tuple[str, str]) -> bool:
        return bool(self.surely(f"{material} <act>", [()], answers)[0] > 0.5)


@cache
def _fitted(shown: int, learnt: int, steps: int, draw: int) -> Masked:
    images, digits = digit_images()
    return fitted(images[:learnt], digits[:learnt], Fit(shown, steps), seeded("pixel judge", draw))


class Side(NamedTuple):
    """What a speaker was asked, read out of its prompt. ``shown``: what the judge sees; ``first``: whether it
    is to plead for answer One; ``said``: the quotes of earlier turns, as far as they stand there."""

    shown: str
    material: str
    answers: tuple[str, str]
    said: tuple[str, ...]
    first: bool


class Player:
    """A scripted speaker before ``judge``: ``quotes`` a turn, each the best of ``n``.

    ``alike``: what it draws depends on the material alone, so it draws the same whatever the answers are.
    ``reserved``: it falls silent where even the best quote would make the judge less sure of its side.
    """

    can = frozenset({"sample"})

    def __init__(
        self, judge: Judging, n: int, quotes: int, *, alike: bool = False, reserved: bool = False
    ) -> None:
        self._judge, self._n, self._quotes = judge, n, quotes
        self._alike, self._reserved = alike, reserved
        # What it is: the judge that it knows, and how it chooses.
        kind = f"{', alike' * alike}{', reserved' * reserved}"
        self.policy = f"player: best of {n}, {quotes} quotes{kind}, before {judge.config[:16]}"

    def encode(self, prompt: Prompt, text: str) -> Response:
        """Its words count as tokens; what it reads is not counted."""
        words = tuple(range(len(text.split())))
        parents, policy = (prompt.id,), self.policy
        return Response(
            prompt=prompt.id, text=text, tokens=words, finish="data", policy=policy, parents=parents
        )

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        return [Group(one, (self._said(one, how),) * n) for one in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        raise ContractError(
            "the caller of a player", "only has it speak", f"{len(texts)} texts, {sorted(want)}"
        )

    def _said(self, prompt: Prompt, how: How) -> Response:
        told = side(prompt, self._judge)
        draw = seeded("player", told.material if self._alike else how.key)
        said, chosen = list(told.said), list[str]()
        for _ in range(self._quotes):
            left = [one for one in self._judge.quotable(told.material) if one not in said]
            if not left:
                break
            drawn = [left[int(at)] for at in draw.permutation(len(left))[: self._n]]
            now, *p_N = self._judge.surely(
                told.shown, [said, *([*said, one] for one in drawn)], told.answers
            ) * (1 if told.first else -1)
            at = best(np.array(p_N))
            if self._reserved and p_N[at] < now:
                break
            said.append(drawn[at])
            chosen.append(drawn[at])
        text = " ".join(f"<quote>{one}</quote>" for one in chosen)
        return self.encode(prompt, text).model_copy(update={"seed": how.key})


def best(value_N: Floats) -> int:
    """The place of the largest value, of equal ones the first. ContractError where one of them is no number.

    >>> best(np.array([0.2, 0.7, 0.7]))
    1
    """
    found = int(np.argmax(value_N))
    if not (value_N <= value_N[found]).all() or (value_N[:found] == value_N[found]).any():
        raise ContractError("the best of n", "keeps the maximum, of equal ones the first", f"{value_N}")
    return found


def side(prompt: Prompt, judge: Judging) -> Side:
    """What a debate or a consultation asks of a speaker. ValueError where it is neither."""
    read = blocks(prompt.text)
    if lacking := {"conversation", judge.material, *(f"answer {name}" for name in NAMES)} - read.keys():
        raise ValueError(f"a speaker is not shown {', '.join(sorted(lacking))}")
    material, answers = read[judge.material], (read["answer One"], read["answer Two"])
    turns = [quotes(text, (material,)) for name, text in read.items() if name.startswith("round ")]
    said = tuple(dict.fromkeys(one.text for turn in turns for one in turn if one.verified))
    shown = read["conversation"].removeprefix("user: ")
    if one := defended(prompt.text):
        return Side(shown, material, answers, said, one == NAMES[0])
    if not prompt.slice.startswith("consult: "):
        raise ValueError("a speaker is told neither what to defend nor whom to advise")
    honest = prompt.slice == "consult: honest"
    return Side(shown, material, answers, said, judge.holds(material, answers) == honest)
