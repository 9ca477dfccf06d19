"""Values: what to align *to*, a document apart from the plan, which is *how* (layer 3).

Here: a document with its prompts and its checks, its digest, and the halves of each slice. Not here: whether
a model keeps it (the audit and the steward), how ballots become a document (import).

Each slice of a principle's prompts is cut in two by the hash of the prompt alone: a *sealed* audit half, on
which nothing is ever trained, and a training half. The same prompt falls on the same side in every slice,
principle and document, and goes on doing so when others are added.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import NamedTuple, cast

import tomli_w

from accord.errors import PlanError, Unreadable, nearest
from accord.overseers.program import Program
from accord.records import JSON, Prompt, digest
from accord.stores.foreign.tables import Fields, raw_rows
from accord.values_tables import Ballot, Document, Principle, located, parsed

__all__ = ["Ballot", "Case", "Contrast", "Principle", "Slice", "Values", "read_values", "shipped_values"]

LEAST = 20  # prompts of a slice; an interval over fewer says next to nothing
_KEYS = ("prompt", "slice", "contrast")
_ROW = '{"prompt", "slice"} and perhaps "contrast": [complying, violating]'


class Contrast(NamedTuple):
    """Two answers to one prompt, alike but for the principle."""

    complying: str
    violating: str


class Case(NamedTuple):
    """A prompt on which a principle is put to the test, and two answers that differ in it, if there are."""

    prompt: Prompt
    contrast: Contrast | None = None


class Slice(NamedTuple):
    """A part of a principle's prompts, in halves. Nothing is ever trained on ``audit``."""

    name: str
    audit: tuple[Case, ...]
    training: tuple[Case, ...]


@dataclass(frozen=True)
class Values:
    """A values document, read and checked. ``read_values`` makes it."""

    document: Document
    file: Path
    cases: Mapping[str, tuple[Slice, ...]]
    programs: Mapping[str, Program]

    @property
    def name(self) -> str:
        return self.document.name

    @property
    def principles(self) -> tuple[Principle, ...]:
        """What is aligned to; none of it is contested."""
        return self.document.principle

    @property
    def contested(self) -> tuple[Principle, ...]:
        """What groups do not agree on: nothing is trained towards it or away from it, and audits watch it."""
        return self.document.contested

    def __getitem__(self, principle: str) -> Principle:
        """A principle, contested or not, by its id. PlanError where there is none."""
        known: list[str] = []
        for _, one in self.document.every:
            if one.id == principle:
                return one
            known.append(one.id)
        raise PlanError("principle", principle, ", ".join(known), nearest(principle, known))

    def slices(self, principle: str) -> tuple[Slice, ...]:
        """The slices of a principle's prompts, in the order of their names."""
        return self.cases[self[principle].id]

    def program(self, principle: str) -> Program | None:
        """The overseer that decides whether an answer keeps the principle: 1 it does, 0 it does not.

        None where a person or a model judges.
        """
        return self.programs.get(self[principle].id)

    def instruction(self, *principles: str) -> str:
        """What the named principles say, as an instruction to a model; by default all but the contested."""
        said = [self[one] for one in principles] or self.principles
        return "\n".join(one.text for one in said)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that it says and asks, wherever its files lie and in whatever order.

        What the code of a check does is in the config of its program, in every judgment, and in ``checks``.
        """
        said = {"principles": self._said(self.principles)}
        if self.contested:
            said["contested"] = self._said(self.contested)
        return digest({"kind": "values", "v": 1, "name": self.name, **said})

    @cached_property
    def checks(self) -> str:
        """SHA-256 over what the programs do that check its principles; "" where none does."""
        every = {name: program.config for name, program in self.programs.items()}
        return digest(cast("dict[str, JSON]", every)) if every else ""

    def leaks(self, prompts: Iterable[Prompt]) -> list[Prompt]:
        """Those of the prompts that a sealed half holds: nothing may be trained on them."""
        return [prompt for prompt in prompts if _plain(prompt.text) in self._sealed]

    def toml(self, folder: Path | None = None) -> str:
        """The document with its files named absolutely: ``read_values`` reads it back from anywhere.

        Those that lie in ``folder`` are named from there: a document that is written there moves with it.
        """

        def name(file: Path | str) -> str:
            inside = folder is not None and Path(file).is_relative_to(folder.absolute())
            return Path(file).relative_to(cast(Path, folder).absolute()).as_posix() if inside else str(file)

        table = cast("dict[str, list[dict[str, JSON]]]", self.document.table(full=False))
        for one in [*table["principle"], *table.get("contested", [])]:
            one["prompts"] = name(_beside(self.file, cast(str, one["prompts"])))
            if "check" in one:
                one["check"] = name(_absolute(self.file, cast(str, one["check"])))
        return tomli_w.dumps(table)

    def _said(self, principles: Sequence[Principle]) -> list[JSON]:
        by_id = sorted(principles, key=lambda one: one.id)
        return [{**one.table(full=False), "prompts": _asked(self.cases[one.id])} for one in by_id]

    @cached_property
    def _sealed(self) -> frozenset[str]:
        slices = (one for slices in self.cases.values() for one in slices)
        return frozenset(_plain(case.prompt.text) for one in slices for case in one.audit)


def shipped_values() -> dict[str, Path]:
    """The values documents that ship with Accord, by their names."""
    folder = Path(str(resources.files("accord") / "data" / "values"))
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def read_values(source: Path | str) -> Values:
    """The values in a file, or those that ship under a name.

    PlanError where there are none under that name. Unreadable names the file and the line: of the document
    for what it says, of a prompts file for a row that is none.
    """
    shipped = shipped_values()
    file = shipped.get(source) if isinstance(source, str) else None
    if file is None and not Path(source).is_file():
        allowed = f"a file in TOML, or one of: {', '.join(shipped)}"
        raise PlanError("values", str(source), allowed, nearest(str(source), shipped))
    file = (file or Path(source)).absolute()
    document, text = parsed(file)
    cases: dict[str, tuple[Slice, ...]] = {}
    programs: dict[str, Program] = {}
    for place, principle in document.every:
        try:
            if principle.check is not None:
                programs[principle.id] = _program(file, principle.check)
            cases[principle.id] = _slices(_beside(file, principle.prompts))
        except PlanError as error:
            raise located(error.under(place), file, text) from None
    return Values(document, file, cases, programs)


def _beside(file: Path, name: str) -> Path:
    return (file.parent / name).absolute()


def _absolute(file: Path, check: str) -> str:
    """A check whose module is a file, with the whole path to it."""
    module, _, function = check.rpartition(":")
    return f"{_beside(file, module)}:{function}" if module.endswith(".py") else check


def _program(file: Path, check: str) -> Program:
    program = Program(fn=_absolute(file, check))
    try:
        (grader,) = program.graders
        inspect.signature(grader).bind_partial(["a prompt"], ["an answer"])
    except PlanError as error:
        raise PlanError("check", check, error.allowed, error.advice) from None
    except (TypeError, ValueError):
        takes = "a function that takes the prompts and the answers"
        raise PlanError(
            "check", check, takes, "fn(prompts, answers, **columns) -> list[float | None]"
        ) from None
    return program


def _slices(file: Path) -> tuple[Slice, ...]:
    if not file.is_file():
        raise PlanError("prompts", str(file), "a file of JSON lines, named from the document's folder")
    cases = list(_cases(file))
    found: list[Slice] = []
    for name in sorted({case.prompt.slice for case in cases}):
        mine = [case for case in cases if case.prompt.slice == name]
        if len(mine) < LEAST:
            enough = f"{LEAST} prompts or more in every slice"
            raise PlanError("prompts", file.name, enough, f"slice {name!r} has {len(mine)}")
        audit = tuple(case for case in mine if _audits(case.prompt.text))
        training = tuple(case for case in mine if not _audits(case.prompt.text))
        if not (audit and training):
            raise PlanError(
                "prompts", file.name, "prompts of every slice in both halves", f"slice {name!r}: add more"
            )
        found.append(Slice(name, audit, training))
    if not found:
        raise PlanError("prompts", file.name, f"{LEAST} prompts or more in every slice", "it is empty")
    return tuple(found)


def _cases(file: Path) -> Iterator[Case]:
    first: dict[str, int] = {}
    for number, fields in raw_rows(file):
        case = _case(file, number, fields)
        plain = _plain(case.prompt.text)
        if plain in first:
            raise Unreadable(file, "each prompt once", f"the same as in line {first[plain]}", number)
        first[plain] = number
        yield case


def _case(file: Path, number: int, fields: Fields) -> Case:
    for key in fields:
        if key not in _KEYS:
            raise Unreadable(file, _ROW, f"{key}; {nearest(key, _KEYS)}".rstrip("; "), number)
    prompt, name, contrast = (fields.get(key) for key in _KEYS)
    for key, value in (("prompt", prompt), ("slice", name)):
        if not isinstance(value, str) or not value.strip():
            raise Unreadable(file, f'"{key}": text that is not empty', repr(value)[:80], number)
    asked = Prompt.of(cast(str, prompt), cast(str, name))
    if contrast is None:
        return Case(asked)
    answers = cast("list[object]", contrast) if isinstance(contrast, list) else []
    texts = [answer.strip() for answer in answers if isinstance(answer, str)]
    if len(texts) != 2 or len(answers) != 2 or not all(texts) or texts[0] == texts[1]:
        expected = '"contrast": [complying, violating], two texts that differ'
        raise Unreadable(file, expected, repr(fields["contrast"])[:80], number)
    return Case(asked, Contrast(cast(str, answers[0]), cast(str, answers[1])))


def _plain(text: str) -> str:
    """A prompt as the halves see it: how it is spaced and capitalised tells nobody apart."""
    return " ".join(text.casefold().split())


def _audits(text: str) -> bool:
    # A salt of its own: the parts of a data file are cut by the bare hash, and would fall along with these.
    return bool(hashlib.sha256(f"audit half\n{_plain(text)}".encode()).digest()[0] & 1)


def _asked(slices: Iterable[Slice]) -> str:
    rows = [
        [case.prompt.slice, case.prompt.text, list(case.contrast or ())]
        for one in slices
        for case in (*one.audit, *one.training)
    ]
    return digest(cast(JSON, sorted(rows)))
