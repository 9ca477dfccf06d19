"""Roles: whose key it is, what that person signs as, and from when until when. One file, ``roles.toml``.

    [[key]]
    id = "3f…"            # of the public key, <id>.pem beside this file
    person = "A. Person"
    role = "steward"      # or auditor, demonstration
    from = 2026-11-22     # the first day, in UTC
    until = 2027-11-22    # the last day; left out, there is none

A key belongs to one person for ever. A person may have several keys, one after the other, and a key several
roles, one after the other. Who writes this file says who is believed: nothing in Accord can check that.
"""

from __future__ import annotations

import fcntl
import os
import re
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, cast, get_args

import tomli_w

from accord.errors import Refused, Unreadable, nearest
from accord.keep.keys import PublicKey
from accord.stores.files import make_folder, write_aside

__all__ = ["Role", "RoleName", "Roles", "enrol"]

RoleName = Literal["steward", "auditor", "demonstration"]

_FILE = "roles.toml"
_FIELDS = ("id", "person", "role", "from", "until")


class Role(NamedTuple):
    """A key in the hands of a person, for a time. Days are whole days in UTC."""

    key: str
    person: str
    role: RoleName
    start: date
    until: date | None = None

    def holds(self, day: date) -> bool:
        """Whether it holds on this day."""
        return self.start <= day and (self.until is None or day <= self.until)

    @property
    def span(self) -> str:
        """``from 2026-11-22 until 2027-11-22``."""
        return f"from {self.start}" + (f" until {self.until}" if self.until else "")


class Roles(NamedTuple):
    """All roles of an archive."""

    roles: tuple[Role, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The roles in ``roles.toml`` of this folder; none where there is no such file."""
        file = folder / _FILE
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise Unreadable(file, "roles in TOML", error.strerror or str(error)) from None
        except (ValueError, RecursionError) as error:
            raise Unreadable(file, "roles in TOML", str(error)) from None
        tables = tree.get("key", [])
        if set(tree) - {"key"} or not isinstance(tables, list):
            raise Unreadable(file, "tables [[key]] and nothing else", ", ".join(sorted(tree)))
        found = cls()
        for number, table in enumerate(cast("list[object]", tables), start=1):
            role = _role(file, number, table)
            if wrong := found.objection(role):
                raise Unreadable(
                    file, "one person to a key, one role of it at a time", f"key {number}: {wrong}"
                )
            found = cls((*found.roles, role))
        return found

    def of(self, key: str) -> tuple[Role, ...]:
        """Every role of this key."""
        return tuple(role for role in self.roles if role.key == key)

    def at(self, key: str, moment: datetime) -> Role | None:
        """The role of this key at that moment, or None."""
        day = moment.astimezone(UTC).date()
        return next((role for role in self.of(key) if role.holds(day)), None)

    def objection(self, role: Role) -> str:
        """Why this role cannot stand beside the others, or nothing."""
        if not role.person.strip() or not role.person.isprintable():
            return f"{role.person!r} is not the name of a person"
        if role.until is not None and role.until < role.start:
            return f"it would end on {role.until}, before it begins on {role.start}"
        for other in self.of(role.key):
            if other.person != role.person:
                return f"{role.key[:16]} is the key of {other.person}, not of {role.person}"
            if other.start <= (role.until or date.max) and role.start <= (other.until or date.max):
                return f"{role.key[:16]} is {other.role} {other.span} already"
        return ""

    def write(self, folder: Path) -> None:
        """Put them into ``roles.toml`` of this folder, durably."""
        tables = [
            {
                "id": role.key,
                "person": role.person,
                "role": role.role,
                "from": role.start,
                **({"until": role.until} if role.until else {}),
            }
            for role in self.roles
        ]
        write_aside(folder / _FILE, tomli_w.dumps({"key": tables}))


def enrol(folder: Path, key: PublicKey, role: Role) -> Path:
    """Put a public key among those of an archive and say whose it is; returns its file there.

    The same again changes nothing. Refused where the key is another person's, or has a role in that time.
    """
    if role.key != key.id:
        raise Refused(f"the role is of the key {role.key[:16]}, and this one is {key.id[:16]}")
    make_folder(folder)
    file = folder / f"{key.id}.pem"
    with _alone(folder):
        roles = Roles.read(folder)
        if role not in roles.roles:
            if wrong := roles.objection(role):
                raise Refused(
                    f"{folder / _FILE}: {wrong}\n  give that role an end there, or name another day or key"
                )
            Roles((*roles.roles, role)).write(folder)
        write_aside(file, key.pem)
    return file


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """No other process enrols in this folder: of two that had both read it, one would lose its role."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)  # and with it the lock, as when the process is killed


def _role(file: Path, number: int, table: object) -> Role:
    if not isinstance(table, Mapping):
        raise Unreadable(file, "tables [[key]]", f"key {number} is none")
    given = cast("Mapping[str, Any]", table)
    for name in given:
        if name not in _FIELDS:
            raise Unreadable(file, ", ".join(_FIELDS), f"key {number}: {name!r} {nearest(name, _FIELDS)}")
    key, person, role = (str(given.get(name, "")) for name in ("id", "person", "role"))
    if not re.fullmatch(r"[0-9a-f]{64}", key):
        raise Unreadable(file, "an id of 64 hexadecimal digits", f"key {number}: id = {key!r}")
    names = get_args(RoleName)
    if role not in names:
        raise Unreadable(file, ", ".join(names), f"key {number}: role = {role!r} {nearest(role, names)}")
    start, until = _day(file, number, given, "from"), _day(file, number, given, "until")
    if start is None:
        raise Unreadable(file, "a first day: from = 2026-11-22", f"key {number}: none")
    return Role(key, person, cast(RoleName, role), start, until)


def _day(file: Path, number: int, given: Mapping[str, Any], name: str) -> date | None:
    found = given.get(name)
    # A datetime is a date too, and would not compare with one.
    if found is not None and (not isinstance(found, date) or isinstance(found, datetime)):
        raise Unreadable(file, "a day such as 2026-11-22, without quotes", f"key {number}: {name} = {found}")
    return found
