"""What is kept by name and may change: the settings of the database, and drafts that are not yet sent."""

from __future__ import annotations

import json
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

from accord.stores.database import sql
from accord.stores.people.project import Project

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["draft", "drop", "keep", "keep_draft", "new_id", "note", "notes", "project", "value"]


def keep(connection: Connection, key: str, value: str) -> None:
    """One value under a key, in the place of what was there."""
    connection.execute(
        sql(
            "INSERT INTO meta (key, value) VALUES (:key, :value)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        ),
        {"key": key, "value": value},
    )


def value(connection: Connection, key: str) -> str | None:
    """What is kept under a key, None where there is nothing."""
    return connection.execute(sql("SELECT value FROM meta WHERE key = :key"), {"key": key}).scalar()


def drop(connection: Connection, key: str, only: str | None = None) -> None:
    """No value under that key; ``only``: unless it is another one by now."""
    statement = "DELETE FROM meta WHERE key = :key AND value = coalesce(:only, value)"
    connection.execute(sql(statement), {"key": key, "only": only})


def note(connection: Connection, about: str, key: str, says: str | None) -> None:
    """A decision about something; None takes it away."""
    name = f"note:{about}:{key}"
    drop(connection, name) if says is None else keep(connection, name, says)


def notes(connection: Connection, about: str) -> dict[str, str]:
    """Every decision about something, by key."""
    prefix = f"note:{about}:"
    query = sql("SELECT key, value FROM meta WHERE substr(key, 1, :size) = :prefix ORDER BY key")
    rows = connection.execute(query, {"prefix": prefix, "size": len(prefix)})
    return {str(row[0]).removeprefix(prefix): str(row[1]) for row in rows}


def new_id(connection: Connection) -> str:
    """Give the database an id, unless another process was faster; the one it has then."""
    connection.execute(
        sql("INSERT INTO meta (key, value) VALUES ('id', :id) ON CONFLICT (key) DO NOTHING"),
        {"id": secrets.token_hex(16)},
    )
    return value(connection, "id") or ""


def project(connection: Connection) -> Project:
    """The settings as last kept, the defaults where none were."""
    found = value(connection, "project")
    return Project() if found is None else _project(found)


def draft(connection: Connection, rater: str, question: str) -> str | None:
    """An answer that is not yet sent."""
    query = sql("SELECT body FROM draft WHERE rater = :rater AND question = :question")
    found = connection.execute(query, {"rater": rater, "question": question}).scalar()
    return None if found is None else json.loads(found)


def keep_draft(connection: Connection, now: float, rater: str, question: str, body: str) -> None:
    """In the place of an earlier one."""
    connection.execute(
        sql(
            "INSERT INTO draft (rater, question, body, at) VALUES (:rater, :question, :body, :at)"
            " ON CONFLICT (rater, question) DO UPDATE SET body = excluded.body, at = excluded.at"
        ),
        # As JSON: PostgreSQL takes no null characters, and neither takes half a surrogate pair.
        {"rater": rater, "question": question, "body": json.dumps(body), "at": now},
    )


@lru_cache(maxsize=8)  # every lease asks for it
def _project(body: str) -> Project:
    return Project.model_validate_json(body)
