"""The report as data: what ``report.json`` holds and what the page is made from. Nothing here computes.

Every figure names the record it comes from (``record``, a content id) and where that record stands
(``place``, file and line inside the run's folder). None means "there is no such figure", never zero.
"""

# size: all that report.json holds, in one file
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Literal, cast

from accord.maths.overuse import Form
from accord.records import JSON

__all__ = [
    "Arming",
    "Audited",
    "Binding",
    "Crossed",
    "Curve",
    "Decided",
    "Environment",
    "Figure",
    "Fitted",
    "Guarded",
    "Measured",
    "NoReading",
    "Paged",
    "Paging",
    "Point",
    "Result",
    "RunReport",
    "Said",
    "Spent",
    "StageReport",
    "State",
    "Status",
    "Trained",
    "Transcript",
    "Transcripts",
    "Use",
    "Used",
    "Verdict",
    "Versus",
    "Walked",
    "plain",
]

State = Literal["finished", "paused", "halted", "running", "interrupted", "not begun", "imported"]
Verdict = Literal["improved", "worsened", "no change", "not paired", "one reading", "none"]


@dataclass(frozen=True)
class Figure:
    """A number, its 95 % interval where it has one, and its record."""

    value: float
    low: float | None = None
    high: float | None = None
    record: str = ""
    place: str = ""


@dataclass(frozen=True)
class Status:
    """How far a stage or run is. ``record``: the decision or entry that says so."""

    state: State
    says: str
    record: str = ""


@dataclass(frozen=True)
class Trained:
    """What was trained, on what, and what it took. ``answers`` by use: training, held out, probes."""

    start: str
    method: str
    source: str
    asked: tuple[str, ...]
    learner: str
    windows: int
    windows_planned: int
    updates: int
    refused: int
    answers: Mapping[str, int]
    answer_tokens: int
    judgments: int
    abstentions: int
    judging: Mapping[str, float]
    measuring: Mapping[str, float]
    seconds: float
    starts: int


@dataclass(frozen=True)
class Result:
    """The held-out figure before and after. ``beyond``: about what a change would have had to exceed.

    ``seen``: how many of the prompts the stage also trained on; None where that cannot be told.
    """

    verdict: Verdict
    says: str
    name: str = ""
    label: str = ""
    share: bool = False
    prompts: int = 0
    answers: int = 0
    before: Figure | None = None
    after: Figure | None = None
    change: Figure | None = None
    p: float | None = None
    beyond: float | None = None
    seen: int | None = None


@dataclass(frozen=True)
class Point:
    """A point of a curve, or a bin of ``n`` values: their mean, their extremes as ``low`` and ``high``."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    n: int = 1
    record: str = ""


@dataclass(frozen=True)
class Curve:
    """A series over windows or updates. ``gaps``: where the value is not finite."""

    key: str
    title: str
    x: str
    y: str
    share: bool
    points: tuple[Point, ...]
    gaps: tuple[float, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Audited:
    """One reading of an indicator."""

    step: int
    value: float
    low: float
    high: float
    base: float | None
    change: float | None
    change_low: float | None
    change_high: float | None
    n: int
    instrument: str
    record: str
    place: str


@dataclass(frozen=True)
class NoReading:
    """An indicator that could not look."""

    step: int
    reason: str
    record: str


@dataclass(frozen=True)
class Binding:
    """A rule that binds an indicator: the change at which it acts, at each step where it is defined."""

    rule: str
    action: str
    at: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Paged:
    """A criterion of the page tier. ``tolerated``: the change of its mean that its null still holds.

    ``detectable``: the smallest change, present at every audit, that would be paged with probability .9;
    ``detects`` says so, or why it is not known. ``unjudged``: the share of the last items without an outcome,
    which stand at the adverse end. ``e``: its e-value after the last audit; None where it takes no part.
    """

    tolerance: str
    tolerated: float | None
    detectable: float | None
    detects: str
    unjudged: float
    e: float | None


@dataclass(frozen=True)
class Arming:
    """The page tier between one start from e-values of 1 and the next. ``delta``: what it may spend.

    ``steps``: its audits by update; after each of them ``mean`` is the mean e-value over the indicators,
    and ``indicators`` the one of each. ``accepted``: the sign-off that ended it; empty for the last one.
    """

    number: int
    delta: float
    threshold: float
    steps: tuple[int, ...]
    mean: tuple[float, ...]
    indicators: Mapping[str, tuple[float, ...]]
    accepted: str


@dataclass(frozen=True)
class Paging:
    """The page tier of a stage. ``delta`` is the stage's part of ``pipeline``, the chance of any false page.

    ``spent``: what of it the armings so far were given. ``left``: who takes no part, and why. ``audits``: how
    many of the arming in force ``detectable`` figures speak of. ``sees``: of so many criteria (of
    ``criteria``) a shift that would be paged in these audits is known. ``judged``: criteria whose outcomes
    a judge gives, each with the box of his errors and what follows.
    """

    says: str
    pipeline: float
    delta: float
    spent: float
    armings: tuple[Arming, ...]
    left: tuple[tuple[str, str], ...]
    audits: int
    sees: int
    criteria: int
    judged: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Measured:
    """One indicator over a stage. ``floor``: its reading before training, if the policy is its own base."""

    name: str
    title: str
    says: str
    unit: str
    share: bool
    readings: tuple[Audited, ...]
    missing: tuple[NoReading, ...]
    bindings: tuple[Binding, ...]
    floor: Audited | None
    last: Audited | None
    paged: Paged | None = None


@dataclass(frozen=True)
class Decided:
    """A decision of a rule, or of a person; ``answer`` names who accepted a Pause."""

    step: int
    action: str
    rule: str
    reason: str
    by: str
    answer: str
    record: str
    place: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Guarded:
    """What watched the stage, and what was decided. ``paging`` is None where no page tier is in force.

    ``idle``: indicators of the plan of which there is neither a reading nor a reason why not.
    """

    audits: int
    probes: int
    answers: int
    says: str
    indicators: tuple[Measured, ...]
    rules: tuple[tuple[str, str], ...]
    decisions: tuple[Decided, ...]
    acceptances: tuple[Decided, ...]
    paging: Paging | None = None
    idle: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spent:
    """Pressure and price. ``price``: nats of KL for each point of held-out gain, where there is a gain.

    ``pushed_answers``, ``negative_mass``: means over the ``pushed_of`` updates that tell of them.
    """

    pushed_down: float | None
    pushed_tokens: int
    pushed_answers: float | None
    negative_mass: float | None
    pushed_of: int
    unused: float | None
    unused_of: int
    kl: Figure | None
    kl_step: int
    price: Figure | None
    price_says: str


@dataclass(frozen=True)
class Said:
    """One answer and what was said of it. ``mean``: the score of all answers to its prompt at that time."""

    text: str
    finish: str
    tokens: int
    verdicts: tuple[str, ...]
    mean: float | None
    record: str
    place: str


@dataclass(frozen=True)
class Transcript:
    """A held-out prompt with its first answer before and after, and why this prompt is shown."""

    why: str
    prompt: str
    record: str
    gain: float | None
    before: Said | None
    after: Said | None


@dataclass(frozen=True)
class Transcripts:
    """The transcripts and the rule that chose them."""

    rule: str
    shown: tuple[Transcript, ...] = ()


@dataclass(frozen=True)
class Walked:
    """One record on the way from a figure down to a prompt. ``place`` is empty when it is not in this run."""

    kind: str
    record: str
    place: str
    says: str
    text: str = ""


@dataclass(frozen=True)
class Crossed:
    """Between which updates a criterion passed its tolerance; ``says`` tells how that is known, or why none.

    ``beside``: C and gains once it lay behind. ``shown``: answers of both policies, side by side.
    """

    name: str
    says: str
    below: int | None
    above: int | None
    boundary: float
    base: float
    draws: int
    beside: tuple[str, ...]
    shown: tuple[Transcript, ...]
    record: str
    place: str


@dataclass(frozen=True)
class Used:
    """How far the reward was used in a window, or the means over ``n`` neighbours."""

    window: float
    d: float
    proxy: float | None
    spread: float | None
    gold: float | None
    n: int = 1
    record: str = ""


@dataclass(frozen=True)
class Fitted:
    """A curve of overuse over the windows, or only why there is none. ``peak``: the d where it is highest."""

    form: Form
    says: str
    windows: int
    start: float | None = None
    a: Figure | None = None
    b: Figure | None = None
    peak: Figure | None = None
    residual: float | None = None


@dataclass(frozen=True)
class Use:
    """How far the reward was used. ``since``: where d is measured from; ``of``: the reward that is fitted."""

    says: tuple[str, ...]
    since: Literal["start", "base"]
    of: Literal["gold", "proxy"]
    points: tuple[Used, ...]
    fits: tuple[Fitted, ...]


@dataclass(frozen=True)
class Versus:
    """The win rate against another model. ``disagreed``: pairs that the two orders gave to two winners."""

    model: str
    judge: str
    says: str
    prompts: int = 0
    pairs: int = 0
    disagreed: int | None = None
    rate: Figure | None = None


@dataclass(frozen=True)
class Environment:
    """Where the stage ran, and whether its log can be believed."""

    machine: Mapping[str, str]
    lines: int
    torn: int
    problems: tuple[str, ...]
    drift: tuple[str, ...]


@dataclass(frozen=True)
class StageReport:
    """One stage."""

    name: str
    status: Status
    environment: Environment
    trained: Trained
    result: Result
    versus: Versus | None
    use: Use | None
    curves: tuple[Curve, ...]
    transcripts: Transcripts
    spent: Spent
    guard: Guarded
    trace: tuple[Walked, ...]
    crossings: tuple[Crossed, ...] = ()


@dataclass(frozen=True)
class RunReport:
    """A run, as far as it is."""

    run: str
    name: str
    purpose: str
    base: str
    seed: int
    status: Status
    headline: str
    stamp: str
    needs: tuple[str, ...]
    warnings: tuple[str, ...]
    statement: str
    stages: tuple[StageReport, ...]
    commands: tuple[tuple[str, str], ...]
    plan: str
    plan_hash: str
    store: str

    def json(self) -> dict[str, JSON]:
        """The report as JSON: no infinities, no half surrogate pairs; those are written as text."""
        return {"kind": "report", "v": 1, **cast("dict[str, JSON]", plain(self))}


def plain(value: object) -> JSON:
    """Dataclasses as tables, tuples as lists, non-finite numbers as text.

    >>> plain(Figure(0.5, float("-inf")))
    {'value': 0.5, 'low': '-Infinity', 'high': None, 'record': '', 'place': ''}
    """
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case None | bool() | int() | float():
            return value
        case Mapping():
            items = cast("Mapping[str, object]", value)
            return {str(plain(key)): plain(item) for key, item in items.items()}
        case Sequence():
            return [plain(item) for item in cast("Sequence[object]", value)]
        case _ if is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            raise TypeError(f"a report holds no {type(value).__name__}")
