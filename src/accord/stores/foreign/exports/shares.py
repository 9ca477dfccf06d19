"""Distributions: a row per question with the share of votes for each answer, and per group where it is large.

Compare: what an answer has of the votes, whose pairs weigh 1 together and in which a tie is half for each
(``accord.maths.votes``): of two answers (votes for + ½ ties) / votes. Label: the share of voters who chose
the tag; several may apply. Grade: the share of voters who gave the value, a row for each dimension. To
abstain is no vote, nor is to find all answers bad; both are counted. Texts (critiques, revisions) have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pydantic import JsonValue

from accord.maths.votes import Vote, votes_of
from accord.records import Critiqued, Graded, Judgment, Kind, Labelled, Ranked, Revised, Spread
from accord.stores.foreign.exports.given import Asked, Export, Fields, Given, asked_of, made_of
from accord.stores.foreign.exports.whole import line_of

__all__ = ["Memberships", "cells_shown", "distributions", "parquet"]

Memberships = Mapping[str, Mapping[str, str]]
"""By pseudonym: what people who consented said of themselves, value by attribute."""

_COLUMNS = {
    "question": "VARCHAR",
    "asks": "VARCHAR",
    "dimension": "VARCHAR",
    "prompt": "STRUCT(role VARCHAR, content VARCHAR)[]",
    "answers": "VARCHAR[]",
    "ids": "VARCHAR[]",
    "shares": "DOUBLE[]",
    "tied": "DOUBLE",
    "votes": "BIGINT",
    "all_bad": "BIGINT",
    "abstentions": "BIGINT",
    "groups": "STRUCT(attribute VARCHAR, value VARCHAR, votes BIGINT, shares DOUBLE[])[]",
}


class _Vote(NamedTuple):
    """What one judgment says of each answer; ``tied``: how much of it is ties; ``bad``: all answers are.
    ``rater``: "" of what no person said."""

    rater: str
    shares: Mapping[str, float]
    tied: float = 0.0
    bad: bool = False


def distributions(given: Given, groups: Memberships | None = None, k: int = 10) -> Export:
    """A row per question (and dimension of a grade). ``groups``: who said what of themselves, with consent.

    A group is shown where ``k`` of its people or more voted on the question, and where those who are not
    shown are none or ``k`` or more: else the smallest one shown is hidden too.
    """
    lost = Counter[str]()
    rows: list[Fields] = []
    used: list[str] = []
    for asked in asked_of(given, lost):
        lost["evidence"] += bool(asked.question.evidence)
        lost["questions asked again"] += asked.question.revisits is not None
        for dimension, votes in _votes(asked, lost).items():
            rows.append(_row(asked, dimension, votes, groups, k))
        used += [j.id for j in asked.judgments if not isinstance(j.verdict, Critiqued | Revised | None)]
        for judgment in asked.judgments:
            lost["confidences"] += judgment.confidence is not None
            lost["rationales"] += bool(judgment.rationale)
            lost["marks"] += bool(judgment.marks)
            lost["strengths"] += (
                isinstance(judgment.verdict, Ranked) and judgment.verdict.strength is not None
            )
            lost["acceptability"] += (
                isinstance(judgment.verdict, Ranked) and judgment.verdict.acceptable is not None
            )
    return made_of(rows, lost, used)


def cells_shown(sizes: Mapping[str, int], voters: int, k: int) -> list[str]:
    """The groups that may be shown: ``k`` people or more each, and nobody can be found by subtraction.

    >>> cells_shown({"a": 30, "b": 12, "c": 11}, 53, 10)
    ['a', 'b', 'c']
    >>> cells_shown({"a": 30, "b": 12, "c": 4}, 46, 10)  # c is 46 − 30 − 12
    ['a']
    >>> cells_shown({"a": 30, "b": 12, "c": 4}, 56, 10)  # c hides among ten who said nothing
    ['a', 'b']
    """
    shown = sorted((name for name, size in sizes.items() if size >= k), key=lambda name: (-sizes[name], name))
    while shown and 0 < voters - sum(sizes[name] for name in shown) < k:
        shown.pop()
    return sorted(shown)


def parquet(rows: Sequence[Fields]) -> bytes:
    """The rows of ``distributions`` as a Parquet file."""
    import duckdb

    # An empty file has no columns for duckdb, even where it is told them: one line, which is then cut.
    lines = [line_of(row) for row in rows] or ["{}\n"]
    with TemporaryDirectory() as folder:
        source, made = Path(folder) / "rows.jsonl", Path(folder) / "rows.parquet"
        source.write_text("".join(lines), encoding="utf-8")
        with duckdb.connect(":memory:", config={"autoinstall_known_extensions": False}) as connection:
            read = connection.read_json(str(source), columns=_COLUMNS, format="newline_delimited")
            (read if rows else read.limit(0)).write_parquet(str(made))
        return made.read_bytes()


def _row(asked: Asked, dimension: str, said: Sequence[_Vote], groups: Memberships | None, k: int) -> Fields:
    question = asked.question
    votes = [vote for vote in said if not vote.bad]
    compared = question.asks is Kind.COMPARE
    options = dict.fromkeys(question.responses if compared else question.instrument.options)
    answers = list(options | dict.fromkeys(answer for vote in votes for answer in vote.shares))
    shown = ["\n".join(asked.answers[answer]) for answer in answers] if compared else answers
    return {
        "question": question.id,
        "asks": question.asks.value,
        "dimension": dimension,
        "prompt": [message.model_dump() for message in asked.prompt.messages],
        "answers": list[JsonValue](shown),
        "ids": list[JsonValue](question.responses),
        "shares": list[JsonValue](_shares(votes, answers)),
        "tied": sum(vote.tied for vote in votes) / len(votes) if votes else None,
        "votes": len(votes),
        "all_bad": len(said) - len(votes),
        "abstentions": sum(judgment.abstention is not None for judgment in asked.judgments),
        "groups": _grouped(votes, answers, groups or {}, k),
    }


def _shares(votes: Sequence[_Vote], answers: Iterable[str]) -> list[float]:
    """Nothing where nobody voted: a share of no votes is not 0."""
    return [sum(vote.shares.get(answer, 0.0) for vote in votes) / len(votes) for answer in answers if votes]


def _grouped(votes: Sequence[_Vote], answers: Sequence[str], groups: Memberships, k: int) -> list[JsonValue]:
    # People alone: what a model said is known elsewhere, and nobody can hide behind it.
    voters = {vote.rater for vote in votes if vote.rater}
    found: list[JsonValue] = []
    for attribute in sorted({name for rater in voters for name in groups.get(rater, {})}):
        of = {rater: groups[rater][attribute] for rater in voters if attribute in groups.get(rater, {})}
        for value in cells_shown(Counter(of.values()), len(voters), k):
            cell = [vote for vote in votes if of.get(vote.rater) == value]
            row: JsonValue = {
                "attribute": attribute,
                "value": value,
                "votes": len(cell),
                "shares": list[JsonValue](_shares(cell, answers)),
            }
            found.append(row)
    return found


# Votes


def _votes(asked: Asked, lost: Counter[str]) -> dict[str, list[_Vote]]:
    """By dimension, of which only grades have several; one without votes where people only abstained."""
    if asked.question.asks in (Kind.CRITIQUE, Kind.REVISE):
        for judgment in asked.judgments:
            said = judgment.verdict
            lost["abstentions on texts" if said is None else f"{said.type} verdicts"] += 1
        return {}
    found: dict[str, list[_Vote]] = {}
    for judgment in asked.judgments:
        for dimension, vote in _said(asked, judgment).items():
            found.setdefault(dimension, []).append(vote)
    return found or {"": []}


def _said(asked: Asked, judgment: Judgment) -> dict[str, _Vote]:
    """One judgment's vote, of a grade one for each dimension; nothing where it abstains."""
    rater = judgment.by.name if judgment.by.type == "person" else ""
    match judgment.verdict:
        case Ranked() | Spread() if asked.question.asks is Kind.COMPARE:
            return {"": _compared(rater, votes_of(asked.question, judgment))}
        case Spread(p=p):
            return {"": _Vote(rater, p)}
        case Labelled(tags=tags):
            return {"": _Vote(rater, dict.fromkeys(tags, 1.0))}
        case Graded(scores=scores):
            return {dimension: _Vote(rater, {f"{score:g}": 1.0}) for dimension, score in scores.items()}
        case _:
            return {}


def _compared(rater: str, pairs: Sequence[Vote]) -> _Vote:
    """What each answer has of one vote, whose pairs weigh 1 together; nothing of both bad.

    >>> third = 1 / 3  # a before b and c, which are tied
    >>> a_b = Vote("a", "b", third, 0.0, 0.0, False, "j")
    >>> b_c = Vote("b", "c", 0.0, 0.0, third, False, "j")
    >>> {k: round(x, 6) for k, x in _compared("r", [a_b, a_b._replace(second="c"), b_c]).shares.items()}
    {'a': 0.666667, 'b': 0.166667, 'c': 0.166667}
    """
    has: dict[str, float] = {}
    for pair in pairs:
        for answer, won in ((pair.first, pair.won), (pair.second, pair.lost)):
            has[answer] = has.get(answer, 0.0) + (0.0 if pair.bad else won + pair.tied / 2)
    tied = sum(pair.tied for pair in pairs if not pair.bad)
    return _Vote(rater, has, tied, bool(pairs) and all(pair.bad for pair in pairs))
