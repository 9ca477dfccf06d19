"""What the guard's promise rests on: sealed panels, and judges who are qualified. Nobody can sign for either.

A shipped panel must be the one that was sealed. Whoever judges what training learns from must not be a model
whose errors nobody counted; and a criterion that a judge gives may page only with counts of his errors
(``judges`` of the rule ``page``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from accord import catalog
from accord.errors import AccordError
from accord.gating.grounds import Grounds
from accord.gating.report import Finding
from accord.overseers.judge import Judge
from accord.panels import read_panel
from accord.part import Part
from accord.ports import Judged, Panelled
from accord.probing import OWN

__all__ = ["JUDGES", "PANELS", "judges", "panels"]

JUDGES, PANELS = "judges", "panels"


def panels(grounds: Grounds) -> Finding:
    """Whether every panel that the stage's guard draws from is there and as it was sealed."""
    stage, names = grounds.stage.name, sorted({one.panel for one in _asking(grounds)} - {OWN})
    for name in names:
        try:
            read_panel(name)
        except AccordError as error:
            return Finding(
                PANELS, "refused", str(error), stage, remedy=("pip install --force-reinstall accord",)
            )
    if not names:
        says = "the guard of this stage draws from no panel, so its page tier could see nothing"
        return Finding(
            PANELS, "refused", says, stage, remedy=("leave out guard.indicator: all are read then",)
        )
    return Finding(PANELS, "passed", f"sealed, or the user’s own: {', '.join(names)}", stage)


def judges(grounds: Grounds) -> Finding:
    """Whether any judge without counts of his errors decides what is learnt, or what pages."""
    stage, page = grounds.stage.name, grounds.page
    for ask in grounds.stage.ask:
        overseer = catalog.build("overseers", ask.overseer)
        if isinstance(overseer, Part) and any(isinstance(one, Judge) for one in _within(overseer)):
            says = f"a model judges for the column {ask.column}, and no record says how often it errs"
            remedy = ("let a program or a reward model judge, or explore: --set purpose=explore",)
            return Finding(JUDGES, "refused", says, stage, remedy=remedy)
    judged = [one for one in _asking(grounds) if isinstance(one, Judged) and one.judged]
    names = [f"{one.name}.{criterion}" for one in judged for criterion in one.criteria]
    for name in names if page is not None else ():
        if page is not None and name in page.tolerances and page.against(name) is None:
            why = page.judges[name].why_not(page.delta, len(page.judges))
            remedy = (f"count his errors on outputs of this run: guard.rule[page].judges.{name!r}",)
            return Finding(JUDGES, "refused", f"{name} would page by a judge: {why}", stage, remedy=remedy)
    return Finding(JUDGES, "passed", "nothing rests on a judge whose errors nobody counted", stage)


def _asking(grounds: Grounds) -> list[Panelled]:
    built = [catalog.build("indicators", table) for table in grounds.stage.guard.indicator]
    return [one for one in built if isinstance(one, Panelled)]


def _within(part: Part) -> Iterator[Part]:
    """The part and all parts inside it."""
    yield part
    for name in type(part).model_fields:
        inner: object = getattr(part, name)
        several = cast("tuple[object, ...]", inner) if isinstance(inner, tuple) else (inner,)
        for one in several:
            if isinstance(one, Part):
                yield from _within(one)
