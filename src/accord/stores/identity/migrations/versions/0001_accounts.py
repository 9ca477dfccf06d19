"""Accounts, the ways in, limits, consent and groups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "identity_0001"  # a name of its own: no other database of Accord passes for this one
down_revision = None


def upgrade() -> None:
    _people()
    _ways_in()
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "attempt",
        sa.Column("seq", number, primary_key=True, autoincrement=True),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
    )
    op.create_index("attempt_by_who", "attempt", ["what", "who", "at"])
    op.create_table(
        "consent",
        sa.Column("seq", number, primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(32), nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("agreed", sa.Boolean, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
    )
    op.create_index("consent_by_account", "consent", ["account", "seq"])


def _people() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(32), primary_key=True),
        # The only name that the labelling database knows.
        sa.Column("pseudonym", sa.String(32), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False, unique=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("passphrase", sa.Text),
        sa.Column("consent", sa.Text, nullable=False),
        sa.Column("made", sa.Float(53), nullable=False),
    )
    op.create_table(
        "membership",
        sa.Column("account", sa.String(32), primary_key=True),
        sa.Column("attribute", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _ways_in() -> None:
    op.create_table(
        "link",
        sa.Column("code", sa.String(64), primary_key=True),
        # None: it makes the first owner.
        sa.Column("account", sa.String(32)),
        sa.Column("until", sa.Float(53), nullable=False),
    )
    op.create_table(
        "session",
        sa.Column("code", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(32), nullable=False),
        sa.Column("began", sa.Float(53), nullable=False),
        sa.Column("seen", sa.Float(53), nullable=False),
    )
    op.create_index("session_by_account", "session", ["account"])
    op.create_table(
        "token",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("account", sa.String(32), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("made", sa.Float(53), nullable=False),
        sa.Column("until", sa.Float(53), nullable=False),
    )
    op.create_index("token_by_account", "token", ["account"])


def downgrade() -> None:
    raise NotImplementedError("accounts are not taken apart: put back a copy made before the update")
