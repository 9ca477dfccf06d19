"""What a dialogue came to: figures, proposals, replies and revised answers, for a person and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from accord.errors import PlanError
from accord.maths.agreement import Kappa
from accord.records import JSON, Acceptance, Prompt, Proposal, Reply, Response, Tried
from accord.records.stewarding import Agreement, CameTo
from accord.steward.choices import LEAST, Compared

__all__ = ["FILE", "REVISED", "Conversed", "Extent", "Revision", "Said"]

FILE, REVISED = "dialogue.json", "revised.jsonl"


class Extent(NamedTuple):
    """How much is said. ``prompts``: at most so many of the training half, and no fewer than could tell
    anything, with ``samples`` own answers each; ``talks``: so many pairs of conflicting answers are shown;
    ``restatements`` of them are tried."""

    prompts: int = 24
    samples: int = 5
    talks: int = 2
    restatements: int = 2
    max_tokens: int = 96
    temperature: float = 1.0

    def checked(self) -> Extent:
        """PlanError where it cannot be done."""
        least = {"prompts": LEAST, "samples": 1, "talks": 1, "restatements": 0, "max_tokens": 1}
        for name, few in least.items():
            if (number := cast(int, getattr(self, name))) < few:
                raise PlanError(f"extent.{name}", number, f"a number of {few} or more")
        if not self.temperature > 0:
            raise PlanError("extent.temperature", self.temperature, "over 0")
        return self


class Said(NamedTuple):
    """How its choices came out. Of ``asked`` wordings ``flipped`` led elsewhere in the other order and
    ``unread`` could not be read; of ``prompts``, ``undecided`` came to no stated choice, and ``left_out`` to
    no revealed one. ``compared`` is None where it was not asked."""

    prompts: int
    compared: Compared | None = None
    asked: int = 0
    flipped: int = 0
    unread: int = 0
    undecided: int = 0
    left_out: int = 0

    @property
    def kappa(self) -> Kappa | None:
        """Stated against revealed choice, with what shuffling gives; None where there is none."""
        found = self.compared.kappa if self.compared else None
        return found if isinstance(found, Kappa) else None

    @property
    def agreement(self) -> Agreement | None:
        """The same, for a Record."""
        if (found := self.kappa) is None:
            return None
        low = max(found.low, -1.0)  # of a resample without a κ, which counts as the worst: no κ is under −1
        return Agreement(kappa=found.value, low=low, high=found.high, null=found.null_high, n=found.n)

    @property
    def line(self) -> str:
        """For a person."""
        parts = [
            f"{self.asked} choices in both orders: {self.flipped} led elsewhere in the other order",
            f"{self.unread} could not be read",
            f"{self.undecided} of {self.prompts - self.left_out} prompts undecided",
        ]
        parts += [f"{self.left_out} more show no choice of its own"] if self.left_out else []
        return ", ".join(parts)


class Revision(NamedTuple):
    """One answer anew: to which prompt, under which text of the principle; whether its judge approves, and
    every hard principle that a program checks."""

    prompt: Prompt
    answer: Response
    under: str
    approved: bool
    reply: str


class Conversed(NamedTuple):
    """What came of a dialogue. ``revised``: what may be trained on, of all that was said; nothing else.

    ``transcript``: ids of every text of the model's; ``folder``: where all of it lies, None where not kept;
    ``answered``: what people said to proposals so far.
    """

    model: str
    tried: Tried
    said: Said
    proposals: tuple[Proposal, ...]
    replies: tuple[Reply, ...]
    revised: tuple[Revision, ...]
    transcript: tuple[str, ...]
    folder: Path | None
    answered: tuple[Acceptance, ...] = ()

    @property
    def outcome(self) -> CameTo:
        return self.tried.outcome

    @property
    def kappa(self) -> Kappa | None:
        return self.said.kappa

    @property
    def headline(self) -> str:
        return f"{self.model}, {self.tried.principle}, {self.tried.slice}: {self.outcome}"

    def lines(self, broken: Callable[[str, str], list[str]]) -> Iterator[str]:
        """For a terminal; ``broken`` breaks a text behind its head."""
        yield self.headline
        yield from broken(self.tried.says, "")
        if self.said.asked:
            yield from broken(self.said.line, "")
        if self.outcome == "no evidence":
            yield from broken(_ONWARD, "")
        words = [one for one in self.replies if one.about in ("reasons", "restatement") and one.text]
        for one in words[:2]:
            heads = {"reasons": "  its reasons: ", "restatement": "  in its words: "}
            yield from broken(" ".join(one.text.split())[:400], heads[one.about])
        answers = {one.to: one.reads for one in self.replies if one.about == "proposal"}
        for one in self.proposals:
            yield ""
            yield from broken(f"{one.id[:12]}: {one.resolution}: {one.text}", "")
            yield from broken(one.says, "  ")
            yield from broken(_SAYS[answers.get(one.id, "")], "  ")
            for said in (answer for answer in self.answered if answer.proposal == one.id):
                word = "accepts" if said.accepts else "declines"
                yield from broken(f"{said.by} {word} it: {said.reason}", "  ")
        if self.folder is not None:
            yield ""
            yield f"kept in {self.folder}"

    def json(self) -> dict[str, JSON]:
        """All of it but the texts, which lie in the folder."""
        kappa = self.kappa
        figures = None if kappa is None else cast("dict[str, JSON]", kappa._asdict())
        said = {name: cast(JSON, value) for name, value in self.said._asdict().items() if name != "compared"}
        return {
            "model": self.model,
            "outcome": self.outcome,
            "tried": {"kind": Tried.kind, "id": self.tried.id, **self.tried.body()},
            "kappa": figures,
            "said": said,
            "proposals": [{"id": one.id, **one.body()} for one in self.proposals],
            "replies": [{"id": one.id, **one.body()} for one in self.replies],
            "revised": [{"prompt": one.prompt.text, "answer": one.answer.text} for one in self.revised],
            "transcript": list(self.transcript),
            "answered": [{"id": one.id, **one.body()} for one in self.answered],
        }


_ONWARD = (
    "No evidence is an outcome: nothing that was said here is trained on, and the divergence moves on to the "
    "constitution."
)
_SAYS = {
    "accept": "the model accepts it, in both orders and two wordings",
    "decline": "the model declines it, in both orders and two wordings",
    "": "what the model says to it cannot be read",
}
