"""JSON Schemas of our four predicates, for whoever reads a statement without Accord.

The files are written from the classes in ``accord.keep.predicates``; a test compares them.
"""

from __future__ import annotations

import json
from typing import cast

from accord.keep.predicates import OURS, Bound
from accord.records import JSON

__all__ = ["schema", "schema_files"]


def schema(kind: type[Bound]) -> dict[str, JSON]:
    """The schema of one predicate as a signed statement holds it: every field stands there."""
    body = kind.model_json_schema(mode="serialization", by_alias=True)
    head: dict[str, JSON] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": kind.type}
    return head | cast("dict[str, JSON]", _bare(body))


def _bare(node: object) -> object:
    """Without the defaults and titles of the classes: in a statement every field stands, by its own name."""
    if isinstance(node, dict):
        fields = cast("dict[str, object]", node)
        return {name: _bare(part) for name, part in fields.items() if name not in ("default", "title")}
    if isinstance(node, list):
        return [_bare(part) for part in cast("list[object]", node)]
    return node


def schema_files() -> dict[str, str]:
    """The text of every schema by its file name."""
    return {
        f"{kind.word}-v1.json": json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n" for kind in OURS
    }
