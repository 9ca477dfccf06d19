"""Questions and their texts, the journal of what was said, and what follows from the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "people_0001"
down_revision = None

_ID = sa.String(64)
_RATER = sa.String(14)


def _numbered() -> sa.Column[int]:
    # SQLite numbers only this type by itself.
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("seq", whole, primary_key=True, autoincrement=True)


def upgrade() -> None:
    op.create_table(
        "meta", sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
    )
    _asked()
    _slots()
    _said()
    _raters()


def _asked() -> None:
    op.create_table(
        "question",
        _numbered(),
        sa.Column("id", _ID, nullable=False, unique=True),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "record",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "parent", sa.Column("child", _ID, primary_key=True), sa.Column("parent", _ID, primary_key=True)
    )
    op.create_index("parent_by_parent", "parent", ["parent", "child"])
    # Which questions name which texts.
    op.create_table(
        "named", sa.Column("record", _ID, primary_key=True), sa.Column("question", _ID, primary_key=True)
    )
    # Ids of what was withdrawn, so that nobody posts it again.
    op.create_table("erased", sa.Column("id", _ID, primary_key=True))


def _slots() -> None:
    op.create_table(
        "slot",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("question", _ID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("round", sa.String(16), nullable=False),
        # The only rater who may have it; empty: anybody.
        sa.Column("wanted", _RATER, nullable=False),
        sa.Column("priority", sa.Double, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("rater", _RATER),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("lease_until", sa.Double),
        sa.CheckConstraint("state IN ('open', 'leased', 'closed', 'void')", name="slot_state"),
    )
    op.create_index("slot_by_question", "slot", ["question", "number"], unique=True)
    # The last guard: no rater has two slots of a question, whatever two tabs do.
    op.create_index("slot_by_rater", "slot", ["question", "rater"], unique=True)
    waiting = sa.text("state IN ('open', 'leased')")
    op.create_index(
        "slot_queue",
        "slot",
        ["round", "wanted", sa.text("priority DESC"), "id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    leased = sa.text("state = 'leased'")
    op.create_index("slot_leased", "slot", ["rater"], sqlite_where=leased, postgresql_where=leased)


def _said() -> None:
    op.create_table(
        "judgment_event",
        _numbered(),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("question", _ID, nullable=False),
        sa.Column("slot", sa.Integer),
        sa.Column("rater", _RATER, nullable=False),
        sa.Column("judgment", _ID, nullable=False),
        # Null: an event that says nothing, or words that were erased.
        sa.Column("body", sa.Text),
        sa.Column("replaces", _ID),
        sa.Column("note", sa.String(16), nullable=False),
        sa.Column("client_key", sa.Text, nullable=False, unique=True),
        sqlite_autoincrement=True,
    )
    op.create_index("event_by_judgment", "judgment_event", ["judgment", "seq"])
    op.create_index("event_by_rater", "judgment_event", ["rater", "seq"])
    op.create_table(
        "judgment_current",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("question", _ID, nullable=False),
        sa.Column("slot", sa.Integer),
        sa.Column("rater", _RATER, nullable=False),
        sa.Column("judgment", _ID, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("standing", sa.String(16), nullable=False),
        sa.Column("abstained", sa.Boolean, nullable=False),
    )
    op.create_index("current_by_question", "judgment_current", ["question", "slot"])
    op.create_index("current_by_rater", "judgment_current", ["rater", "seq"])
    op.create_table(
        "seen", sa.Column("question", _ID, primary_key=True), sa.Column("rater", _RATER, primary_key=True)
    )
    op.create_table(
        "uses",
        sa.Column("judgment", _ID, primary_key=True),
        sa.Column("used_by", sa.Text, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
    )


def _raters() -> None:
    # One row for each rater: what they have done, and the lock that keeps their two tabs apart.
    op.create_table(
        "rater",
        sa.Column("rater", _RATER, primary_key=True),
        sa.Column("votes", sa.Integer, nullable=False),
        sa.Column("abstained", sa.Integer, nullable=False),
        sa.Column("late", sa.Integer, nullable=False),
        sa.Column("qualified", sa.Double),
        sa.Column("tries", sa.Integer, nullable=False),
    )
    op.create_table(
        "draft",
        sa.Column("rater", _RATER, primary_key=True),
        sa.Column("question", _ID, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("what people said is kept nowhere else: restore a copy made before the upgrade")
