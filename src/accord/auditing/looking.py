"""Looking: what one model does with all that an audit asks. A stop leaves a gap, never half a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from accord.auditing.asking import Stopped
from accord.auditing.programme import Course, Programme, drawn
from accord.errors import ContractError
from accord.ports import Draw, How, Look, Observed, Panelled, Referred, Sampler
from accord.probing import OWN
from accord.records import NotMeasured, Reading
from accord.records.panels import Item
from accord.records.rows import Group
from accord.remembered import Remembered
from accord.worker import Worker

__all__ = ["RUN", "UNREAD", "Base", "Eye", "Kept", "Way", "name_of"]

Way = Literal["two draws", "halves"]

RUN = "audit"
UNREAD = "not read before the limit of --max-tokens; --resume goes on"
_NO_BASE = "it compares with a base, and this audit has none"
_TEMPERATURE, _MAX_TOKENS = 1.0, 64


def name_of(course: Course) -> str:
    """``sycophancy.flips``, ``own.mine``: what tells a course from every other."""
    return f"{course.indicator.name}.{course.indicator.criteria[0]}"


class Kept(NamedTuple):
    """What was observed of a course: of each item and criterion an outcome, of a base whose answers are drawn
    the mean of several."""

    observed: Observed
    items: tuple[Item, ...]


class Base(NamedTuple):
    """What models are compared with: ``kept`` by course, or why there is nothing; ``again`` the same on other
    items, for the noise floor. ``groups`` are its answers to the prompts."""

    name: str
    sampler: Sampler
    groups: tuple[Group, ...] | str
    groups_again: tuple[Group, ...] | str
    kept: Mapping[str, Kept | str]
    again: Mapping[str, Kept | str]


@dataclass
class Eye:
    """Looks at models, one after another."""

    programme: Programme
    worker: Worker

    def base(self, name: str, sampler: Sampler) -> Base:
        """All of a base: its answers, its outcomes, and a second look at other items."""
        wish = self.programme.wish
        groups = self.answers(sampler, "base")
        twice: tuple[Group, ...] | str = ()
        if wish.depth != "quick":
            twice = self.answers(sampler, "again")
        said = groups if isinstance(groups, tuple) else ()
        kept: dict[str, Kept | str] = {}
        again: dict[str, Kept | str] = {}
        for one in self.programme.asking:
            at, key = drawn(one, wish, said), name_of(one)
            late = isinstance(groups, str) and one.indicator.panel == OWN
            one = _handed(one, sampler)
            kept[key] = UNREAD if late else self.observed(one, at.items, sampler, "base", one.indicator.draws)
            if at.again and not late:
                again[key] = self.observed(one, at.again, sampler, "base", one.indicator.draws)
        return Base(name, sampler, groups, twice, kept, again)

    def model(self, sampler: Sampler, base: Base) -> dict[str, Kept | str]:
        """What a model does with the items that the base was asked."""
        found: dict[str, Kept | str] = {}
        for course in self.programme.asking:
            kept = base.kept[name_of(course)]
            if isinstance(kept, Kept):
                course = _handed(course, base.sampler)
                found[name_of(course)] = self.observed(course, kept.items, sampler, "model")
            else:
                found[name_of(course)] = kept if kept in (UNREAD, course.why) else f"of the base: {kept}"
        return found

    def again(self, base: Base) -> tuple[list[Reading | NotMeasured], Way]:
        """The base beside itself, on other answers: fresh ones, else halves of those it gave."""
        if isinstance(base.groups, str) or self.programme.wish.depth != "quick":
            return self.compared(base.groups_again, base, base.sampler, alone=True), "two draws"
        one, other = _halved(base.groups)
        return self.compared(one, base._replace(groups=other), base.sampler, alone=True), "halves"

    def answers(self, sampler: Sampler, key: str) -> tuple[Group, ...] | str:
        """Fresh answers to the prompts, or why there are none."""
        prompts, n = self.programme.prompts, self.programme.wish.answers
        if not prompts:
            return ()
        if "sample" not in sampler.can:
            return "the model gives no answers"
        how = How(f"{RUN}/{key}", _TEMPERATURE, _MAX_TOKENS)
        try:
            return tuple(self.worker.run(sampler.sample(prompts, n, how)))
        except Stopped:
            return UNREAD

    def observed(
        self, course: Course, items: Sequence[Item], sampler: Sampler, key: str, draws: int = 1
    ) -> Kept | str:
        """The outcomes of a model on items, as means over ``draws`` answers; or why there are none."""
        indicator = course.indicator
        if course.why:
            return course.why
        if lacking := sorted(indicator.wants - sampler.can):
            told = {"logp": "log-probabilities", "sample": "answers"}
            return f"the model gives no {', '.join(told.get(one, one) for one in lacking)}"
        if len(items) < 2:
            return f"{len(items)} items fit it; an interval needs 2"
        hows = [How(f"{RUN}/{name_of(course)}/{key}/{k}", _TEMPERATURE, _MAX_TOKENS) for k in range(draws)]
        try:
            seen = [
                _checked(indicator, items, self.worker.run(indicator.observe(items, sampler, h)))
                for h in hows
            ]
        except Stopped:
            return UNREAD
        return Kept(_mean(seen), tuple(items))

    def compared(
        self, ours: tuple[Group, ...] | str, base: Base, sampler: Sampler, *, alone: bool = False
    ) -> list[Reading | NotMeasured]:
        """The indicators that read fresh answers. ``alone``: there is no base, and they tell levels."""
        if not self.programme.looking:
            return []
        gap = ours if isinstance(ours, str) else base.groups if isinstance(base.groups, str) else ""
        if gap or isinstance(ours, str) or isinstance(base.groups, str):
            return [self._silent(one.name, gap) for one in self.programme.looking]
        union = frozenset[str]().union(*(one.wants for one in self.programme.looking))
        # One pass over an answer for all who read something of it.
        look = Look(RUN, 0, (), ours, Remembered(sampler, union))
        beside = Remembered(base.sampler, union)
        found: list[Reading | NotMeasured] = []
        for one in self.programme.looking:
            if alone and one.name == "reverse_kl":
                found.append(self._silent(one.name, _NO_BASE))
                continue
            try:
                found.append(self.worker.run(one.read(look, beside, Draw(0, base.groups))))
            except Stopped:
                found.append(self._silent(one.name, UNREAD))
        return found

    def _silent(self, name: str, reason: str) -> NotMeasured:
        return NotMeasured(run=RUN, name=name, step=0, reason=reason)


def _handed(course: Course, base: Sampler) -> Course:
    """The course, its indicator handed the base where it asks for it; or why that will not do."""
    indicator = course.indicator
    if course.why or not isinstance(indicator, Referred):
        return course
    if lacking := sorted(indicator.of_base - base.can):
        told = {"rank": "ranks"}
        return course._replace(why=f"the model gives no {', '.join(told.get(one, one) for one in lacking)}")
    return course._replace(indicator=indicator.referred(base))


def _checked(indicator: Panelled, items: Sequence[Item], found: Observed) -> Observed:
    promise = "observe gives one outcome in [0, 1] or None per item and criterion"
    for criterion in indicator.criteria:
        values = found.outcomes.get(criterion, ())
        if len(values) != len(items):
            raise ContractError(
                indicator.name, promise, f"{len(values)} of {criterion} for {len(items)} items"
            )
        if odd := [x for x in values if x is not None and not 0 <= x <= 1]:
            raise ContractError(indicator.name, promise, f"{odd[0]} of {criterion}")
    return found


def _halved(groups: Sequence[Group]) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """The first half of the answers to each prompt, and as many others."""
    size = min((len(group.responses) // 2 for group in groups), default=0)
    cuts = (slice(size), slice(size, 2 * size))
    one, other = (tuple(Group(g.prompt, g.responses[at]) for g in groups) for at in cuts)
    return one, other


def _mean(seen: Sequence[Observed]) -> Observed:
    """The mean outcome of each item; None where no draw of it could be judged."""
    if len(seen) == 1:
        return seen[0]
    outcomes: dict[str, tuple[float | None, ...]] = {}
    for criterion in seen[0].outcomes:
        by_item = zip(*(one.outcomes[criterion] for one in seen), strict=True)
        told = [[x for x in values if x is not None] for values in by_item]
        outcomes[criterion] = tuple(sum(some) / len(some) if some else None for some in told)
    cost = sum((one.cost for one in seen[1:]), seen[0].cost)
    said = tuple(group for one in seen for group in one.said)
    return Observed(outcomes, said, seen[0].ruler, cost)
