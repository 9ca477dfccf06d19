"""The page tier of a stage: e-values after every audit, what of δ they may spend, how small a shift they see.

Everything is computed anew from readings and decisions by ``accord.pages``, which is what the guard did.
How small a shift would be seen is resampled from the outcomes of the base audit (``accord.maths.detecting``),
with a seed that the run's name gives, so a report says the same whenever it is written.

The shift is present from the audit after the base's on, and that one counts as the first: what the base
audit cost of the first stake, less than a factor 3 of the e-value, is left out. At most ``MOST`` audits are
counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from accord.judged import told_box
from accord.maths.detecting import LARGEST, Pool, Schedule, minimum_detectable
from accord.maths.spending import arming_delta
from accord.pages import Page, Standing, standing
from accord.plan import Stage
from accord.ports import History
from accord.records import Decision, NotMeasured, Reading
from accord.reports.document import Arming, Paged, Paging
from accord.reports.logs import StageLog
from accord.reports.titles import scale_of
from accord.reports.tolerances import InForce, page_in, told_tolerance, tolerated, widened
from accord.reports.words import Scale, counted, number, percent
from accord.sources import seeded

__all__ = ["CHANCE", "MOST", "Tier", "audits_of", "held_of", "pages_of", "tier_of"]

MOST = 100  # audits that a shift is present for; more of them cost time and lower the figure little
CHANCE = 0.9
_RUNS = 200


class Tier(NamedTuple):
    """The page tier with what it says of each criterion, by its name."""

    paging: Paging
    paged: Mapping[str, Paged]


def pages_of(log: StageLog) -> list[Decision]:
    """Decisions that are pages: not those of the same rule for want of evidence."""
    return [one for one in log.decisions if one.rule == "page" and one.reason.startswith("page:")]


def held_of(log: StageLog) -> list[Decision]:
    """Decisions that would have been pages, had nothing been gained and nothing spoken against them."""
    heads = ("excused: ", "no more than a warning: ")
    return [one for one in log.decisions if one.rule == "page" and one.reason.startswith(heads)]


def audits_of(stage: Stage) -> int:
    """How many looks a stage takes that goes to its end: at the start, every so many windows, at the end."""
    return 1 + (stage.windows - 1) // stage.guard.every + 1


def tier_of(log: StageLog, rules: Sequence[InForce], detects: bool = True) -> Tier | None:
    """None where no page tier is in force. Without ``detects`` no detectable shift is looked for."""
    page = page_in(rules)
    if page is None:
        return None
    history = _history(log)
    accepted = _accepted(history)
    now = [_before(page, history, one) for one in accepted] + [standing(page, history)]
    armings = tuple(
        _arming(found, ended.id if ended else "")
        for found, ended in zip(now, [*accepted, None], strict=True)
        if found is not None
    )
    last = now[-1]
    made = len(armings[-1].steps) if armings and not armings[-1].accepted else 0
    audits = _audits(log, made, after_base=not accepted)
    paged = _paged(log, page, last, audits if detects else 0)
    left = _left(history, page, last)
    seen = [one for one in paged.values() if one.e is not None]
    paging = Paging(
        says="",  # said of the whole, below
        pipeline=log.plan.delta,
        delta=page.delta,
        spent=sum(arming_delta(page.delta, k) for k in range(len(accepted) + 1)) if armings else 0.0,
        armings=armings,
        left=left,
        audits=audits,
        sees=sum(one.detectable is not None for one in seen),
        criteria=len(seen),
        judged=_judged(page),
    )
    return Tier(replace(paging, says=_said(log, paging)), paged)


def _history(log: StageLog) -> History:
    """As the guard had it: in the order of writing, which differs where the result is an earlier step."""
    lines = [*log.view.find("reading"), *log.view.find("not_measured")] if log.view else []
    found = [line.record for line in sorted(lines, key=lambda line: (line.fence, line.seq))]
    readings = tuple(one for one in found if isinstance(one, Reading | NotMeasured))
    step = max((one.step for one in readings), default=0)
    return History(f"{log.run.name}/{log.stage.name}", step, (), readings, tuple(log.decisions))


def _accepted(history: History) -> list[Decision]:
    """The sign-offs of Pauses of the page tier, in order: each began another arming."""
    paused = {one.id for one in history.decisions if one.rule == "page" and one.action == "pause"}
    return [one for one in history.decisions if one.by and one.accepts in paused]


def _before(page: Page, history: History, accepted: Decision) -> Standing | None:
    """Where the tier stood when this Pause was decided."""
    paused = next(one for one in history.decisions if one.id == accepted.accepts)
    earlier = history.decisions[: history.decisions.index(accepted)]
    read = tuple(one for one in history.readings if one.step <= paused.step)
    return standing(page, history._replace(readings=read, decisions=earlier))


def _arming(now: Standing, accepted: str) -> Arming:
    first = next(iter(now.readings.values()))
    audits = len(next(iter(now.e.values())))
    return Arming(
        number=now.arming,
        delta=now.delta,
        threshold=now.threshold,
        steps=tuple(one.step for one in first[:audits]),
        mean=tuple(np.mean(list(now.e.values()), axis=0).tolist()),
        indicators={name: tuple(e.tolist()) for name, e in now.e.items()},
        accepted=accepted,
    )


def _judged(page: Page) -> tuple[tuple[str, str], ...]:
    """For each judged criterion its judge's box, and what follows."""
    found: list[tuple[str, str]] = []
    for name, qualified in page.judges.items():
        box, ceiling = qualified.box(page.delta, len(page.judges)), page.against(name)
        follows = (
            f"only warns: {qualified.why_not(page.delta, len(page.judges))}"
            if ceiling is None
            else f"pages above {percent(ceiling.tau)} as judged"
        )
        found.append((name, f"{told_box(box)}; {follows}" if box else follows))
    return tuple(found)


def _left(history: History, page: Page, now: Standing | None) -> tuple[tuple[str, str], ...]:
    """Who is not in K, with the reason of the base audit."""
    gaps = [one for one in history.readings if isinstance(one, NotMeasured) and one.name in page.tolerances]
    names = now.left if now else tuple(dict.fromkeys(one.name.partition(".")[0] for one in gaps))
    reasons = {one.name.partition(".")[0]: one.reason for one in reversed(gaps)}
    return tuple((name, reasons.get(name, "it was not asked at the base audit")) for name in names)


def _audits(log: StageLog, made: int, after_base: bool) -> int:
    """How many audits a shift is present for: those made in a stage that is over, else those planned."""
    over = log.entry is not None
    count = made if over else max(made, audits_of(log.stage))
    return min(MOST, max(0, count - 1 if after_base else count))


def _paged(log: StageLog, page: Page, now: Standing | None, audits: int) -> dict[str, Paged]:
    found: dict[str, Paged] = {}
    for name, plain in page.tolerances.items():
        tolerance = page.against(name) or plain
        own = [one for one in log.readings if one.name == name and one.anchors]
        if not own:
            continue
        partakes = now is not None and name in now.criteria
        detectable = _detectable(log, page, now, own[0], audits) if now and partakes and audits else None
        base = own[-1].base
        scale = scale_of(name, own[0].unit)
        found[name] = Paged(
            tolerance=told_tolerance(tolerance, scale),
            tolerated=None if base is None else tolerated(tolerance, base),
            detectable=detectable,
            detects=_told(log, detectable, audits, scale),
            unjudged=len(own[-1].unjudged) / len(own[-1].items),
            e=float(now.criteria[name][-1]) if now and partakes else None,
        )
    return found


def _detectable(log: StageLog, page: Page, now: Standing, first: Reading, audits: int) -> float | None:
    """As a change of the mean outcome; None where there is none, or no null outcomes to resample."""
    if not log.from_base or first.step != 0:
        return None
    tolerance = page.against(first.name)
    assert tolerance is not None, "a criterion that takes part is held against something"
    outcome, anchor = np.array(first.outcomes), np.array(first.anchors)
    delta_I = tolerance.differences(outcome, anchor)
    most_I = tolerance.differences(np.ones_like(outcome), anchor)
    own = sum(name.partition(".")[0] == first.name.partition(".")[0] for name in now.criteria)
    schedule = Schedule(audits, len(first.items), tolerance.tau, len(now.e) * own, now.threshold)
    seed = int(seeded(first.run, "detectable", first.name).integers(2**63))
    shift = _smallest(tuple(delta_I.tolist()), tuple(most_I.tolist()), schedule, seed)
    return None if shift is None else widened(tolerance, shift)


@lru_cache(maxsize=256)
def _smallest(
    delta_I: tuple[float, ...], most_I: tuple[float, ...], schedule: Schedule, seed: int
) -> float | None:
    pool, rng = Pool(np.array(delta_I), np.array(most_I)), np.random.default_rng(seed)
    return minimum_detectable(pool, schedule, rng, _RUNS, CHANCE)


def _told(log: StageLog, detectable: float | None, audits: int, scale: Scale) -> str:
    looks = counted(audits, "audit")
    if detectable is not None:
        return f"{scale.change(detectable)}, present for {looks}"
    if not log.from_base:
        return "unknown: the stage does not start from the base"
    return f"none up to {scale.change(LARGEST)} in {looks}" if audits else "unknown"


def _said(log: StageLog, paging: Paging) -> str:
    """What the page tier saw, in a sentence that promises nothing more."""
    pages = pages_of(log)
    held = [f"update {one.step:,}" for one in held_of(log)]
    let_go = f"{counted(len(held), 'page')} let go as a warning, at {', '.join(held)}" if held else ""
    if pages:
        where = ", ".join(f"update {one.step:,}" for one in pages)
        return f"{counted(len(pages), 'page')}, at {where}{f'; {let_go}' if held else ''}"
    if held:
        return let_go
    if not paging.criteria:
        return "no page, and no panel was read"
    looks, rest = counted(paging.audits, "audit"), paging.criteria - paging.sees
    if not log.from_base:
        return (
            "no page; how small a shift would be seen is unknown, for the stage does not start from the base"
        )
    if not paging.sees:
        return (
            f"no page; no shift up to {number(LARGEST)} present for {looks} would be seen with probability .9"
        )
    said = f"no page; a shift above the MDE present for {looks} would be seen with probability .9"
    return (
        f"{said} ({rest} of {counted(paging.criteria, 'criterion', 'criteria')} have no MDE)"
        if rest
        else said
    )
