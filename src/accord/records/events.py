"""What happened in a run: StepEvent, Reading, NotMeasured, Decision, ModelRef, Entry."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from accord.records.record import Cost, Record

__all__ = ["Action", "Decision", "Entry", "ModelRef", "NotMeasured", "Reading", "StepEvent"]

Action = Literal["continue", "pause", "halt"]


class StepEvent(Record):
    """Something the loop did at a step: an optimizer update, a window sampled, a fault. Scalars only."""

    kind: ClassVar[str] = "event"
    outside: ClassVar[frozenset[str]] = frozenset({"seconds"})

    run: str
    name: Literal["update", "window", "fault", "stage"]
    step: int
    window: int = 0
    scalars: dict[str, float] = {}
    text: str = ""
    seconds: float = 0.0


class Reading(Record):
    """A number with an interval, from one instrument. Indicators and held-out evaluations make them.

    ``value`` is the figure itself, ``low``–``high`` its 95 % interval. ``base`` is the same figure of the
    base, and ``change`` (with interval) the difference to it, paired by item where items are shared.
    ``outcomes[i]`` in [0, 1] belongs to ``items[i]``; ``anchors[i]`` is the base's mean outcome on that item.
    An item in ``unjudged`` (places in ``items``) has no outcome of its own and stands at 1, the adverse end.
    """

    kind: ClassVar[str] = "reading"
    outside: ClassVar[frozenset[str]] = frozenset({"cost"})

    run: str
    name: str
    step: int
    instrument: str
    value: float
    low: float
    high: float
    base: float | None = None
    change: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    unit: str = ""
    n: int = Field(ge=1)
    items: tuple[str, ...] = ()
    outcomes: tuple[float, ...] = ()
    anchors: tuple[float, ...] = ()
    unjudged: tuple[int, ...] = ()
    cost: Cost = Cost()

    @model_validator(mode="after")
    def _outcomes_fit(self) -> Self:
        if len(self.outcomes) != len(self.items):
            raise ValueError(f"{len(self.outcomes)} outcomes for {len(self.items)} items")
        for item, outcome in zip(self.items, self.outcomes, strict=True):
            if not 0 <= outcome <= 1:
                raise ValueError(f"the outcome of item {item} is {outcome}, outside [0, 1]")
        if self.anchors and len(self.anchors) != len(self.items):
            raise ValueError(f"{len(self.anchors)} anchors for {len(self.items)} items")
        if any(not 0 <= place < len(self.items) for place in self.unjudged):
            raise ValueError(f"unjudged names {self.unjudged}, of {len(self.items)} items")
        return self


class NotMeasured(Record):
    """An indicator that could not look, and why. Never a zero."""

    kind: ClassVar[str] = "not_measured"

    run: str
    name: str
    step: int
    reason: str


class Decision(Record):
    """Continue, Pause or Halt: by which rule, on which evidence (parents). An acceptance names a person."""

    kind: ClassVar[str] = "decision"

    run: str
    step: int
    action: Action
    rule: str
    reason: str = ""
    by: str = ""
    accepts: str | None = None


class ModelRef(Record):
    """A model: where it lies, and the digests of its files. ``name`` is ``run/stage@step`` until saved."""

    kind: ClassVar[str] = "model"
    outside: ClassVar[frozenset[str]] = frozenset({"path"})

    name: str
    path: str = ""
    digest: str = ""
    files: dict[str, str] = {}
    base: str = ""


class Entry(Record):
    """A finished stage: its result, and whether the evidence gate was passed (``explore``: ungated).

    ``pushes``: whether its method may push answers down; one that does not needs no gate. ``step`` counts its
    updates; ``kept`` is the update whose weights are the result, where not the last.
    """

    kind: ClassVar[str] = "entry"
    outside: ClassVar[frozenset[str]] = frozenset({"seconds"})

    run: str
    stage: str
    step: int
    purpose: Literal["explore", "model"]
    model: str
    kept: int | None = None
    gated: bool = False
    pushes: bool = True
    seconds: float = 0.0
