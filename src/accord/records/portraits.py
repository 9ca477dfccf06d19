"""What a model had learned before anything was trained: Share, Shown, Standing, Portrait."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from accord.records.record import Cost, Record

__all__ = ["Portrait", "Share", "Shown", "Standing", "Verdict"]

Verdict = Literal["held", "within reach", "divergent", "no evidence"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Share(_Part):
    """A figure with its 95 % interval over ``n`` prompts.

    ``unjudged`` answers have no verdict: the low end takes them for violations, the high one for none.
    """

    value: float
    low: float
    high: float
    n: int = Field(ge=1)
    unjudged: int = Field(default=0, ge=0)


class Shown(_Part):
    """One answer, as an example. ``kept``: whether it keeps the principle, None where nobody could say."""

    prompt: str
    answer: str
    kept: bool | None = None


class Standing(_Part):
    """How one principle stands in one slice of its prompts, on their sealed half.

    ``own``: the share of the model's own answers that keep it; ``told``: the same with the principle before
    the prompt; ``halfway``: ``told`` less the middle between ``own`` and the target, ≥ 0 where telling closes
    half of the gap; ``best``: the chance that one of sixteen own answers keeps it. ``contrast``: the
    probability of the complying one of two continuations, by log-probability per token, ``whole`` by that of
    the whole text. None is what could not be measured.

    ``items`` are the prompts, ``outcomes`` the share of answers to each that do *not* keep it (1 is the
    adverse end, as in a Reading; without a verdict it stands at 1): later readings are paired to these.
    ``needed``: so many prompts in this half would tell, at the same figures; ``remedy``: what supplies it.
    """

    principle: str
    slice: str
    target: float
    hard: bool = False
    own: Share | None = None
    told: Share | None = None
    halfway: Share | None = None
    best: Share | None = None
    contrast: Share | None = None
    whole: Share | None = None
    verdict: Verdict
    why: str
    needed: int | None = None
    remedy: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    outcomes: tuple[float, ...] = ()
    shown: tuple[Shown, ...] = ()
    evidence: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.items) != len(self.outcomes):
            raise ValueError(f"{len(self.outcomes)} outcomes for {len(self.items)} items")
        return self


class Portrait(Record):
    """What a model does with the sealed half of a values document, as it was found: levels, no change.

    ``policy`` says which weights, ``values`` is the digest of the document, ``checks`` that of the programs
    that check it, by their code. ``samples`` own answers to each prompt and ``told`` ones with the principle
    before it, of ``max_tokens`` at ``temperature``. ``outcomes``: principles that are compared and have no
    target. ``audit``: the folder of its audit, "" for none.
    """

    kind: ClassVar[str] = "portrait"
    outside: ClassVar[frozenset[str]] = frozenset({"model", "cost", "audit"})

    model: str
    policy: str
    values: str
    checks: str = ""
    depth: Literal["values", "quick", "standard", "full"] = "values"
    samples: int = Field(ge=1)
    told: int = Field(ge=1)
    max_tokens: int = Field(ge=1)
    temperature: float
    standings: tuple[Standing, ...]
    outcomes: tuple[str, ...] = ()
    audit: str = ""
    not_measured: dict[str, str] = {}
    cost: Cost = Cost()
