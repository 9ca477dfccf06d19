"""Project: the settings of a labelling project, from a TOML file, kept in the labelling database."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Self

from pydantic import Field

from accord.errors import PlanError, Unreadable
from accord.plan_tables import Table
from accord.records import Instrument

__all__ = ["Consent", "Project", "Qualification"]


class Qualification(Table):
    """Gold questions that a rater answers before the first vote.

    ``questions``: a file of them (``gold.py``), named from beside the project's file; ``asked``: how many of
    them make a round; ``passing``: the share that must be right; ``tries``: how often one may try.
    """

    questions: str
    asked: int = Field(default=20, ge=1)
    passing: float = Field(default=0.8, gt=0, le=1)
    tries: int = Field(default=2, ge=1)


class Consent(Table):
    """What raters agree to before the first question, in Markdown. Another text needs another version."""

    text: str
    version: str = Field(min_length=1)


class Project(Table):
    """What raters are told and asked beside the questions, and the limits they work under.

    ``instructions`` and ``pay`` are Markdown; ``instrument`` words questions that a file brings without one.
    ``groups``: what raters may say of themselves, each with its options; cells of fewer than ``k`` people are
    hidden. ``gold`` and ``repeats``: the shares of questions with a known answer, and of repeats in swapped
    order; ``gold_questions``: the file of the former (``gold.py``), without which none is asked. ``minimum``:
    votes below which a rater is listed; ``maximum``: votes after which they are asked no more. ``lease``:
    seconds after which a question goes to somebody else, if its rater is not heard of.
    """

    title: str = "Labelling"
    instructions: str = ""
    instrument: Instrument | None = None
    groups: dict[str, tuple[str, ...]] = {}
    k: int = Field(default=10, ge=2)
    gold: float = Field(default=0.05, ge=0, le=0.5)
    gold_questions: str = ""
    repeats: float = Field(default=0.05, ge=0, le=0.5)
    minimum: int = Field(default=0, ge=0)
    maximum: int | None = Field(default=None, ge=1)
    qualification: Qualification | None = None
    pay: str = ""
    consent: Consent | None = None
    lease: float = Field(default=600.0, ge=10, allow_inf_nan=False)

    @classmethod
    def load(cls, path: Path) -> Project:
        """From a TOML file. Unreadable: it is no TOML; PlanError: a setting that cannot be."""
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise Unreadable(path, "a labelling project in TOML", str(error)) from error
        project, beside = cls.model_validate(found), path.absolute().parent
        update: dict[str, object] = {}
        if project.gold_questions:
            update["gold_questions"] = str(beside / project.gold_questions)
        if project.qualification is not None:
            questions = str(beside / project.qualification.questions)
            update["qualification"] = project.qualification.model_copy(update={"questions": questions})
        return project.model_copy(update=update)

    def _checked(self) -> Self:
        if self.maximum is not None and self.minimum > self.maximum:
            raise PlanError("minimum", self.minimum, f"at most the maximum, {self.maximum}")
        for group, options in self.groups.items():
            if len(set(options)) < max(2, len(options)):
                raise PlanError(f"groups.{group}", list(options), "two options or more, each once")
        if self.groups and self.consent is None:
            raise PlanError("groups", list(self.groups), "groups with a [consent] table", "add [consent]")
        return self
