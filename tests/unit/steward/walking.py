"""A stewardship of a base that is known, whose steps are stand-ins that note how they were called."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unit.steward.speaking import Speaker

from accord.progress import Silent
from accord.records.portraits import Portrait, Share, Shown, Standing, Verdict
from accord.records.stewarding import Tried
from accord.steward.amplify import Amplified
from accord.steward.constitution import Constituted
from accord.steward.conversed import FILE, Conversed, Revision, Said
from accord.steward.effort import Effort
from accord.steward.path import Walk
from accord.steward.steps import Calls
from accord.steward.trial import Variant
from accord.steward.tried import note_tried
from accord.steward.variants import Terms
from accord.values import Values, read_values

CLASSES: dict[str, Verdict] = {
    "holds": "held",
    "reaches": "within reach",
    "resists": "divergent",
    "denies": "divergent",
}
TEXT = """\
name = "mine"

[[principle]]
id = "keep"
kind = "rule"
text = "Keep it."
check = "check.py:kept"
target = 0.7
prompts = "rows.jsonl"
"""
CHECK = """
def kept(prompts, answers):
    return [float(answer == "kept") for answer in answers]
"""
EFFORT = Effort(samples=16, told=2, windows=2, variants=2, max_tokens=8)


def written(folder: Path) -> Path:
    """The values, with what they name."""
    rows = [{"prompt": f"Question {i} {last}", "slice": last} for last in CLASSES for i in range(24)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (folder / "check.py").write_text(CHECK, "utf-8")
    (folder / "mine.toml").write_text(TEXT, "utf-8")
    return folder / "mine.toml"


def share(value: float, n: int = 12) -> Share:
    """With an interval of two tenths around it."""
    return Share(value=value, low=max(0.0, value - 0.2), high=min(1.0, value + 0.2), n=n)


def base(values: Values) -> Portrait:
    """How the base stands by its classes: all or none of its answers keep the principle."""
    standings: list[Standing] = []
    for part in values.slices("keep"):
        verdict = CLASSES[part.name]
        kept = float(verdict == "held")
        items = tuple(case.prompt.id for case in part.audit)
        shown = (
            Shown(prompt=part.audit[0].prompt.text, answer="kept" if kept else "not so", kept=bool(kept)),
        )
        told = {"own": share(kept), "told": share(float(verdict != "divergent")), "best": share(kept)}
        about = {
            "principle": "keep",
            "slice": part.name,
            "target": 0.7,
            "verdict": verdict,
            "why": "as planted",
        }
        paired = {"items": items, "outcomes": (1 - kept,) * len(items), "shown": shown}
        standings.append(Standing.model_validate({**about, **told, **paired}))
    told = {"model": "m", "policy": "speaker", "values": values.digest, "standings": tuple(standings)}
    return Portrait.model_validate({**told, "samples": 16, "told": 2, "max_tokens": 8, "temperature": 1.0})


def raised(before: Portrait, slices: Sequence[str], policy: str, lowered: Sequence[str] = ()) -> Portrait:
    """The portrait of other weights, that keep the principle in these slices and break it in others."""
    moved: list[Standing] = []
    for one in before.standings:
        kept = 1.0 if one.slice in slices else 0.0 if one.slice in lowered else None
        told: dict[str, Any] = {}
        if kept is not None:
            verdict = "held" if kept else "divergent"
            told = {"own": share(kept), "verdict": verdict, "outcomes": (1 - kept,) * len(one.items)}
        moved.append(one.model_copy(update=told))
    return before.model_copy(update={"policy": policy, "standings": tuple(moved)})


def variant(name: str, run: Path, after: Portrait | None, **told: Any) -> Variant:
    """A run that came to this portrait."""
    pressure = {"pushed_answers": 0.0}
    made = Variant(
        name, "hash", run, run / "amplify" / "model", after, pressure=pressure, unused=0.25, seconds=1.0
    )
    return made._replace(**told)


@dataclass
class Walked:
    """Stand-ins for every part. ``calls``: which were called, with what; ``first``: what each does before."""

    place: Path
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    first: dict[str, Callable[[], None]] = field(default_factory=dict[str, Callable[[], None]])
    stopped: str = ""
    revises: bool = False
    writes: bool = False
    reaches: tuple[str, ...] = ("resists",)
    lost: tuple[str, ...] = ()

    def walk(self, **told: Any) -> Walk:
        """The stewardship ``w``, new or as it stands."""
        given: dict[str, Any] = {"runs": self.place / "runs", "name": "w", "effort": EFFORT}
        given |= {
            "terms": Terms(store="none", purpose="model"),
            "portraits": self.place / "portraits",
            **told,
        }
        walk = Walk.begin("m", self.place / "mine.toml", **given)
        walk.calls = self.parts
        return walk

    @property
    def parts(self) -> Calls:
        return Calls(self._portrait, self._amplify, self._converse, self._learn, self._constitute)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def of(self, name: str) -> dict[str, Any]:
        """With what a part was called, the last time."""
        return [told for one, told in self.calls if one == name][-1]

    def _note(self, name: str, told: dict[str, Any]) -> None:
        self.first.get(name, lambda: None)()
        self.calls.append((name, told))

    def _portrait(self, model: str, values: Any, **told: Any) -> Portrait:
        self._note("portrait", {"model": model, **told})
        return base(values)

    def _base(self) -> Portrait:
        return base(read_values(self.place / "mine.toml"))

    def _amplify(self, model: str, values: Any, within: Any, **told: Any) -> Amplified:
        self._note("amplify", {"model": model, "within": within, **told})
        run = told["runs"] / "w-amplify-told"
        one = variant("told", run, None, stopped=self.stopped)
        if self.stopped:
            return Amplified(tuple(within), (one._replace(model=None),), None, "none reaches", None)
        after = raised(self._base(), ["reaches"], "amplified")
        other = variant("told-gentle", told["runs"] / "w-amplify-told-gentle", self._base())
        variants = (one._replace(after=after, reached=True), other)
        return Amplified(tuple(within), variants, 0, "told reaches every target", one.model)

    def _converse(self, model: str, values: Any, standing: Standing, **told: Any) -> Conversed:
        self._note("converse", {"model": model, "standing": standing, **told})
        outcome = "revised answer" if self.revises else "no evidence"
        record = Tried(
            policy="speaker",
            values=values.digest,
            principle=standing.principle,
            slice=standing.slice,
            way="dialogue",
            outcome=outcome,
            says="as planted",
            evidence=("reply",),
        )
        note_tried(told["portraits"], record)
        case = next(s for s in values.slices("keep") if s.name == standing.slice).training[0]
        answer = Speaker({}).sampler("m", Silent()).encode(case.prompt, "kept")
        revised = (Revision(case.prompt, answer, "Keep it.", True, "reply"),) if self.revises else ()
        found = Conversed(model, record, Said(prompts=1), (), (), revised, (), None)
        if not self.writes:
            return found
        folder = told["folder"] / standing.slice
        folder.mkdir(parents=True)
        (folder / FILE).write_text(json.dumps(found.json()), "utf-8")
        return found._replace(folder=folder)

    def _learn(self, model: str, values: Any, about: Any, rows: Any, **told: Any) -> Variant:
        self._note("learn", {"model": model, "about": about, "rows": rows, **told})
        after = raised(self._base(), ["reaches", about[0].slice], "learned")
        return variant("agreed", told["runs"] / "w-dialogue-agreed", after, reached=True)

    def _constitute(self, model: str, values: Any, left: Any, **told: Any) -> Constituted:
        self._note("constitute", {"model": model, "left": left, **told})
        after = raised(self._base(), ["reaches", *self.reaches], "constituted", self.lost)
        reached = set(self.reaches) >= {one.slice for one in left}
        run = told["runs"] / "w-constitution-revised"
        lost = tuple(f"keep, {name}" for name in self.lost)
        one = variant("revised", run, after, reached=reached, lost=lost)
        return Constituted(
            tuple(left), 4, 3, 2, {"Keep it.": 4}, one, "stage two was not asked for", "done", one.model
        )
