"""RunReport → one HTML file that needs nothing else: no script, no font, no picture, no network.

Whatever reaches the page through the template is made visible first and escaped after (``finalize``, then
autoescape); only what this package draws itself is markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from accord import __version__
from accord.progress import duration
from accord.reports.charts import (
    Drawn,
    draw_change,
    draw_curve,
    draw_evidence,
    draw_levels,
    draw_measured,
    draw_use,
    draw_versus,
)
from accord.reports.document import Audited, Decided, Measured, Paged, Paging, RunReport, StageReport
from accord.reports.words import Scale, counted, number, percent, power, short, visible

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["environment", "filters", "render"]

_LONG = 4000  # characters of one text on the page; the whole of it stands in report.json


class _Row(NamedTuple):
    """One indicator in the guard's table."""

    name: str
    unit: str
    says: str
    base: str
    last: str
    change: str
    span: str
    floor: str
    record: str
    tolerance: str
    detects: str
    unjudged: str
    e: str


class _StagePage(NamedTuple):
    """A stage with everything that has to be drawn or put in words."""

    stage: StageReport
    facts: list[tuple[str, str]]
    result: list[Drawn]
    p: str
    versus: Drawn | None
    use: list[Drawn]
    curves: list[Drawn]
    spent: list[tuple[str, str, str]]
    rows: list[_Row]
    paged: list[_Row]
    tier: list[tuple[str, str]]
    evidence: list[Drawn]
    pages: list[Decided]
    measured: list[Drawn]
    missing: list[tuple[str, str, str]]


def render(report: RunReport) -> str:
    """The page."""
    template = environment("accord.reports", filters()).get_template("report.html.j2")
    pages = [_page(stage) for stage in report.stages]
    return template.render(report=report, pages=pages, many=len(pages) > 1, version=__version__)


def environment(package: str, filters: Mapping[str, Callable[..., object]]) -> Environment:
    """The templates of a package, and what nobody's text gets around: made visible first, escaped after."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    kept = cast("dict[str, Any]", made.filters)  # pyright: ignore[reportUnknownMemberType]
    kept |= filters
    return made


def filters() -> dict[str, Callable[..., object]]:
    """How a page of this package writes records, drawings, long texts, counts and figures."""
    drawn = {"ref": _ref, "drawing": _drawing, "clipped": _clipped, "counted": counted}
    return {**drawn, "level": _level, "change": _change}


def _finalized(value: object) -> object:
    """Every expression of the template: foreign characters become readable before they are escaped."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _ref(record: str) -> Markup:
    """A record id, short, with the whole of it as its title."""
    from markupsafe import Markup

    return Markup('<code class="id" title="{}">{}</code>').format(visible(record), visible(short(record)))


def _drawing(drawn: str) -> Markup:
    """A chart of ``svg.py``, which escapes what it writes."""
    from markupsafe import Markup

    return Markup(drawn)  # noqa: S704 - made by accord.reports.svg, texts escaped there


def _clipped(text: str) -> str:
    if len(text) <= _LONG:
        return text
    return f"{text[:_LONG]} […] ({len(text) - _LONG:,} more characters in report.json)"


def _level(value: float | None, share: bool) -> str:
    return Scale(share).level(value)


def _change(value: float, share: bool) -> str:
    return Scale(share).change(value)


def _page(stage: StageReport) -> _StagePage:
    drawn = [draw_levels(stage.result), draw_change(stage.result)]
    measured = [draw_measured(one) for one in stage.guard.indicators]
    paging = stage.guard.paging
    armings = paging.armings if paging else ()
    return _StagePage(
        stage=stage,
        facts=_facts(stage),
        result=[one for one in drawn if one is not None],
        p=_told_p(stage.result.p),
        versus=draw_versus(stage.versus) if stage.versus else None,
        use=draw_use(stage.use) if stage.use else [],
        curves=[draw_curve(curve) for curve in stage.curves],
        spent=_spent(stage),
        rows=[_row(one) for one in stage.guard.indicators if one.paged is None and one.readings],
        paged=[_row(one) for one in stage.guard.indicators if one.paged],
        tier=_tier(paging) if paging else [],
        evidence=[one for arming in armings for one in draw_evidence(arming, len(armings) > 1)],
        pages=[one for one in stage.guard.decisions if one.rule == "page" and one.reason.startswith("page:")],
        measured=[one for one in measured if one is not None],
        missing=[
            (one.name, f"update {gap.step}: {gap.reason}", gap.record)
            for one in stage.guard.indicators
            for gap in one.missing
        ],
    )


def _facts(stage: StageReport) -> list[tuple[str, str]]:
    """What was trained, as label and text."""
    trained = stage.trained
    answers = ", ".join(f"{count:,} {use}" for use, count in trained.answers.items() if count)
    judged = counted(trained.judgments, "judgment")
    if trained.abstentions:
        judged += f", of which {counted(trained.abstentions, 'abstention')}"
    starts = f" in {counted(trained.starts, 'start')}" if trained.starts > 1 else ""
    time = duration(trained.seconds)
    facts = [
        ("Starts from", trained.start),
        ("Method", trained.method),
        ("Answers from", trained.source),
        ("Overseer", "; ".join(trained.asked) or "none: nothing is asked"),
        ("Learner", trained.learner),
        (
            "Done",
            f"{trained.windows:,} of {counted(trained.windows_planned, 'window')}, "
            f"{counted(trained.updates, 'update')}",
        ),
        ("Answers", f"{answers or 'none'}; {counted(trained.answer_tokens, 'token')}"),
        ("Judgments", judged),
        ("Cost of judging", _told_cost(trained.judging)),
        ("Cost of measuring", _told_cost(trained.measuring)),
        ("Time", f"{time}{starts}, from the first line of the log to the last" if trained.starts else ""),
    ]
    return [(label, text) for label, text in facts if text]


def _told_cost(cost: Mapping[str, float]) -> str:
    names = {
        "calls": "calls",
        "tokens_in": "tokens read",
        "tokens_out": "tokens written",
        "seconds": "seconds",
    }
    return ", ".join(f"{_amount(value)} {names.get(name, name)}" for name, value in cost.items())


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else number(value)


def _told_p(p: float | None) -> str:
    if p is None:
        return ""
    return (
        f"Sign-flip permutation test: p = {number(p, 2)}. So often would a mean as far from zero come "
        "about if the sign of each prompt’s difference were a coin flip."
    )


def _spent(stage: StageReport) -> list[tuple[str, str, str]]:
    """Label, figure and remark (with a record where there is one)."""
    spent = stage.spent
    kl, price = spent.kl, spent.price
    return [
        (
            "Answer tokens pushed down",
            "–" if spent.pushed_down is None else percent(spent.pushed_down),
            f"of {counted(spent.pushed_tokens, 'answer token')} that updates saw"
            if spent.pushed_tokens
            else "",
        ),
        (
            "Answers pushed down",
            "–" if spent.pushed_answers is None else percent(spent.pushed_answers),
            f"as a whole; mean of {counted(spent.pushed_of, 'update')}" if spent.pushed_of else "",
        ),
        (
            "Negative-gradient mass",
            "–" if spent.negative_mass is None else percent(spent.negative_mass),
            "share of the pressure, as logits receive it, that lowers; mean over updates",
        ),
        (
            "Sampled answers left unused",
            "–" if spent.unused is None else percent(spent.unused),
            f"of {counted(spent.unused_of, 'judged answer')}"
            if spent.unused_of
            else "the method does not say",
        ),
        (
            "Reverse KL spent",
            "–" if kl is None else f"{number(kl.value)} nats/answer",
            f"95 % interval {number(kl.low)} to {number(kl.high)}, at update {spent.kl_step:,}" if kl else "",
        ),
        (
            "Price of the gain",
            "–" if price is None else f"{number(price.value, 2)} nats/point",
            (f"{number(price.low, 2)} to {number(price.high, 2)}. " if price else "") + spent.price_says,
        ),
    ]


def _row(measured: Measured) -> _Row:
    scale = Scale(measured.share)
    last, floor, paged = measured.last, measured.floor, measured.paged
    base = next((one.base for one in reversed(measured.readings) if one.base is not None), None)
    return _Row(
        name=measured.title,
        unit=measured.unit,
        says=measured.says,
        base="–" if base is None else f"{scale.level(base)}",
        last=scale.level(last.value) if last else "not read since training began",
        change=scale.change(last.change) if last and last.change is not None else "–",
        span=scale.change_span(last.change_low, last.change_high) if last else "",
        floor=_floor(floor, scale),
        record=last.record if last else "",
        tolerance=paged.tolerance if paged else "",
        detects=_detected(paged, scale) if paged else "",
        unjudged=percent(paged.unjudged) if paged else "",
        e="takes no part" if not paged or paged.e is None else power(paged.e),
    )


def _floor(floor: Audited | None, scale: Scale) -> str:
    if floor is None or floor.change is None:
        return "–"
    if not (floor.change or floor.change_low or floor.change_high):
        return "0"
    return f"{scale.change(floor.change)} ({scale.change_span(floor.change_low, floor.change_high)})"


def _detected(paged: Paged, scale: Scale) -> str:
    """The smallest change alone; the caption says for how many audits, and why there may be none."""
    return (
        paged.detects.partition(",")[0].partition(" in ")[0]
        if paged.detectable is None
        else scale.change(paged.detectable)
    )


def _tier(paging: Paging) -> list[tuple[str, str]]:
    """What the page tier has of δ, what it did with it, and who takes part."""
    last = paging.armings[-1] if paging.armings else None
    facts = [
        ("δ of the whole run", f"{number(paging.pipeline)}: the chance of any false page in all its stages"),
        ("Of it, this stage", number(paging.delta)),
        (
            "Given out so far",
            f"{number(paging.spent)}, to {counted(len(paging.armings), 'arming')}; nothing is got back",
        ),
    ]
    if last is not None:
        facts += [
            ("Pages at", f"a mean e-value of {power(last.threshold)}; it is {power(last.mean[-1])} now"),
            ("Highest so far", power(max(max(arming.mean) for arming in paging.armings))),
            ("Take part", ", ".join(sorted(last.indicators))),
        ]
    facts += [(f"Judged: {name}", text) for name, text in paging.judged]
    return [*facts, *((f"Takes no part: {name}", why) for name, why in paging.left)]
