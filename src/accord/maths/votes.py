"""Votes: what judgments say of two answers at a time, added up (pure).

A ranking of n answers is its n(n−1)/2 pairs, each with 2/(n(n−1)) of a vote. A ``Spread`` is a soft vote for
the best: p_i of "i before every other", so the pair (i, j) has (p_i + p_j)/(n−1) of a vote. Either way the
weights of one judgment sum to 1, and p = (votes for + ½ ties) / votes. Both bad (tied, and ``acceptable`` is
empty) says nothing of which is better: no vote in a share, a tie for Bradley and Terry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from accord.maths.ratings import Votes, fit
from accord.records.feedback import Graded, Judgment, Question, Ranked, Spread
from accord.records.rows import Floats

__all__ = [
    "Vote",
    "clipped_logit",
    "counted",
    "grade_of",
    "log_ratings",
    "most",
    "share",
    "shares",
    "votes_of",
    "win_share",
]

_EVEN = 1e-9  # fractions that sum to one half do so up to rounding


class Vote(NamedTuple):
    """Of two answers: how much of a vote each has, how much is a tie, and the judgment it is of."""

    first: str
    second: str
    won: float
    lost: float
    tied: float
    bad: bool
    judgment: str

    @property
    def mass(self) -> float:
        """How much of one vote lies on this pair; 0 for both bad."""
        return 0.0 if self.bad else self.won + self.lost + self.tied


def votes_of(question: Question, judgment: Judgment, margin: bool = False) -> list[Vote]:
    """What a judgment says of the pairs of a question's answers, in the question's order; nothing where it
    abstains. ``margin``: a strength s counts as σ(s) of a win instead of a whole one.
    """
    verdict, answers = judgment.verdict, question.responses
    pairs = list(combinations(answers, 2))
    match verdict:
        case Ranked(tiers=tiers, strength=strength, acceptable=acceptable):
            place = {answer: k for k, tier in enumerate(tiers) for answer in tier}
            unit = 1 / len(pairs)
            found: list[Vote] = []
            for one, two in pairs:
                tied = place[one] == place[two]
                won = _sigmoid(strength) if margin and strength else float(place[one] < place[two])
                said = (0.0, 0.0, unit) if tied else (unit * won, unit * (1 - won), 0.0)
                found.append(Vote(one, two, *said, tied and acceptable == (), judgment.id))
            return found
        case Spread(p=p) if set(p) == set(answers):
            all_p = math.fsum(p.values()) * (len(answers) - 1)
            told = [(one, two, p[one] / all_p, p[two] / all_p) for one, two in pairs]
            return [Vote(*vote, 0.0, False, judgment.id) for vote in told if vote[2] + vote[3] > 0]
        case _:
            return []


def counted(questions: Iterable[Question], judgments: Iterable[Judgment], margin: bool = False) -> list[Vote]:
    """All votes on these questions; one judgment given twice is one, one of another question is none."""
    known = {question.id: question for question in questions}
    once = {judgment.id: judgment for judgment in judgments if judgment.question in known}
    return [vote for one in once.values() for vote in votes_of(known[one.question], one, margin)]


def share(votes: Sequence[Vote]) -> float:
    """p of the first answer of votes that all have the same two in the same order; NaN without a vote.

    Two for, one tie, one against, then one that found both bad:

    >>> for_, tie = Vote("a", "b", 1, 0, 0, False, "x"), Vote("a", "b", 0, 0, 1, False, "x")
    >>> share([for_, for_, tie, Vote("a", "b", 0, 1, 0, False, "x"), Vote("a", "b", 0, 0, 1, True, "x")])
    0.625
    """
    mass = math.fsum(vote.mass for vote in votes)
    if not mass:
        return math.nan
    # fsum rounds once, at the end, so that the order of the votes cannot show.
    return math.fsum(x for v in votes if not v.bad for x in (v.won, v.tied / 2)) / mass


def most(p: float) -> float:
    """Who has the majority: 1, 0, or ½ where nobody has; NaN stays.

    >>> most(0.51), most(0.1 + 0.4), most(0.2)
    (1.0, 0.5, 0.0)
    """
    if math.isnan(p):
        return math.nan
    return 0.5 if abs(p - 0.5) < _EVEN else float(p > 0.5)


def clipped_logit(p: float, limit: float = 4.0) -> float:
    """log p/(1−p) within ± ``limit``; NaN stays.

    >>> [round(clipped_logit(p), 6) for p in (0.5, 0.75, 1.0, 0.0)]
    [0.0, 1.098612, 4.0, -4.0]
    """
    if math.isnan(p):
        return math.nan
    if p in (0.0, 1.0):
        return math.copysign(limit, p - 0.5)
    return min(limit, max(-limit, math.log(p / (1 - p))))


def shares(votes: Iterable[Vote]) -> dict[tuple[str, str], float]:
    """p of each two answers that somebody voted on, either way round: p(b, a) = 1 − p(a, b)."""
    cast: dict[tuple[str, str], list[Vote]] = {}
    for vote in votes:
        # The same two may stand in another order in another question.
        ahead = vote.first <= vote.second
        turned = vote._replace(first=vote.second, second=vote.first, won=vote.lost, lost=vote.won)
        own = vote if ahead else turned
        cast.setdefault((own.first, own.second), []).append(own)
    found = {pair: share(told) for pair, told in cast.items()}
    known = {pair: p for pair, p in found.items() if not math.isnan(p)}
    return known | {(two, one): 1 - p for (one, two), p in known.items()}


def win_share(answers: Sequence[str], p: Mapping[tuple[str, str], float], majority: bool = False) -> Floats:
    """For each answer the mean p against those of ``answers`` it was compared with, NaN without any.

    ``majority``: a comparison is won, lost or even as a whole. b beats c in 3 of 4 votes, a was compared with
    b alone:

    >>> p = {("a", "b"): 1.0, ("b", "a"): 0.0, ("b", "c"): 0.75, ("c", "b"): 0.25}
    >>> win_share("abcd", p).tolist(), win_share("abcd", p, majority=True).tolist()
    ([1.0, 0.375, 0.25, nan], [1.0, 0.5, 0.0, nan])
    """
    told = [[p[a, b] for b in answers if (a, b) in p] for a in answers]
    if majority:
        told = [[most(one) for one in own] for own in told]
    means = [math.fsum(own) / len(own) if own else math.nan for own in told]
    return np.array(means, dtype=np.float64)


def log_ratings(prompts: Iterable[Sequence[str]], votes: Sequence[Vote]) -> dict[str, float]:
    """log π of answers, by one fit of Bradley and Terry over all votes; those of a prompt are 0 on average.

    Lacking where no finite fit was found: without a vote, or where the answers of one prompt that were voted
    on do not all hang together by wins both ways, so that there is no order between some of them. Lacking
    throughout where ties outweigh every contradiction, or the fit does not come to rest.

    a beat b three times and lost once; c beat d, and nothing speaks against it:

    >>> three, one = Vote("a", "b", 3, 0, 0, False, "x"), Vote("a", "b", 0, 1, 0, False, "y")
    >>> found = log_ratings(["ab", "cd"], [three, one, Vote("c", "d", 1, 0, 0, False, "z")])
    >>> {answer: round(math.exp(2 * rating), 6) for answer, rating in found.items()}
    {'a': 3.0, 'b': 0.333333}
    """
    # In one order, or the last digits would tell in which one the votes came.
    told = sorted(v for v in votes if v.won + v.lost + v.tied > 0)
    items = {a: k for k, a in enumerate(dict.fromkeys(a for v in told for a in (v.first, v.second)))}
    if not items:
        return {}
    pairs = np.array([[items[v.first], items[v.second]] for v in told], dtype=np.int64).T
    said = np.array([[v.won, v.lost, v.tied] for v in told], dtype=np.float64).T
    try:
        found = fit(Votes(*pairs, *said), len(items))
    except ArithmeticError:  # it drifts on and on: there are no numbers to be had
        return {}
    rated: dict[str, float] = {}
    for answers in prompts:
        own = [answer for answer in answers if answer in items]
        whole = len({int(found.component_K[items[answer]]) for answer in own}) == 1
        log_pi = {answer: float(found.log_pi_K[items[answer]]) for answer in own}
        rated |= {a: x for a, x in log_pi.items() if whole and math.isfinite(x)}
    return rated


def grade_of(judgment: Judgment) -> float | None:
    """The grade that a verdict gives, its dimensions averaged; None of what is no grade."""
    verdict = judgment.verdict
    return math.fsum(verdict.scores.values()) / len(verdict.scores) if isinstance(verdict, Graded) else None


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
