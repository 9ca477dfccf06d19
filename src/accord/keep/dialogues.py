"""What is signed of a dialogue: what was offered, who replied, κ beside its null, and what came of it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from accord.keep.bound import Bound, Interval, Sha256, Shape, Text

__all__ = ["Agreement", "Dialogue", "Offer", "Reply"]


class Offer(Shape):
    """A way out of a divergence that was offered to the model."""

    record: Sha256
    kind: Literal["edit of the values", "contested slice", "revised answer"]
    text: Text


class Reply(Shape):
    """An answer that is owed: to a Record (an offer, a stated preference) or to the whole, and by whom."""

    to: Sha256 | Literal["the whole record"]
    answer: Literal["accept", "partly", "decline"]
    by: Text
    reason: Text


class Agreement(Shape):
    """Cohen's κ of stated against revealed choice, beside what chance gives: the null's 95 % quantile; and
    the Record of both."""

    kappa: Interval
    null: float
    record: Sha256


class Dialogue(Bound):
    """A divergence that was talked over with the model or the base that it comes from, and what came of it.

    ``result``: *accepted* by the person in ``accepted_by``; *revised answer* where answers of its own were
    approved and no person replied to that; *no evidence* where what it says tells nothing of what it does,
    with ``agreement`` None where that could not be measured.
    """

    type: ClassVar[str] = "urn:accord:steward-dialogue/v1"
    word: ClassVar[str] = "dialogue"

    principle: Text
    slice: str
    transcripts: Annotated[tuple[Sha256, ...], Field(min_length=1)]
    offers: tuple[Offer, ...]
    replies: tuple[Reply, ...]
    agreement: Agreement | None
    result: Literal["accepted", "revised answer", "declined", "no evidence"]
    accepted_by: Text | None

    @model_validator(mode="after")
    def _accepted_by_a_person(self) -> Self:
        if (self.result == "accepted") != (self.accepted_by is not None):
            raise ValueError("what was accepted names the person who accepted it, and nothing else does")
        offered = {one.record for one in self.offers}
        met = {one.by for one in self.replies if one.answer == "accept" and one.to in offered}
        if self.accepted_by is not None and self.accepted_by not in met:
            raise ValueError("the person who accepted it replied so to an offer")
        return self

    @model_validator(mode="after")
    def _beyond_chance(self) -> Self:
        if self.result == "no evidence":
            return self
        if self.agreement is None or self.agreement.kappa.value <= self.agreement.null:
            raise ValueError("without an agreement beyond chance there is no evidence")
        if self.result == "revised answer" and not any(one.kind == self.result for one in self.offers):
            raise ValueError("a revised answer was offered to be learnt from")
        return self
