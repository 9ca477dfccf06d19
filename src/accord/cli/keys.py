"""``accord keep key``: the pair of keys that a person signs with, and their role in an archive."""

from __future__ import annotations

import getpass
import os
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from accord.cli.codes import Exit
from accord.cli.runs import Json
from accord.cli.show import Screen
from accord.errors import PlanError, Refused, nearest

if TYPE_CHECKING:
    from accord.keep.keys import KeyKind, PublicKey
    from accord.keep.roles import RoleName

__all__ = ["EXAMPLES", "PASSPHRASE", "ask_passphrase", "key"]

PASSPHRASE = "ACCORD_PASSPHRASE"  # noqa: S105 - the name of the variable, not what it holds

EXAMPLES = {
    "keep key": """
      accord keep key --by "A. Person"
      accord keep key --by "A. Person" --until 2027-12-31
      accord keep key --by "B. Person" --role auditor --archive /srv/archive
    """,
}


def key(  # size: a parameter is an option here
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Whose key it is.")],
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="steward, auditor or demonstration.")
    ] = "steward",
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="The last day of the role, in UTC.")
    ] = None,
    archive: Annotated[
        Path, typer.Option("--archive", metavar="DIR", help="The archive that is to know the key.")
    ] = Path("archive"),
    private: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="The private key [default: in your configuration]."),
    ] = None,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="p256, or ed25519 (which signs no bytes statement).")
    ] = "p256",
    json: Json = False,
) -> int:
    """Make the key that a person signs with, and tell an archive whose it is.

    The private key stays outside the archive, mode 0600, under a passphrase that is asked for (or read from
    ACCORD_PASSPHRASE). One that is there already is not made again; the archive learns of it. An archive that
    is not there is made. A demonstration key has no passphrase, and every statement under it says what it is.
    """
    from accord.keep.archive import Archive
    from accord.keep.keys import KeyKind, make_key, private_file, public_key
    from accord.keep.roles import Role, RoleName, Roles, enrol

    _one_of("--role", role, get_args(RoleName))
    _one_of("--kind", kind, get_args(KeyKind))
    last = _day(until)
    by, now = by.strip(), datetime.now(UTC)
    if not by.isprintable() or not any(letter.isalnum() for letter in by):
        raise PlanError("--by", by, "the name of a person", 'such as --by "A. Person"')
    if last is not None and last < now.date():
        raise PlanError("--until", until, f"today ({now.date()}, in UTC) or a later day")
    file = private if private is not None else private_file(by)
    public = file.with_name(f"{file.name}.pem")
    made = not file.exists()
    if made:
        passphrase = None if role == "demonstration" else ask_passphrase(file, twice=True)
        pair: PublicKey = make_key(file, public, passphrase, cast("KeyKind", kind))
    elif public.exists():
        pair = public_key(public)
    else:
        raise Refused(
            f"{file}: the private key is there, and its public half {public.name} is not\n"
            f"  openssl pkey -in {file} -pubout -out {public}"
        )
    granted = Role(pair.id, by, cast("RoleName", role), now.date(), last)
    held = Roles.read(archive / "keys").at(pair.id, now)
    if held is not None and held._replace(start=granted.start) == granted:
        granted = held  # told before; it is not told again
    if not (archive / "root").is_dir():
        Archive.make(archive, time.time)
    known = enrol(archive / "keys", pair, granted)
    document = {"private": str(file), "public": str(known), "id": pair.id, "person": by, "role": role}
    lines = [
        f"{'made' if made else 'known already'}: {file} ({pair.curve}, {pair.id[:16]})",
        f"{by} is {role} {granted.span}; others check with {known}",
    ]
    lines += ["what it signs says that it is a demonstration"] if role == "demonstration" else []
    Screen(json).give({**document, "made": made}, lines)
    return Exit.DONE


def ask_passphrase(file: Path, twice: bool = False) -> bytes:
    """The passphrase of a private key: from ACCORD_PASSPHRASE, else typed without being shown."""
    if given := os.environ.get(PASSPHRASE):
        return given.encode("utf-8")
    if not sys.stdin.isatty():
        raise Refused(
            f"{file}: asks for a passphrase, and nobody is there to type it\n"
            f"  run this in a terminal, or put it into {PASSPHRASE}"
        )
    typed = getpass.getpass(f"Passphrase of {file}: ")
    if twice and getpass.getpass("The same again: ") != typed:
        raise Refused("the two passphrases differ\n  repeat the command")
    return typed.encode("utf-8")


def _one_of(option: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise PlanError(option, given, ", ".join(known), nearest(given, known))


def _day(given: str | None) -> date | None:
    try:
        return date.fromisoformat(given) if given is not None else None
    except ValueError:
        raise PlanError("--until", given, "a day such as 2027-12-31") from None
