"""Tables of a values document, and where in its file a mistake stands (layer 3).

Here: what a principle may say, and what contradicts itself. Not here: what lies outside the document, its
prompts and its checks (``accord.values``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar, cast

from pydantic import Field

from accord.errors import PlanError, Unreadable
from accord.plan_tables import Table
from accord.problems import problem

__all__ = ["Ballot", "Document", "Principle", "located", "parsed", "read_table"]

T = TypeVar("T", bound=Table)

_ID = r"^[a-z0-9][a-z0-9-]{0,63}$"
_WORD = "up to 64 lower-case letters, digits and -, beginning with a letter or digit"
_PROGRAM = r"^.+:[A-Za-z_]\w*$"
_PROGRAMS = "a program that grades answers, as module:function or file.py:function"
_SHARE = "a share over 0 and at most 1, which every slice is to reach by itself"

_Votes = Annotated[int, Field(strict=True, ge=0)]
_Text = Annotated[str, Field(pattern=r"\S", description="text that is not empty")]


class Ballot(Table):
    """How one group voted on a principle. Groups are kept apart: no figure here is over all of them."""

    group: _Text
    yes: _Votes
    no: _Votes
    abstain: _Votes = 0

    @property
    def share(self) -> float:
        """Of those in the group who said yes or no, the share that said yes."""
        return self.yes / (self.yes + self.no)

    @property
    def told(self) -> str:
        """``all: 41 yes, 3 no, 6 abstained``."""
        return f"{self.group}: {self.yes} yes, {self.no} no, {self.abstain} abstained"

    def _checked(self) -> Self:
        if not self.yes + self.no:
            raise problem(
                ["yes"], self.yes, "a group in which somebody said yes or no", "leave the group out"
            )
        return self


class Principle(Table):
    """One principle: what it says, who decides whether an answer keeps it, and how often that is enough.

    ``virtue`` and ``rule`` are graded on their own terms; ``outcome`` is compared and may be traded.
    ``target`` is for each slice of ``prompts`` by itself. ``hard``: never bought off by reward.
    """

    id: Annotated[str, Field(pattern=_ID, description=_WORD)]
    kind: Literal["virtue", "rule", "outcome"]
    text: _Text
    check: Annotated[str | None, Field(pattern=_PROGRAM, description=_PROGRAMS)] = None
    judge: Annotated[str | None, Field(pattern=r"\S", description='"person", or a model')] = None
    target: Annotated[float | None, Field(strict=True, gt=0, le=1, description=_SHARE)] = None
    prompts: _Text
    hard: Annotated[bool, Field(strict=True)] = False
    adopted_by: tuple[Ballot, ...] = ()

    def _checked(self) -> Self:
        if self.check is None and self.judge is None:
            advice = "without one of them nobody could say whether an answer keeps it"
            raise problem(["check"], None, f'{_PROGRAMS}, or judge = "person" or a model', advice)
        if self.check is not None and self.judge is not None:
            raise problem(["judge"], self.judge, "nothing beside a check", "one of the two decides")
        if self.kind != "outcome" and self.target is None:
            raise problem(["target"], None, _SHARE, f"a {self.kind} needs it, and it has no default")
        if self.kind == "outcome" and self.hard:
            advice = "an outcome is compared and traded; what must never be is a rule"
            raise problem(["hard"], True, "false for an outcome", advice)
        seen: set[str] = set()
        for index, ballot in enumerate(self.adopted_by):
            if ballot.group in seen:
                raise problem(["adopted_by", index, "group"], ballot.group, "one ballot for each group")
            seen.add(ballot.group)
        return self


class Document(Table):
    """A values document as it stands in TOML. What is ``contested`` is watched, and never trained on."""

    name: Annotated[str, Field(pattern=_ID, description=_WORD)]
    principle: tuple[Principle, ...] = ()
    contested: tuple[Principle, ...] = ()

    @property
    def every(self) -> Iterator[tuple[str, Principle]]:
        """Each principle, contested or not, with its place in the document."""
        for index, one in enumerate(self.principle):
            yield f"principle[{index}]", one
        for index, one in enumerate(self.contested):
            yield f"contested[{index}]", one

    def _checked(self) -> Self:
        if not self.principle:
            raise problem(["principle"], None, "one [[principle]] or more", "there is nothing to align to")
        first: dict[str, str] = {}
        for place, one in self.every:
            if one.id in first:
                advice = f"{first[one.id]} has it"
                table, _, index = place.rstrip("]").partition("[")
                raise problem([table, int(index), "id"], one.id, "an id that no other principle has", advice)
            first[one.id] = place
        for index, one in enumerate(self.contested):
            if one.hard:
                advice = "what groups do not agree on constrains nobody"
                raise problem(["contested", index, "hard"], True, "false for what is contested", advice)
        return self


def parsed(file: Path) -> tuple[Document, str]:
    """The document and its text. Unreadable names the line of whatever is wrong."""
    return read_table(file, Document, "a values document in TOML")


def read_table(file: Path, kind: type[T], what: str) -> tuple[T, str]:
    """A table that is a whole file, and its text. Unreadable names the line of whatever is wrong."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Unreadable(file, what, error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise Unreadable(file, f"{what}, in UTF-8", str(error)) from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column \d+\)", str(error))
        raise Unreadable(file, "TOML", str(error), int(at[1]) if at else text.count("\n") + 1) from None
    try:
        return kind.model_validate(table), text
    except PlanError as error:
        raise located(error, file, text) from None


def located(error: PlanError, file: Path, text: str) -> Unreadable:
    """What is wrong with a value of a TOML file, with the line it stands in; one that is missing, with that
    of its table."""
    found = error.path if error.value is None else f"{error.path} = {error.value!r}"
    steps = [
        int(number) if number else key for key, number in re.findall(r"([^.\[\]]+)|\[(\d+)\]", error.path)
    ]
    advice = f"\n  {error.advice}" if error.advice else ""
    return Unreadable(file, error.allowed, f"{found}{advice}", _line_of(text, steps))


def _line_of(text: str, steps: Sequence[str | int]) -> int:
    """The line in which the statement begins that gave this value, or the one nearest above it.

    The beginnings of the text that are TOML by themselves end between statements, so the first of them that
    holds the value ends with its statement: no second parser that could see it otherwise.
    """
    lines, reached, line, sound = text.split("\n"), -1, 1, 0
    for end in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("\n".join(lines[:end]) + "\n")
        except tomllib.TOMLDecodeError:
            continue
        depth = _depth(table, steps)
        if depth > reached:
            reached, line = depth, sound + 1
        sound = end
    return line


def _depth(value: object, steps: Sequence[str | int]) -> int:
    """How many of the steps lead somewhere."""
    for taken, step in enumerate(steps):
        match value, step:
            case Mapping(), str() if step in value:
                value = cast("Mapping[str, object]", value)[step]
            case list(), int() if step < len(cast("list[object]", value)):
                value = cast("list[object]", value)[step]
            case _:
                return taken
    return len(steps)
