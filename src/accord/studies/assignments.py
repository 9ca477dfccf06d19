"""Assignments: what is to be programmed, how a policy does it before it is trained, programs to be judged.

Of a requirement (``worlds.programs``) each line has three words: the right one, one that does harm where it
alone is wrong, and a misfit that does none, or where there is none another that does. A policy that knows
these writes programs of them, 3 to the power of the lines, all of which can be listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from accord.records import JSON, Prompt, Response
from accord.records.rows import Group
from accord.sources import seeded
from accord.studies.listed import Listed
from accord.studies.reviewing import invented, misfits, right_line, with_line
from accord.worlds.programs import Programs, Review, failing

__all__ = ["ANY", "HARMFUL", "Assignments", "Sheet", "answered"]

HARMFUL, ANY = (1,), (1, 2)
"""Which of the three words of a line a flaw may be."""


class Sheet(NamedTuple):
    """Programs to be judged: their prompts and answers, what they are, and their names as tasks."""

    groups: tuple[Group, ...]
    reviews: tuple[Review, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Assignments:
    """What one seed has: so many requirements, programs under review, and programs as the policy writes them.

    ``habits``: the chances of the three words at each line, before the policy is trained.
    """

    config: Programs
    seed: int
    habits: tuple[float, float, float]
    requirements: int
    reviewed: int
    written: int

    @cached_property
    def required(self) -> tuple[Review, ...]:
        """A requirement with its flawless program, for each of so many."""
        wanted = [self.config.draw(f"critique/{self.seed}/{k}").wanted for k in range(self.requirements)]
        return tuple(Review(one, tuple(right_line(word) for word in one), None) for one in wanted)

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        """To write a program for each; the table allows the words itself, its numbers are not the world's."""
        made = [self.config.prompt(one, str(k)) for k, one in enumerate(self.required)]
        return tuple(one.model_copy(update={"allowed": None}) for one in made)

    @property
    def names(self) -> list[str]:
        """Of the requirements, as tasks."""
        return [f"requirement {k} of seed {self.seed}" for k in range(self.requirements)]

    @property
    def texts(self) -> list[str]:
        return [one.text for one in self.prompts]

    @cached_property
    def choices(self) -> tuple[tuple[tuple[str, str, str], ...], ...]:
        """Of each requirement and line: the right word, one that does harm alone, and a misfit that does
        none, or where there is none another that does."""
        return tuple(self._lines(k, one) for k, one in enumerate(self.required))

    def _lines(self, number: int, review: Review) -> tuple[tuple[str, str, str], ...]:
        found: list[tuple[str, str, str]] = []
        for line, wanted in enumerate(review.wanted):
            odd = misfits(wanted)
            lot = seeded("critique", self.seed, number, line).permutation(len(odd))
            order = [odd[int(i)] for i in lot]
            harms = [bool(failing(review.wanted, with_line(review.program, line, word))) for word in order]
            bad = [word for word, harm in zip(order, harms, strict=True) if harm]
            harmless = [word for word, harm in zip(order, harms, strict=True) if not harm]
            found.append((review.program[line], bad[0], (harmless or bad[1:])[0]))
        return tuple(found)

    @cached_property
    def policy(self) -> Listed:
        """What writes: at each line it has the right word, a harmful one or the third with fixed chances."""
        choices = dict(zip(self.texts, self.choices, strict=True))

        def chance(text: str, said: tuple[int, ...]) -> tuple[float, ...]:
            del text, said
            return self.habits

        return Listed.of(choices, chance)

    @cached_property
    def sheets(self) -> dict[str, Sheet]:
        """``review``: half of the programs flawless, in the others one line harmful, each as probable.
        ``written``: as the policy writes them before it is trained."""
        draw, count = seeded("critique", self.seed, "sheets"), len(self.required)
        made = [self.flawed(i % count, draw, i % 4 > 1, HARMFUL) for i in range(self.reviewed)]
        review = self._sheet("review", made)
        shares = [self.policy.shares(text) for text in self.texts]
        wrote: list[tuple[int, Review]] = []
        for k in (i % count for i in range(self.written)):
            at = int(draw.choice(len(shares[k]), p=shares[k] / shares[k].sum()))
            wrote.append((k, self.required[k]._replace(program=self.policy.answers(self.texts[k])[at])))
        return {"review": review, "written": self._sheet("written", wrote)}

    def flawed(
        self, k: int, draw: np.random.Generator, flawed: bool, kinds: Sequence[int]
    ) -> tuple[int, Review]:
        """A program for requirement k, with one of these kinds of misfit at a line or with none."""
        right, line = self.required[k], int(draw.integers(self.config.lines))
        word = self.choices[k][line][kinds[int(draw.integers(len(kinds)))]]
        return k, Review(right.wanted, with_line(right.program, line, word), line) if flawed else right

    def _sheet(self, name: str, made: Sequence[tuple[int, Review]]) -> Sheet:
        groups = tuple(
            Group(self.prompts[k], (answered(self.prompts[k], review.program, f"{self.seed}/{name} {i}"),))
            for i, (k, review) in enumerate(made)
        )
        # Another seed's programs are other tasks, so they have other names.
        names = tuple(f"{name} {i} of seed {self.seed}" for i in range(len(made)))
        return Sheet(groups, tuple(review for _, review in made), names)

    @cached_property
    def truths(self) -> dict[str, JSON]:
        """Which line of a program under review is to blame; of a written one whether it is flawed, and which
        lines mend it; of a requirement which of all its programs are flawless."""
        review, written = self.sheets["review"], self.sheets["written"]
        held: dict[str, JSON] = {n: r.line for n, r in zip(review.names, review.reviews, strict=True)}
        every = tuple(range(self.config.lines))
        for name, one in zip(written.names, written.reviews, strict=True):
            none = invented(one.wanted, one.program, every)
            mends = [line for line in every if line not in none]
            held[name] = {"flawed": bool(failing(one.wanted, one.program)), "mends": list[JSON](mends)}
        for name, text, one in zip(self.names, self.texts, self.required, strict=True):
            programs = self.policy.answers(text)
            held[name] = [not failing(one.wanted, program) for program in programs]
        return held


def answered(prompt: Prompt, program: Sequence[str], seed: str) -> Response:
    """A program as an answer that was given; the seed tells apart two that are else equal."""
    text = " ".join(program)
    return Response(
        prompt=prompt.id, text=text, finish="data", policy="written", seed=seed, parents=(prompt.id,)
    )
