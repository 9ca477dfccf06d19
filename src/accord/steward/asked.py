"""Asked: the terms of a stewardship as they are kept, read back, and tried before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from accord import catalog
from accord.errors import beneath
from accord.plan import PartTable
from accord.records import JSON
from accord.steward.effort import Effort
from accord.steward.judges import Judges
from accord.steward.variants import Files, Form, Terms, plan_of
from accord.stores.foreign.prompts import read_rows
from accord.values import Values

__all__ = ["check", "read_terms", "told_terms"]


def check(model: str, values: Values, effort: Effort, terms: Terms) -> None:
    """Every part that a step will name is built once, and the unrelated prompts are read."""
    unrelated = f"{terms.unrelated}:probe"
    files = Files("prompts", "anchor", unrelated, str(values.file))
    with beneath("terms"):
        catalog.check(plan_of("check", model, Form("own", {}), files, terms, effort))
        read_rows(unrelated)


def told_terms(terms: Terms, runs: Path) -> dict[str, JSON]:
    """Terms as they are kept: files and folders by their whole path."""
    store = terms.store or f"sqlite:///{(runs / 'accord.db').resolve()}"
    judges: dict[str, JSON] | None = None
    if terms.judges is not None:
        judges = {name: _whole(file) if file else None for name, file in terms.judges._asdict().items()}
    guard = None if terms.guard is None else dict(terms.guard)
    told = {
        "unrelated": _whole(terms.unrelated),
        "learner": terms.engine,
        "guard": guard,
        "store": store,
        "judges": judges,
    }
    return {**cast("dict[str, JSON]", terms._asdict()), **cast("dict[str, JSON]", told)}


def read_terms(told: Mapping[str, JSON]) -> Terms:
    """The same terms again."""
    judges = cast("dict[str, str | None] | None", told["judges"])
    read = {**told, "learner": PartTable.model_validate(told["learner"])}
    return Terms(**{**read, "judges": None if judges is None else Judges(**judges)})  # pyright: ignore[reportArgumentType]


def _whole(name: str) -> str:
    """A file by its whole path; what names no file here stays as it is."""
    return str(Path(name).resolve()) if Path(name).is_file() else name
