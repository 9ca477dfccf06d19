"""Records, their parents, and receipts of what was imported from run logs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "record",
        # The order in which records came; SQLite numbers only this type by itself.
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("v", sa.Integer, nullable=False),
        sa.Column("run", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        # Put by somebody, not only imported: an import never takes such a record back.
        sa.Column("held", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("record_by_kind", "record", ["kind", "seq"])
    op.create_index("record_by_run", "record", ["run", "kind", "seq"])
    op.create_table(
        "parent",
        sa.Column("child", sa.String(64), primary_key=True),
        sa.Column("parent", sa.String(64), primary_key=True),
    )
    op.create_index("parent_by_parent", "parent", ["parent", "child"])
    op.create_table(
        "receipt",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("segment", sa.Text, primary_key=True),
        sa.Column("writer", sa.String(32), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("record", sa.String(64), nullable=False),
        # False once a line of a higher fence has taken its place.
        sa.Column("current", sa.Boolean, nullable=False),
    )
    op.create_index("receipt_by_record", "receipt", ["record"])


def downgrade() -> None:
    raise NotImplementedError("the store is an index: move it away and import the runs again")
