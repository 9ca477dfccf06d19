"""The asks of a stage put to their overseers: groups of answers in, one table of numbers out.

Votes are counted at the leaves: an overseer that only gathers what others said of the same question, as a
jury does, is taken for its members. Several asks for ``score`` are one: Σ share · score. One silent on a
whole prompt is left out there, and the other shares grow to 1; else what it does not judge is missing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from accord.desk import FrontDesk
from accord.errors import PlanError, Refused
from accord.maths.overuse import GOLD
from accord.ports import Ask, Grouped, Overseer, Quoting, Sampler
from accord.records import Judgment, Record
from accord.records.rows import Columns, Floats, Group
from accord.worker import Worker

__all__ = ["Asking", "StageFeedback", "joined", "leaves", "mixed"]

SCORE = "score"
_JURY = "Jury"  # its members are votes, so it must not be taken for one


class Asking(NamedTuple):
    """One ``[[ask]]`` of a plan, built. ``share``: how much it counts among several asks for ``score``;
    ``voices``: the models that its overseer was seated with, by the names that the overseer has for them."""

    ask: Ask
    overseer: Overseer
    share: float | None = None
    voices: Mapping[str, Sampler] = MappingProxyType({})


class StageFeedback:
    """Satisfies the ports ``Feedback`` and ``Recording``. ``write`` records every text it is shown.

    PlanError for an ask that counts groups of raters apart and was told of none.
    """

    def __init__(
        self,
        asking: Sequence[Asking],
        desk: FrontDesk,
        worker: Worker,
        write: Callable[[Iterable[Record]], None],
    ) -> None:
        for index, one in enumerate(asking):
            if isinstance(one.ask, Grouped) and one.ask.lacks_groups:
                advice = "nobody told of a group of raters; a labelling database with consenting raters does"
                others = "a way to collapse that counts all votes alike"
                raise PlanError(f"ask[{index}].collapse", "per_group", others, advice)
        self._asking, self._desk, self._worker = tuple(asking), desk, worker
        self._write = write
        self.abstained: Counter[str] = Counter()  # why, in the last call

    @property
    def asking(self) -> tuple[Asking, ...]:
        """The asks, in the order of the plan."""
        return self._asking

    def __call__(self, groups: Sequence[Group]) -> Columns | None:
        """The columns of every ask, joined; ``gold`` makes no row missing. None where nothing is asked."""
        if not self._asking:
            self.take(groups)
            return None
        tables = [self._told(one, groups) for one in self._asking if one.share is None]
        sharing = next((one for one in self._asking if one.share is not None), None)
        return joined([self.one(sharing, groups), *tables] if sharing else tables)

    def one(self, asking: Asking, groups: Sequence[Group]) -> Columns:
        """The column that one ask fills: where it has a share of the score, all of the score."""
        sharing = [one for one in self._asking if one.share is not None] if asking in self._asking else []
        if asking.share is None or len(sharing) < 2:
            return self._told(asking, groups)
        tables: list[tuple[float, Columns]] = []
        abstained = Counter[str]()
        for one in sharing:
            tables.append((one.share or 0.0, self._told(one, groups)))
            abstained += self.abstained
        self.abstained = abstained
        return mixed(tables, groups)

    def _told(self, asking: Asking, groups: Sequence[Group]) -> Columns:
        """What one ask says. All questions are pending at once, so that overseers answer in batches."""
        self.take(groups)
        if isinstance(asking.ask, Quoting):
            self._hold(asking.ask.quoted(groups))
        questions = asking.ask.questions(groups)

        async def all_judged() -> list[Judgment]:
            return list(await asyncio.gather(*(self._desk.ask(asking.overseer, q) for q in questions)))

        judgments = self._worker.run(all_judged())
        silent = [j for j in judgments if j.abstention is not None]
        self.abstained = Counter(
            f"{j.abstention} {j.note.partition(' (traceback')[0]}".strip() for j in silent
        )
        return asking.ask.columns(groups, leaves(judgments, self._desk.read))

    def take(self, groups: Sequence[Group]) -> None:
        """Record these texts and ask nothing."""
        self._hold([record for group in groups for record in (group.prompt, *group.responses)])

    def _hold(self, records: Sequence[Record]) -> None:
        self._write(records)
        self._desk.hold(records)


def leaves(judgments: Iterable[Judgment], read: Callable[[str], Record]) -> list[Judgment]:
    """The judgments with the members in place of each jury, of juries in a jury too; each once.

    A jury is a protocol that has a verdict and rests on judgments of the same question and on nothing else:
    one that turned the question, asked another, had somebody speak, or says something else than the only one
    it asked made a judgment of its own. What abstains has no votes. Refused where a member's judgment cannot
    be read: no vote is lost in silence.
    """
    found: dict[str, Judgment] = {}
    for judgment in judgments:
        members = _members(judgment, read)
        found |= {leaf.id: leaf for leaf in (leaves(members, read) if members else [judgment])}
    return list(found.values())


def _members(judgment: Judgment, read: Callable[[str], Record]) -> list[Judgment]:
    if judgment.by.type != "protocol" or judgment.verdict is None:
        return []
    found = [_known(parent, read) for parent in judgment.parents if parent != judgment.question]
    jury = judgment.by.name.startswith(_JURY)
    if None in found and jury:
        lacking = found.count(None)
        raise Refused(
            f"{lacking} of the {len(found)} votes of the jury {judgment.id} are nowhere to be read\n"
            "  open the labelling database or the run that holds them, or ask again in a run of its own"
        )
    votes = [one for one in found if isinstance(one, Judgment) and one.question == judgment.question]
    if len(votes) == 1 and not jury and votes[0].verdict != judgment.verdict:
        return []  # it made something of it, as a calibration does; a jury says a vote in other words
    return votes if len(votes) == len(found) else []


def _known(record: str, read: Callable[[str], Record]) -> Record | None:
    try:
        return read(record)
    except KeyError:
        return None


def joined(tables: Sequence[Columns]) -> Columns:
    """The columns of several asks in one table; ``gold`` makes no row missing.

    Where one ask counts groups of raters apart, what the others say of an answer is said for every group.
    PlanError where they speak of other rows, or two fill one column.
    """
    first = next((table for table in tables if table.groups), tables[0])
    values: dict[str, Floats] = {}
    missing = [np.zeros(len(first.members), dtype=np.bool_)]
    parents: list[tuple[tuple[str, ...], ...]] = []
    for given in tables:
        table = _laid_out(given, first)
        twice = (values.keys() & table.values.keys()) - {"group"}
        if twice:
            advice = "several asks for score need a share each" if SCORE in twice else ""
            raise PlanError("ask", sorted(twice), "one ask for each column", advice)
        values.update(table.values)
        parents.append(table.parents)
        # What is only read may be unknown of an answer that is learnt from.
        if GOLD not in table.values or len(tables) == 1:
            missing.append(table.missing)
    whole = tuple(tuple(p for own in parents for p in own[r]) for r in range(len(first.members)))
    return Columns(first.members, values, np.any(missing, axis=0), whole, first.groups)


def _laid_out(table: Columns, like: Columns) -> Columns:
    """The table with the rows of another: the same, or each of its own once for every group."""
    if (table.members, table.groups) == (like.members, like.groups):
        return table
    place = {members: r for r, members in enumerate(table.members)}
    same = len(place) == len(table.members) and place.keys() == set(like.members)
    if table.groups or not like.groups or not same:
        allowed = "asks of one stage speak of the same rows: all of answers, or all of pairs"
        raise PlanError("ask", None, allowed, "and of the same groups of raters, where groups count apart")
    at_R = [place[members] for members in like.members]
    return Columns(
        members=like.members,
        values={name: column[at_R] for name, column in table.values.items()},
        missing=table.missing[at_R],
        parents=tuple(table.parents[r] for r in at_R),
    )


def mixed(tables: Sequence[tuple[float, Columns]], groups: Sequence[Group]) -> Columns:
    """One column ``score`` from several, each with its share; what heads of one of them spread is left out.

    By hand: shares .75 and .25, scores 1 and 0 of one answer give .75; where the second ask is silent on the
    whole prompt, the first counts for all: 1.
    """
    first = next((table for _, table in tables if table.groups), tables[0][1])
    laid = [(share, _laid_out(table, first)) for share, table in tables]
    prompt_of = {response.id: group.prompt.id for group in groups for response in group.responses}
    prompt_R = [prompt_of[members[0]] for members in first.members]
    speaks = [_speaks(table, prompt_R) for _, table in laid]
    share_AR = np.array([share * said for (share, _), said in zip(laid, speaks, strict=True)])
    total_R = share_AR.sum(axis=0)
    known = [np.where(table.missing, np.nan, table.values[SCORE]) for _, table in laid]
    score_AR = np.array([np.where(said, own, 0.0) for own, said in zip(known, speaks, strict=True)])
    unknown_R = np.full(len(prompt_R), np.nan)
    score_R = np.divide((share_AR * score_AR).sum(axis=0), total_R, out=unknown_R, where=total_R > 0)
    parents = tuple(tuple(p for _, table in laid for p in table.parents[r]) for r in range(len(prompt_R)))
    grouped: Mapping[str, Floats] = {"group": first.values["group"]} if first.groups else {}
    return Columns(first.members, {SCORE: score_R, **grouped}, np.isnan(score_R), parents, first.groups)


def _speaks(table: Columns, prompt_R: Sequence[str]) -> Floats:
    """1 of the rows of prompts on which an ask says anything at all, else 0."""
    heard = {prompt for prompt, missing in zip(prompt_R, table.missing, strict=True) if not missing}
    return np.array([float(prompt in heard) for prompt in prompt_R], dtype=np.float64)
