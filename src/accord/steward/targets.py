"""Targets: the table of what a model holds, what lies within its reach, what it contradicts, what is open.

Each class has what happens next. ``no evidence`` is a class of its own: it is never counted with another, and
each line of it says how much more would tell, or what is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from shlex import join
from typing import NamedTuple, cast, get_args

from accord.errors import Refused
from accord.records import JSON
from accord.records.portraits import Portrait, Share, Standing, Verdict
from accord.values import Values

__all__ = ["NEXT", "Targets", "targets"]

NEXT: Mapping[Verdict, str] = {
    "held": "nothing is trained; it is watched",
    "within reach": "amplify what the model does itself",
    "divergent": "dialogue, then constitution; anything harder needs the gate",
    "no evidence": "more prompts, a judge who is qualified, or a person; never the class above",
}

_CLASSES = cast("tuple[Verdict, ...]", get_args(Verdict))


class Targets(NamedTuple):
    """Every principle × slice of a portrait in its class. ``outcomes`` are compared and have no target;
    ``contested`` ones are watched and never trained on, so they are in no class either."""

    portrait: Portrait
    values: str
    standings: tuple[Standing, ...]
    outcomes: tuple[str, ...]
    contested: tuple[str, ...] = ()

    def of(self, verdict: Verdict) -> tuple[Standing, ...]:
        """Those in one class."""
        return tuple(one for one in self.standings if one.verdict == verdict)

    @property
    def headline(self) -> str:
        """How many stand where."""
        counts = Counter(one.verdict for one in self.standings)
        told = ", ".join(f"{counts[name]} {name}" for name in _CLASSES if counts[name])
        return f"{self.portrait.model} on {self.values}: {told or 'no principle has a target'}"

    def rows(self) -> list[dict[str, str]]:
        """One row per principle and slice."""
        return [
            {
                "principle": f"{one.principle}{' (hard)' if one.hard else ''}",
                "slice": one.slice,
                "n": "" if one.own is None else str(one.own.n),
                "target": f"{one.target:g}",
                "own": _cell(one.own),
                "told": _cell(one.told),
                "best of 16": _cell(one.best),
                "contrast": _cell(one.contrast),
                "class": one.verdict,
            }
            for one in self.standings
        ]

    def lines(
        self,
        table_of: Callable[[Sequence[Mapping[str, object]]], list[str]],
        broken: Callable[[str, str], list[str]],
        examples: bool = False,
    ) -> Iterator[str]:
        """All of it for a terminal; ``table_of`` aligns rows, ``broken`` breaks a text behind its head."""
        yield self.headline
        yield from table_of(self.rows())
        for name in _CLASSES:
            standings = self.of(name)
            if standings:
                yield ""
                yield from broken(f"{name}: {NEXT[name]}", "")
            for one in standings:
                yield from broken(f"{one.principle}, {one.slice}: {_why(one)}", "  ")
                steps = one.remedy if one.verdict == "no evidence" else ()
                yield from (f"    to know: {step}" for step in steps)  # never broken: to be copied
                yield from _shown(one, broken) if examples else ()
        yield ""
        if self.outcomes:
            yield from broken(f"compared, without a target: {', '.join(self.outcomes)}", "")
        if self.contested:
            yield from broken(f"contested, watched and never trained on: {', '.join(self.contested)}", "")
        for what, why in self.portrait.not_measured.items():
            yield from broken(f"{what}: not measured: {why}", "")
        yield from broken(_READ, "")

    def json(self) -> dict[str, JSON]:
        """All of it, with the portrait."""
        classes: dict[str, JSON] = {
            name: [{"principle": one.principle, "slice": one.slice} for one in self.of(name)]
            for name in _CLASSES
        }
        record: dict[str, JSON] = {"kind": Portrait.kind, "id": self.portrait.id, **self.portrait.body()}
        contested = list(self.contested)
        return {"values": self.values, "classes": classes, "contested": contested, "portrait": record}


_READ = (
    "own, told: share of answers that keep it, without and with the principle stated; best of 16: chance "
    "that one of 16 own answers does; contrast: probability of the complying of two continuations, per "
    "token. Intervals are 95 %, over n prompts of the sealed half."
)


def targets(portrait: Portrait, values: Values) -> Targets:
    """The table of a portrait. Refused where it is of other values."""
    if portrait.values != values.digest:
        raise Refused(
            f"the portrait of {portrait.model} is of other values than {values.name}, or of an earlier text\n"
            f"  {join(['accord', 'targets', portrait.model, '--values', str(values.file)])} asks what is new"
        )
    contested = tuple(one.id for one in values.contested)
    return Targets(portrait, values.name, portrait.standings, portrait.outcomes, contested)


def _cell(one: Share | None) -> str:
    if one is None:
        return "not measured"
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _why(one: Standing) -> str:
    open_best = one.own is not None and one.own.high < one.target and one.best is None
    if one.verdict != "no evidence" or one.own is None or (open_best and one.needed is None):
        return one.why
    if one.needed is None:
        return f"{one.why}; with figures like these no number of prompts up to 10,000 would tell"
    more = one.needed - len(one.items)
    return f"{one.why}; about {one.needed:,} prompts in its sealed half would tell, {more:,} more"


def _shown(one: Standing, broken: Callable[[str, str], list[str]]) -> Iterator[str]:
    words = {True: "keeps it", False: "does not", None: "not judged"}
    for example in one.shown:
        yield from broken(" ".join(example.prompt.split()), "    asked: ")
        yield from broken(" ".join(example.answer.split())[:600], f"    {words[example.kept]}: ")
