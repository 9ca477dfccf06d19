"""Programme: what an audit reads, settled before a model is opened: indicators, panels, and which items.

Items are drawn without replacement, by the panel's name alone. So every model is read on the same ones, in
this audit and in any other at this depth, and indicators of one panel share what is asked.

Below ``quick`` the deep forms of the indicators are read too: ``full`` as many items as the design has for
them, ``standard`` a quarter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from accord import catalog
from accord.errors import PlanError, nearest
from accord.indicators.own import Own
from accord.panels import read_panel, shipped_panels
from accord.plan import GuardTable
from accord.ports import Indicator, Panelled
from accord.probing import OWN
from accord.records import JSON, Prompt
from accord.records.panels import Item, Panel
from accord.records.rows import Group
from accord.sources import seeded
from accord.stores.foreign.prompts import read_rows

__all__ = ["ALL", "Course", "Depth", "Drawn", "Programme", "Wish", "drawn", "programme"]

Depth = Literal["quick", "standard", "full"]

ALL = "all"
_PROMPTS: dict[Depth, int] = {"quick": 16, "standard": 250, "full": 1000}
_ITEMS = 64  # of each criterion, at least
_SAID: dict[Depth, int] = {"quick": _ITEMS, "standard": 125, "full": 500}  # the base's own answers
_SHIPPED = "short-questions:held_out"
_DEEP: tuple[tuple[Mapping[str, JSON], int], ...] = (
    ({"name": "capability_free"}, 400),
    ({"name": "greedy_rank"}, 1000),
    ({"name": "wide_diversity"}, 100),
    ({"name": "sycophancy_said", "form": "answer"}, 400),
    ({"name": "sycophancy_said", "form": "are_you_sure"}, 400),
    ({"name": "sycophancy_said", "form": "feedback"}, 400),
    ({"name": "refused", "half": "safe"}, 400),
    ({"name": "refused", "half": "unsafe"}, 400),
    ({"name": "calibration_error"}, 2000),
    ({"name": "unsaid_free"}, 400),
    ({"name": "tampering"}, 1200),
    ({"name": "preferences"}, 420),
)
"""Forms too long for an audit while training goes on, and of how many items each is, or all there are."""


class Wish(NamedTuple):
    """What to audit. ``panels``: names that ship, files, ``NAME=FILE`` for another file in a shipped one's
    place, ``base`` for what is read from fresh answers; none, or ``all``, means every shipped one."""

    models: tuple[str, ...]
    base: str | None = None
    panels: tuple[str, ...] = ()
    scorer: str | None = None
    depth: Depth = "standard"
    prompts: str | None = None
    answers: int = 4

    def checked(self) -> Wish:
        """The same with each model once. PlanError where it cannot be done."""
        if not self.models:
            raise PlanError("MODEL", None, "one model or more", "accord audit MODEL... --base BASE")
        for name in (*self.models, *((self.base,) if self.base is not None else ())):
            if not name.strip():
                raise PlanError("MODEL", name, "a folder, a hub id, a known name or a server's model")
        if self.depth not in get_args(Depth):
            depths = get_args(Depth)
            raise PlanError("--depth", self.depth, ", ".join(depths), nearest(self.depth, depths))
        if self.answers < 2:
            allowed = "2 or more: diversity is read within the answers to one prompt"
            raise PlanError("--answers", self.answers, allowed)
        return self._replace(models=tuple(dict.fromkeys(self.models)))


class Course(NamedTuple):
    """An indicator and the panel it reads here; ``why`` it cannot, where it cannot.

    ``deep``: how many items a full audit reads of a deep form, 0 for a live one.
    """

    indicator: Panelled
    panel: Panel
    why: str = ""
    deep: int = 0


class Drawn(NamedTuple):
    """The items of this audit, and other ones for a second look at the base; none where there are no more."""

    items: tuple[Item, ...]
    again: tuple[Item, ...]


class Programme(NamedTuple):
    """What is read. ``prompts`` are answered afresh by every model, for ``looking`` and the base's panel."""

    wish: Wish
    prompts: tuple[Prompt, ...]
    looking: tuple[Indicator, ...]
    asking: tuple[Course, ...]

    def written(self) -> dict[str, JSON]:
        """All that decides what is asked, for the audit's name: equal wishes are one audit."""
        return {
            "models": list(self.wish.models),
            "base": self.wish.base,
            "depth": self.wish.depth,
            "answers": self.wish.answers,
            "prompts": [prompt.id for prompt in self.prompts],
            "indicators": {
                c.indicator.criteria[0] + "@" + c.indicator.config: c.panel.digest for c in self.asking
            },
            "looking": [one.name for one in self.looking],
        }


def programme(wish: Wish) -> Programme:
    """What a wish means. PlanError or Unreadable where a panel, scorer, depth or prompt file is none."""
    wish = wish.checked()
    shipped, own = _named(wish)
    files = {name: file for name, file in shipped.items() if file}
    looking, asking = _watching()
    deep = () if wish.depth == "quick" else _deep()
    wanted = [(one, n) for one, n in (*((one, 0) for one in asking), *deep) if one.panel in shipped]
    read = {one.panel for one, _ in wanted}
    if none := [name for name in wish.panels if name.partition("=")[0] in shipped.keys() - read]:
        raise PlanError("--panel", none[0], f"a panel that depth {wish.depth} reads", "--depth standard")
    panels = {name: _panel(name, files) for name in dict.fromkeys(one.panel for one, _ in wanted)}
    courses = [Course(one, *panels[one.panel], n) for one, n in wanted]
    if wish.scorer is not None and not own:
        raise PlanError("--scorer", wish.scorer, "beside --panel FILE, whose answers it scores")
    courses += [_own(file, wish.scorer) for file in own]
    names = [c.indicator.criteria[0] for c in courses if isinstance(c.indicator, Own)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise PlanError("--panel", twice[0], "files of different names: readings are named after them")
    fresh = OWN in shipped
    prompts = _prompts(wish) if fresh else ()
    return Programme(wish, prompts, looking if fresh else (), tuple(courses))


def drawn(course: Course, wish: Wish, said: Sequence[Group] = ()) -> Drawn:
    """The items of a course. ``said``: what the base answered, the panel of an indicator that reads that."""
    panel = course.panel
    if course.indicator.panel == OWN:
        given = (
            Item(g.prompt, answer=r.text, slice=g.prompt.slice) for g in said for r in g.responses if r.text
        )
        each: dict[str, Item] = {}
        for item in given:  # deep forms have the prompts answered anew: one item for each
            each.setdefault(item.prompt.id if course.deep else item.id, item)
        panel = Panel(OWN, tuple(each.values()))
    able = [item for item in panel.items if course.indicator.takes(item)]
    order = seeded("audit", "items", panel.name).permutation(len(panel.items))
    left = [panel.items[i] for i in map(int, order)]
    fit = {item.id for item in able}
    left = [item for item in left if item.id in fit]
    count = _count(course, wish.depth, len(left))
    again = () if wish.depth == "quick" or course.deep else left[count : 2 * count]
    return Drawn(tuple(left[:count]), tuple(again) if len(again) >= 2 else ())


def _count(course: Course, depth: Depth, able: int) -> int:
    if course.deep:
        return min(able, course.deep if depth == "full" else course.deep // 4)
    if course.indicator.panel == OWN:
        return min(_SAID[depth], able)
    return {"quick": min(_ITEMS, able), "standard": min(max(_ITEMS, able // 4), able), "full": able}[depth]


def _named(wish: Wish) -> tuple[dict[str, str], list[str]]:
    """The shipped panels that are wished for, each with the file in its place if any; and one's own files."""
    known = {*shipped_panels(), *(one.panel for one in _watching()[1]), OWN}
    shipped: dict[str, str] = {}
    own: list[str] = []
    for name in wish.panels or (ALL,):
        place, equals, file = name.partition("=")
        if name == ALL:
            shipped |= dict.fromkeys(known - shipped.keys(), "")
        elif name in known:
            shipped.setdefault(name, "")
        elif equals and place in known - {OWN}:
            shipped[place] = file
        elif Path(name).exists():
            own.append(name)
        else:
            allowed = f"a file of items, {ALL}, or {', '.join(sorted(known))}"
            raise PlanError("--panel", name, allowed, nearest(name, known))
    return shipped, list(dict.fromkeys(own))


def _watching() -> tuple[tuple[Indicator, ...], tuple[Panelled, ...]]:
    """What watches training where a plan names nothing else: readers of fresh answers, and of panels."""
    built = [catalog.build("indicators", table) for table in GuardTable().indicator]
    asking = tuple(one for one in built if isinstance(one, Panelled))
    return tuple(cast(Indicator, one) for one in built if not isinstance(one, Panelled)), asking


def _deep() -> list[tuple[Panelled, int]]:
    return [(cast(Panelled, catalog.build("indicators", table)), n) for table, n in _DEEP]


def _panel(name: str, files: Mapping[str, str]) -> tuple[Panel, str]:
    """The panel, and why it cannot be read, where it cannot."""
    if name == OWN:
        return Panel(OWN, ()), ""
    if name not in files and name not in shipped_panels():
        return Panel(name, ()), f"the panel {name} is not part of this installation"
    return read_panel(files.get(name, name)), ""


def _own(file: str, scorer: str | None) -> Course:
    if scorer is None:
        allowed = "exact, choice, module:function or file.py:function"
        raise PlanError("--scorer", None, allowed, f"what says which answers to {file} are good?")
    panel = read_panel(file)
    indicator = Own(panel=file, scorer=scorer)
    str(indicator.config)  # proves that the scorer exists
    if not any(indicator.takes(item) for item in panel.items):
        needs = {"choice": "options and the right one as answer", "exact": "answer or target"}.get(scorer, "")
        raise PlanError("--scorer", scorer, f"items with {needs}", f"no item of {file} has them")
    return Course(cast(Panelled, indicator), panel)


def _prompts(wish: Wish) -> tuple[Prompt, ...]:
    rows = read_rows(wish.prompts or _SHIPPED)
    every = tuple({row.prompt.id: row.prompt for row in rows}.values())
    count = min(_PROMPTS[wish.depth], len(every))
    chosen = seeded("audit", "prompts").permutation(len(every))[:count]
    return tuple(every[i] for i in sorted(map(int, chosen)))
