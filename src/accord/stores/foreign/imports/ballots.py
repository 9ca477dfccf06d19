"""Ballots: what groups of people said of principles, as a values document by group-informed consensus.

    consensus = Π_g yes_g / (yes_g + no_g + abstain_g)        over groups g (Polis; Small et al. 2021)

A principle is *adopted* where its consensus reaches the threshold, which has no default; *contested* where it
does not and more said yes than no in some group; *unwanted* where in none; *unheard* where some group has too
few ballots on it. Adopted and contested ones come into the document, each with how every group voted.

1. Polis smooths shares (yes + 1, all + 2), for groups of any size. Here no group has fewer than ``LEAST``
   ballots on what comes into a document, and shares are as they are.
2. Who abstains does not agree: in Polis too, of those who saw a statement.
3. Who voted is asked only so that each counts once, and never leaves this file. A group of under ``LEAST``
   people could be told apart by its counts: it is refused, or folded with the other small ones under a name
   that has to be given, since that takes their veto away from them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from accord.errors import PlanError, Refused, Unreadable, nearest
from accord.stores.foreign.tables import Fields, sifted_rows
from accord.values import Values
from accord.values_tables import Ballot, Document, Principle

__all__ = ["LEAST", "Counted", "Tally", "Vote", "bring_ballots", "consensus", "read_ballots"]

LEAST = 10
"""So many people make a group, and so many ballots are a group's word on a principle."""

Said = Literal["yes", "no", "abstain"]
Outcome = Literal["adopted", "contested", "unwanted", "unheard"]

_KEYS = ("person", "group", "principle", "vote")
_ROW = '{"person", "group", "principle", "vote": "yes", "no" or "abstain"}'
_TOLD = 20  # malformed lines that are named in full


class Vote(NamedTuple):
    """What one person said of one principle."""

    person: str
    group: str
    principle: str
    vote: Said


class Tally(NamedTuple):
    """What came of one principle. ``consensus`` is None where a group is unheard, and ``why`` names it."""

    principle: str
    outcome: Outcome
    consensus: float | None
    ballots: tuple[Ballot, ...]
    why: str = ""


class Counted(NamedTuple):
    """A document of what is adopted and what is contested, a tally of every principle that was put to the
    vote, in the order of the document voted on, and the groups that were folded with their people."""

    document: Document
    tallies: tuple[Tally, ...]
    folded: Mapping[str, int]


def consensus(ballots: Iterable[Ballot]) -> float:
    """The product over groups of the share that agrees, of all who cast a ballot.

    >>> consensus([Ballot(group="a", yes=9, no=1), Ballot(group="b", yes=6, no=2, abstain=2)])
    0.54
    """
    return math.prod(one.yes / (one.yes + one.no + one.abstain) for one in ballots)


def bring_ballots(file: Path, values: Values, threshold: float, fold: str | None = None) -> Counted:
    """The values document that ballots on the principles of ``values`` make.

    ``fold``: the name under which groups of fewer than ``LEAST`` people are put together. Unreadable names
    every line that is no ballot; Refused where a group is too small, or nothing is adopted.
    """
    if not 0 < threshold <= 1:
        raise PlanError("--threshold", threshold, "a share over 0 and at most 1")
    principles = {one.id: one for _, one in values.document.every}
    votes = read_ballots(file, principles)
    named, folded = _grouped(file, votes, fold)
    groups = sorted(set(named.values()))
    counts = Counter((vote.principle, named[vote.group], vote.vote) for vote in votes)
    tallies = tuple(_tally(name, groups, counts, threshold) for name in principles)
    taken = {one.principle: one for one in tallies}
    adopted = [_with(one, taken) for name, one in principles.items() if taken[name].outcome == "adopted"]
    if not adopted:
        reached = [one for one in tallies if one.consensus is not None]
        best = max(reached, key=lambda one: one.consensus or 0.0, default=None)
        most = f"the most is {best.consensus:.3f}, of {best.principle}" if best else "no principle was heard"
        raise Refused(f"{file}: no principle reaches a consensus of {threshold}; {most}")
    contested = [_with(one, taken) for name, one in principles.items() if taken[name].outcome == "contested"]
    # A side constraint is what everybody holds to.
    contested = [one.model_copy(update={"hard": False}) for one in contested]
    document = Document(name=values.name, principle=tuple(adopted), contested=tuple(contested))
    return Counted(document, tallies, folded)


def read_ballots(file: Path, principles: Iterable[str]) -> list[Vote]:
    """Every ballot of a file. Unreadable names all lines that are none, with what is wrong with each."""
    known = list(principles)
    votes: list[Vote] = []
    wrong: list[tuple[int, str]] = []
    first: dict[tuple[str, str], int] = {}
    home: dict[str, tuple[str, int]] = {}
    for number, row in sifted_rows(file):
        # What such a line holds is not shown: it may say who voted.
        vote = "it is no object of JSON" if isinstance(row, Unreadable) else _vote(row, known)
        if isinstance(vote, Vote):
            before = first.setdefault((vote.person, vote.principle), number)
            group, at = home.setdefault(vote.person, (vote.group, number))
            if before != number:
                vote = f"this person voted on {vote.principle} in line {before}"
            elif group != vote.group:
                vote = f"this person is of the group {group!r} in line {at}"
        if isinstance(vote, Vote):
            votes.append(vote)
        else:
            wrong.append((number, vote))
    if wrong:
        told = [f"line {number}: {why}" for number, why in wrong[:_TOLD]]
        rest = ", ".join(str(number) for number, _ in wrong[_TOLD:])
        found = "\n    ".join(
            [f"{len(wrong):,} that are none", *told, *([f"and lines {rest}"] if rest else [])]
        )
        raise Unreadable(file, f"ballots, {_ROW}", found, wrong[0][0])
    if not votes:
        raise Unreadable(file, f"ballots, {_ROW}", "it is empty")
    return votes


def _vote(row: Fields, known: Sequence[str]) -> Vote | str:
    """A ballot, or what is wrong with it. Who cast it is in no message."""
    for key in row:
        if key not in _KEYS:
            return f"the key {key!r}; {nearest(key, _KEYS)}".rstrip("; ")
    for key in _KEYS:
        value = row.get(key)
        if not isinstance(value, str) or not value.strip():
            return f"{key!r} is no text that is not empty"
    person, group, principle, vote = (cast(str, row[key]).strip() for key in _KEYS)
    if principle not in known:
        return f"no principle has the id {principle!r}; {nearest(principle, known)}".rstrip("; ")
    if vote not in get_args(Said):
        return f"the vote {vote!r}"
    return Vote(person, group, principle, cast(Said, vote))


def _grouped(file: Path, votes: Sequence[Vote], fold: str | None) -> tuple[dict[str, str], dict[str, int]]:
    """Under which name each group is counted, and which were folded. Refused where one is too small."""
    people = Counter(group for group, _ in {(vote.group, vote.person) for vote in votes})
    small = {group: count for group, count in sorted(people.items()) if count < LEAST}
    told = ", ".join(f"{group} ({count})" for group, count in small.items())
    if small and fold is None:
        raise Refused(
            f"{file}: under {LEAST} people in {told}: how they voted could be told from the counts\n"
            "  ask more people, or put small groups together under a name: --fold NAME"
        )
    if fold is not None and (not fold.strip() or people[fold] >= LEAST):
        raise PlanError("--fold", fold, "a name that no group of its own has")
    if small and sum(small.values()) < LEAST:
        raise Refused(f"{file}: under {LEAST} people in {told}, also together\n  ask more people")
    return {group: cast(str, fold) if group in small else group for group in people}, small


def _tally(
    principle: str, groups: Sequence[str], counts: Mapping[tuple[str, str, str], int], threshold: float
) -> Tally:
    cast_in = {
        group: [counts.get((principle, group, said), 0) for said in get_args(Said)] for group in groups
    }
    few = {group: sum(cast) for group, cast in cast_in.items() if sum(cast) < LEAST}
    if few:
        told = ", ".join(group for group in few)
        return Tally(principle, "unheard", None, (), f"under {LEAST} ballots of {told}")
    # A group that only abstains has no split to keep, and does not agree.
    ballots = tuple(
        Ballot(group=group, yes=yes, no=no, abstain=abstain)
        for group, (yes, no, abstain) in cast_in.items()
        if yes + no
    )
    agreed = consensus(ballots) if len(ballots) == len(groups) else 0.0
    if agreed >= threshold:
        return Tally(principle, "adopted", agreed, ballots)
    wanted = any(one.yes > one.no for one in ballots)
    return Tally(principle, "contested" if wanted else "unwanted", agreed, ballots)


def _with(principle: Principle, taken: Mapping[str, Tally]) -> Principle:
    return principle.model_copy(update={"adopted_by": taken[principle.id].ballots})
