"""Succession: which kept model another will take the place of, who answers for it, and how long before.

A person writes it beside the plan, ``PLAN.retirement.toml``, before anything is trained: nothing that is kept
is superseded in passing. How a model is then retired is not here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from accord.plan_tables import Table
from accord.values_tables import read_table

__all__ = ["NONE", "NOTICE", "Succession", "lines", "read_succession", "succession_file"]

NONE = "none"
NOTICE = 30  # days between notice and sealing, at least
_ENTRY = r"^(none|urn:accord:entry:[0-9a-f]{32})$"
_ENTRIES = '"none", or the id of a kept model, urn:accord:entry:…'
_PERSON = "the name of a person"


class Succession(Table):
    """What the result of a plan ``supersedes``, the ``steward`` who retires that, and after which notice."""

    supersedes: Annotated[str, Field(pattern=_ENTRY, description=_ENTRIES)]
    steward: Annotated[str, Field(pattern=r"\S", description=_PERSON)]
    notice_days: Annotated[int, Field(strict=True, ge=NOTICE)]


def succession_file(plan: Path, folder: Path | None = None) -> Path:
    """Where the policy of a plan lies: beside it, or in a folder of the user's."""
    return (folder or plan.parent) / f"{plan.stem}.retirement.toml"


def read_succession(file: Path) -> Succession:
    """The policy in a file. Unreadable names the line that is wrong."""
    return read_table(file, Succession, "a retirement policy in TOML")[0]


def lines(file: Path) -> str:
    """What a person writes into it."""
    return "\n".join(
        [
            f"write {file}:",
            f'  supersedes = "{NONE}"  # or the id of the kept model whose place this one takes',
            '  steward = "NAME"',
            f"  notice_days = {NOTICE}",
        ]
    )
