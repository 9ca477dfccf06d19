"""Grounds: what the arms of a study share: a base, values, prompts, and a gold that no arm learns from.

A planted base is named as ``module:function`` in a study's TOML and imported only then; each seed is
another base. A model that a person names is one base for all seeds, with values that ship and panels that
ship; there is no gold for it unless its values' checks are all there is to see.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from accord.errors import PlanError
from accord.overseers.program import Program
from accord.progress import Progress
from accord.records import JSON, Prompt
from accord.stores.foreign.prompts import read_rows
from accord.values import Slice, Values, read_values

__all__ = ["Ground", "Planted", "named", "planted"]

_UNRELATED = "short-questions"
_PANELS = ("choices", "refusals", "contested")


class Planted(Protocol):
    """A base that was made with its truth beside it, as ``accord.testing.organisms`` makes them."""

    @property
    def model(self) -> Path: ...

    @property
    def values(self) -> Path: ...

    @property
    def gold(self) -> str: ...

    @property
    def unrelated(self) -> Path: ...

    @property
    def panels(self) -> Mapping[str, Path]: ...


class _Making(Protocol):
    def __call__(self, folder: Path, seed: int, progress: Progress, **more: object) -> Planted: ...


class Ground(NamedTuple):
    """A base, and what it is measured by. ``anchor`` and ``beside``: unrelated prompts to hold by, and to
    measure drift on; ``panels``: names or files. ``gold``: a program, None where there is none."""

    name: str
    model: str
    values: Values
    gold: Program | None
    anchor: tuple[Prompt, ...]
    beside: tuple[Prompt, ...]
    panels: Mapping[str, str]
    learner: Mapping[str, JSON]
    max_tokens: int

    @property
    def principles(self) -> dict[str, Program]:
        """The principles that a program judges; the study is about these."""
        found = {one.id: self.values.program(one.id) for one in self.values.principles}
        return {name: program for name, program in found.items() if program is not None}

    def sealed(self, principle: str) -> list[Prompt]:
        """Prompts that no arm learns from."""
        return [case.prompt for one in self.values.slices(principle) for case in one.audit]

    def rows(self) -> list[dict[str, JSON]]:
        """The training halves, each prompt once with its principles."""
        found: dict[str, dict[str, JSON]] = {}
        for name in self.principles:
            parts: Sequence[Slice] = self.values.slices(name)
            for case, part in ((case, one.name) for one in parts for case in one.training):
                fresh: dict[str, JSON] = {"prompt": case.prompt.text, "slice": part, "principles": []}
                row = found.setdefault(case.prompt.text, fresh)
                row["principles"] = [*cast("list[JSON]", row["principles"]), name]
        return list(found.values())


def planted(making: str, folder: Path, seed: int, progress: Progress, quick: bool = False) -> Ground:
    """The planted base of a seed, made in ``folder`` unless it stands there."""
    module, _, function = making.partition(":")
    home = importlib.import_module(module)
    make = cast(_Making, getattr(home, function))
    # The few lessons that are enough for what is planted, and too few for the panels.
    few = cast("Callable[..., object]", getattr(home, "Lessons"))  # noqa: B009 - by name alone
    lessons = {"lessons": few(50, 24, 240, 15e-3, 6)} if quick else {}
    made = make(folder, seed, progress, **lessons)
    prompts = list({row.prompt.id: row.prompt for row in read_rows(str(made.unrelated))}.values())
    return Ground(
        made.model.parent.name,
        str(made.model),
        read_values(made.values),
        Program(fn=made.gold),
        tuple(prompts[::2]),
        tuple(prompts[1::2]),
        {name: str(file) for name, file in made.panels.items()},
        {"adapter": "full", "precision": "float32", "decode": "float32", "device": "cpu"},
        max_tokens=9,
    )


def named(model: str, values: str, gold: str | None, prompts: int) -> Ground:
    """A model that a person names, with values that ship; so many unrelated prompts of each kind."""
    document = read_values(values)
    if not any(document.program(one.id) for one in document.principles):
        raise PlanError("values", values, "a document with a principle that a program checks")
    anchor, beside = (_unrelated(document, part)[:prompts] for part in ("train", "held_out"))
    return Ground(
        model,
        model,
        document,
        Program(fn=gold) if gold else None,
        anchor,
        beside,
        {name: name for name in _PANELS},
        {"adapter": "lora"},
        max_tokens=64,
    )


def _unrelated(values: Values, part: str) -> tuple[Prompt, ...]:
    """Short questions, each once, without those that a sealed half holds."""
    found = {row.prompt.id: row.prompt for row in read_rows(f"{_UNRELATED}:{part}")}
    sealed = {prompt.id for prompt in values.leaks(found.values())}
    return tuple(prompt for name, prompt in found.items() if name not in sealed)
