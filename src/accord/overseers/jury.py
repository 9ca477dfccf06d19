"""Jury: several overseers answer one question; what they say is kept as a share of votes for each option.

    p(option) = mean over the members that gave a verdict of what each gives it

A vote for one option is 1, a tie shares it, a soft vote is a fraction. Votes are never collapsed into a
winner here: that is for an ask to do, with its ``collapse``. A grade has the mean of each dimension over the
members that graded it, and under ``heads`` what each member said.

1. Fewer verdicts than ``quorum`` (by default half of the members, rounded up) are none: ``no_quorum``.
2. A jury of one says what its member says, abstentions too.
3. Of rankings of more than two answers the vote is for the best; the rest is in the members' judgments,
   which are the parents of the jury's.
4. Members are told apart by their configs, so the order in which a plan lists them makes no difference.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, model_validator

from accord.overseers import Inner, Made, shares
from accord.part import Part, named
from accord.ports import Desk
from accord.problems import problem
from accord.records import Graded, Judgment, Kind, Question, Spread

__all__ = ["Jury", "grades", "votes"]


def votes(shares_J: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean share of each option, the same in whatever order the members come.

    >>> votes([{"a": 1.0, "b": 0.0}, {"a": 0.5, "b": 0.5}])
    {'a': 0.75, 'b': 0.25}
    """
    options = dict.fromkeys(option for said in shares_J for option in said)
    return {o: math.fsum(said.get(o, 0.0) for said in shares_J) / len(shares_J) for o in options}


def grades(graded_J: Mapping[str, Graded]) -> Graded:
    """The mean of each dimension over the members that scored it, and each member's own mean.

    >>> grades({"a": Graded(scores={"kind": 1.0, "true": 4.0}), "b": Graded(scores={"kind": 2.0})}).scores
    {'kind': 1.5, 'true': 4.0}
    """
    said: dict[str, list[float]] = {}
    for verdict in graded_J.values():
        for name, score in verdict.scores.items():
            said.setdefault(name, []).append(score)
    heads = {who: math.fsum(v.scores.values()) / len(v.scores) for who, v in sorted(graded_J.items())}
    means = {name: math.fsum(scores) / len(scores) for name, scores in sorted(said.items())}
    return Graded(scores=means, heads=heads)


class Jury(Made, Part):
    """Members judge apart from each other; ``quorum`` of them must give a verdict."""

    members: tuple[Inner, ...] = Field(min_length=1)
    quorum: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _counts(self) -> Self:
        tables = [named(one) for one in self.members]
        twice = next((i for i, table in enumerate(tables) if table in tables[:i]), None)
        if twice is not None:
            advice = "the same settings give the same judgment, which would count as two votes"
            raise problem(["members", twice], tables[twice]["name"], "members that differ", advice)
        if self.quorum is not None and self.quorum > len(self.members):
            raise problem(["quorum"], self.quorum, f"1 to {len(self.members)}, the number of members")
        if not self.answers:
            advice = "each question goes to every member"
            raise problem(["members"], "no common kind", "members that all compare, grade or label", advice)
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        common = frozenset({Kind.COMPARE, Kind.GRADE, Kind.LABEL})
        return common.intersection(*(one.answers for one in self.members))

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await asyncio.gather(*(desk.ask(one, question) for one in self.members))
        if len(said) == 1:
            return self.taken_over(question, said[0])
        spread = [p for judgment in said if (p := shares(question, judgment)) is not None]
        graded = {j.by.config[:12]: j.verdict for j in said if isinstance(j.verdict, Graded)}
        count = len(graded) if question.asks is Kind.GRADE else len(spread)
        told = f"{count} of {len(said)} members gave a verdict"
        if count < (self.quorum or -(-len(said) // 2)):
            return self.signed(question, "no_quorum", told)
        if question.asks is Kind.GRADE:
            return self.signed(question, grades(graded), told)
        return self.signed(question, Spread(p=votes(spread)), told)
