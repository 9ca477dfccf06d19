"""Each law of Budget, Calibrated and SpotChecked catches an overseer that breaks it, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.errors import ContractError
from accord.maths.isotonic import Calibrating, fitted, rising
from accord.overseers import Made, generator
from accord.overseers.budget import Budget
from accord.overseers.calibrated import Calibrated
from accord.overseers.spot_checked import SpotChecked
from accord.ports import Desk
from accord.records import Judgment, Kind, Question, Ranked, Spread
from accord.testing import a_group, check_overseer
from accord.testing.leaves import Leaf

GROUPS = [a_group("Why?", "yes", "no"), a_group("How?", "so it is", "no")]
COMPARES = Leaf(kinds=frozenset({Kind.COMPARE}))


class AlwaysCheap(SpotChecked):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        return self.taken_over(question, await desk.ask(self.cheap, question))


class ChecksNobodyElse(SpotChecked):
    """At p = 1 gold, else cheap."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        return self.taken_over(question, await desk.ask(self.gold if self.p == 1 else self.cheap, question))


class AsksBoth(SpotChecked):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        await desk.ask(self.cheap, question)
        return await super().judge(question, desk)


class DrawsByOrder(SpotChecked):
    def checks(self, question: Question) -> bool:
        return float(generator(self.seed, question.id).random()) < self.p


class DrawsByShare(SpotChecked):
    """Another lot for each p."""

    def checks(self, question: Question) -> bool:
        return float(generator(self.p, question.prompt, *sorted(question.responses)).random()) < self.p


class ChecksHalfOfIt(SpotChecked):
    def checks(self, question: Question) -> bool:
        lot = float(generator(self.seed, question.prompt, *sorted(question.responses)).random())
        return lot < self.p**2


class FallsBack(SpotChecked):
    """Where cheap abstains, gold is asked: then whoever answers decides what is checked."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        if said.abstention is None:
            return said
        return self.taken_over(question, await desk.ask(self.gold, question))


class Unmapped(Calibrated):
    @property
    def worth(self) -> Any:  # type: ignore[override]
        return Calibrating(np.array([0.0, 1.0]), np.array([0.0, 1.0]))


class OneSided(Calibrated):
    """The labels as they stand, and not from the other side."""

    @property
    def worth(self) -> Any:  # type: ignore[override]
        p_I, right_I = np.array(self.labels).T
        return lambda p: float(np.interp(p, p_I, rising(right_I, np.ones(right_I.size))))


class Smooth(Calibrated):
    """No straight line between labels: a curve that rises from each and into the next."""

    @property
    def worth(self) -> Any:  # type: ignore[override]
        p_I, g_I = fitted(*np.array(self.labels).T)

        def curve(p: float) -> float:
            at = int(np.clip(np.searchsorted(p_I, p, side="right") - 1, 0, p_I.size - 2))
            t = float(np.clip((p - p_I[at]) / (p_I[at + 1] - p_I[at]), 0, 1))
            return float(g_I[at] + (g_I[at + 1] - g_I[at]) * t * t * (3 - 2 * t))

        return curve


class TurnsRound(Calibrated):
    """Gives to each what the other is worth."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        if not isinstance(said.verdict, Spread):
            return said
        one, two = said.verdict.p
        return said.model_copy(
            update={"verdict": Spread(p={one: said.verdict.p[two], two: said.verdict.p[one]})}
        )


class Shrinks(Calibrated):
    """Says half of what the labels do."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        if not isinstance(said.verdict, Spread):
            return said
        p: Mapping[str, float] = said.verdict.p
        return said.model_copy(update={"verdict": Spread(p={o: 0.5 + (q - 0.5) / 2 for o, q in p.items()})})


class Invents(Calibrated):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        return said if said.verdict else self.signed(question, Ranked(tiers=(question.responses,)))


class OneMore(Budget):
    @property
    def places(self) -> int:
        return self.n // self.most + 1


class AsksFirst(Budget):
    """Asks, and then looks whether it could afford to."""

    async def judge(self, question: Question, desk: Any) -> Judgment:
        await desk.ask(self.inner, question)
        return await super().judge(question, desk)


class Forgets(Budget):
    """Counts what is asked of it and nothing that was on record."""

    async def judge(self, question: Question, desk: Any) -> Judgment:
        return await super().judge(question, Forgetful(desk))


class Keeps(Budget):
    """A question that was broken off stays charged."""

    async def judge(self, question: Question, desk: Any) -> Judgment:
        return await super().judge(question, Keeping(desk))


class Unbound(Budget):
    """Lets a question take what it will."""

    async def judge(self, question: Question, desk: Any) -> Judgment:
        if not desk.charge(self.config, question.id, self.places):
            return self.signed(question, "budget")
        try:
            return self.taken_over(question, await desk.ask(self.inner, question))
        except BaseException:
            desk.give_back(self.config, question.id)
            raise


class Ties(Budget):
    """Past n it says that both are as good."""

    async def judge(self, question: Question, desk: Any) -> Judgment:
        said = await super().judge(question, desk)
        spent = said.abstention == "budget"
        return self.signed(question, Ranked(tiers=(question.responses,))) if spent else said


class Keeping:
    """A desk that hands on everything, but for what is given back."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk

    def __getattr__(self, name: str) -> Any:
        return getattr(self.desk, name)

    def give_back(self, budget: str, question: str) -> None:
        pass


class Forgetful(Keeping):
    """A desk that counts under a name of its own, which nothing on record has."""

    def charge(self, budget: str, question: str, places: int) -> bool:
        return self.desk.charge(f"another {budget}", question, places)

    def give_back(self, budget: str, question: str) -> None:
        self.desk.give_back(f"another {budget}", question)


CHECKED = {"cheap": COMPARES, "gold": Leaf(kinds=frozenset({Kind.COMPARE}), name="gold"), "p": 0.5}
COUNTED = {"inner": COMPARES, "n": 100, "unit": "calls", "most": 2}
LIST: list[tuple[type[Made], dict[str, Any], str]] = [
    (AlwaysCheap, CHECKED, "with p = 1 it says what gold says"),
    (ChecksNobodyElse, CHECKED, "as it is drawn"),
    (AsksBoth, CHECKED, "goes to one of them"),
    (DrawsByOrder, CHECKED, "turned answers give the turned verdict"),
    (DrawsByShare, CHECKED, "same questions and more"),
    (ChecksHalfOfIt, CHECKED, "share that is checked is p"),
    (FallsBack, CHECKED, "with p = 0 it says what cheap says"),
    (Unmapped, {"inner": COMPARES}, "the share p is right"),
    (OneSided, {"inner": COMPARES}, r"the share p is right|g\(1 − p\)"),
    (Smooth, {"inner": COMPARES}, "it is the identity"),
    (TurnsRound, {"inner": COMPARES}, "order is kept weakly"),
    (Shrinks, {"inner": COMPARES}, "what its p is worth"),
    (Invents, {"inner": COMPARES}, "abstention never becomes a verdict"),
    (OneMore, COUNTED, "past n it abstains"),
    (AsksFirst, COUNTED, "past n nobody is asked"),
    (Forgets, COUNTED, "counts on"),
    (Keeps, COUNTED, "broken off is not charged"),
    (Unbound, COUNTED, "took more than most"),
    (Ties, COUNTED, "past n it abstains"),
]


@pytest.mark.parametrize(("broken", "settings", "law"), LIST, ids=[kind.__name__ for kind, _, _ in LIST])
def test_each_law_catches_who_breaks_it(
    broken: type[Made], settings: dict[str, Any], law: str, tmp_path: Path
) -> None:
    if issubclass(broken, Calibrated):
        file = tmp_path / "labelled.jsonl"
        # Of p the share p² + ¼(1 − p) comes true, so it is no identity.
        rows = ({"p": n / 8, "right": (n / 8) ** 2 + (1 - n / 8) / 4} for n in range(9) for _ in range(6))
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        settings = {**settings, "labelled": str(file)}
    with pytest.raises(ContractError, match=law):
        check_overseer(broken(**settings), GROUPS)
    check_overseer(broken.__mro__[1](**settings), GROUPS)
