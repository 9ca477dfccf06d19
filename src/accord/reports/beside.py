"""Two runs side by side: where their plans differ, their figures, and their indicators. Pure.

No test is made between runs, whose prompts may be others: intervals stand beside each figure, and runs of one
plan with other seeds show what chance does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from accord.plan import Plan, read_plan
from accord.records import JSON
from accord.reports.document import Figure, Measured, RunReport, StageReport, plain
from accord.reports.whole import gather
from accord.reports.words import Scale, number, percent, visible
from accord.stores.files import make_folder, write_aside

__all__ = ["Beside", "beside", "write_beside"]

Row = Mapping[str, str]
_NONE = "–"
_SETTING, _FIGURE = "setting", "figure"


@dataclass(frozen=True)
class Beside:
    """Two runs. ``says``: what is read first; each of ``tables`` has a title, and a column for each run."""

    one: str
    two: str
    says: tuple[str, ...]
    tables: tuple[tuple[str, tuple[Row, ...]], ...]

    @property
    def page(self) -> str:
        """What its page is called where nobody says: a file of this folder, wherever the runs lie."""
        return f"{Path(self.one).name}-{Path(self.two).name}.html"

    def json(self) -> dict[str, JSON]:
        """All of it as JSON."""
        told = {title: list(rows) for title, rows in self.tables}
        whole = {"one": self.one, "two": self.two, "says": self.says, "tables": told}
        return {"kind": "comparison", "v": 1, **cast("dict[str, JSON]", plain(whole))}


def beside(one: Path, two: Path) -> Beside:
    """Everything that differs, and the figures of both. Unreadable where a folder holds no run."""
    reports = (gather(one), gather(two))
    names = _names(one, two)
    plans = (read_plan(one / "plan.toml"), read_plan(two / "plan.toml"))
    settings = tuple(_settings(plans, names))
    return Beside(
        *names,
        says=tuple(_says(reports, names, settings)),
        tables=(
            ("Where their plans differ", settings),
            ("Figures", tuple(row for row in _by_stage(reports, names, _figures))),
            (
                "Indicators, change from the base",
                tuple(row for row in _by_stage(reports, names, _indicators)),
            ),
        ),
    )


def write_beside(found: Beside, out: Path) -> Path:
    """One HTML file of it."""
    from accord import __version__
    from accord.reports.html import environment, filters

    template = environment("accord.reports", filters()).get_template("beside.html.j2")
    make_folder(out.parent)
    write_aside(out, template.render(found=found, version=__version__))
    return out


def _names(one: Path, two: Path) -> tuple[str, str]:
    """What each is called; two runs of one name are told apart by where they lie."""
    names = (one.resolve().name, two.resolve().name)
    if names[0] == names[1]:
        return str(one), str(two)
    # A run may be called as the first column is.
    first, second = (f"run {name}" if name in (_SETTING, _FIGURE) else name for name in names)
    return first, second


def _says(reports: Sequence[RunReport], names: Sequence[str], settings: Sequence[Row]) -> Iterator[str]:
    for name, report in zip(names, reports, strict=True):
        yield f"{name}: {report.headline}"
    told = ", ".join(row[_SETTING] for row in settings[:6])
    more = f" and {len(settings) - 6} more" if len(settings) > 6 else ""
    yield f"their plans differ in {told}{more}" if settings else "their plans are equal"
    if reports[0].base != reports[1].base:
        yield "their bases differ: a change of one is not from where a change of the other is"


def _settings(plans: Sequence[Plan], names: Sequence[str]) -> Iterator[Row]:
    flat = [dict(_flat("", cast(JSON, plan.table()))) for plan in plans]
    for path in dict.fromkeys([*flat[0], *flat[1]]):
        values = [one.get(path, _NONE) for one in flat]
        if values[0] != values[1]:
            yield {_SETTING: path, **dict(zip(names, values, strict=True))}


def _flat(path: str, value: JSON) -> Iterator[tuple[str, str]]:
    """Every setting with its path; a stage or part of a list goes by its name, those of one name by turns."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}" if path else key, inner)
    elif (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and any(isinstance(x, Mapping) for x in value)
    ):
        names = [inner.get("name", n) if isinstance(inner, Mapping) else n for n, inner in enumerate(value)]
        for place, (name, inner) in enumerate(zip(names, value, strict=True)):
            again = f" ({names[: place + 1].count(name)})" if names.count(name) > 1 else ""
            yield from _flat(f"{path}.{name}{again}", inner)
    else:
        yield path, visible(str(value))


def _by_stage(
    reports: Sequence[RunReport],
    names: Sequence[str],
    told: Callable[[StageReport], Iterator[tuple[str, str]]],
) -> Iterator[Row]:
    """Rows by what they are called, with one column for each run."""
    found: list[dict[str, str]] = []
    many = any(len(report.stages) > 1 for report in reports)
    for report in reports:
        rows: dict[str, str] = {}
        for stage in report.stages:
            for what, text in told(stage):
                name = f"{stage.name}: {what}" if many else what
                again = sum(one.partition(" (no. ")[0] == name for one in rows)
                rows[f"{name} (no. {again + 1})" if again else name] = text
        found.append(rows)
    for what in dict.fromkeys([*found[0], *found[1]]):
        yield {
            _FIGURE: what,
            **{name: rows.get(what, _NONE) for name, rows in zip(names, found, strict=True)},
        }


def _figures(stage: StageReport) -> Iterator[tuple[str, str]]:
    trained, result, spent = stage.trained, stage.result, stage.spent
    scale = Scale(result.share)
    yield "method", trained.method
    yield "updates", f"{trained.updates:,}"
    yield "answer tokens", f"{trained.answer_tokens:,}"
    yield "seconds", f"{trained.seconds:,.0f}"
    if result.before is not None:
        yield f"{result.label or 'held out'}, before", _figure(result.before, scale)
    if result.after is not None:
        yield f"{result.label or 'held out'}, after", _figure(result.after, scale)
    if result.change is not None:
        span = scale.change_span(result.change.low, result.change.high)
        yield "change", f"{scale.change(result.change.value)} ({span})"
    yield "answers pushed down", percent(spent.pushed_answers)
    yield "tokens pushed down", percent(spent.pushed_down)
    yield "negative-gradient mass", percent(spent.negative_mass)
    yield "answers left unused", percent(spent.unused)
    if spent.kl is not None:
        yield "reverse KL, nats an answer", _figure(spent.kl, Scale(False))
    if spent.price is not None:
        yield "nats for each point", number(spent.price.value)
    yield "decisions of the guard", f"{len(stage.guard.decisions)}"
    yield "crossings", f"{len(stage.crossings)}"


def _figure(one: Figure, scale: Scale) -> str:
    return f"{scale.level(one.value)} ({scale.span(one.low, one.high)})"


def _indicators(stage: StageReport) -> Iterator[tuple[str, str]]:
    for one in stage.guard.indicators:
        yield one.title, _last(one)


def _last(one: Measured) -> str:
    if one.last is None or one.last.change is None:
        return "not read since training began"
    scale = Scale(one.share)
    return f"{scale.change(one.last.change)} ({scale.change_span(one.last.change_low, one.last.change_high)})"
