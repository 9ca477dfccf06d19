"""The JSON Schemas that are shipped are those of the classes."""

from __future__ import annotations

from importlib.resources import files

import pytest
from unit.keep.examples import NOON, OURS, model

from accord.keep.predicates import Bound
from accord.keep.schemas import schema, schema_files
from accord.keep.statements import statement


def test_the_files_are_what_the_classes_say() -> None:
    shipped = {
        file.name: file.read_text("utf-8")
        for file in files("accord.keep.schemas").iterdir()
        if file.name.endswith(".json")
    }
    assert shipped == schema_files(), (
        "write them anew: python -c 'from pathlib import Path; from accord.keep.schemas import schema_files; "
        '[Path("src/accord/keep/schemas", n).write_text(t) for n, t in schema_files().items()]\''
    )


@pytest.mark.parametrize("predicate", OURS, ids=lambda one: getattr(one, "kind", one.word))
def test_a_signed_statement_holds_every_field_of_its_schema(predicate: Bound) -> None:
    bound = statement(model(), predicate, None, name="m", at=NOON).predicate  # pyright: ignore[reportArgumentType]
    written = schema(type(predicate))
    assert set(bound.model_dump(by_alias=True)) == set(written["required"])  # pyright: ignore[reportArgumentType]
    assert written["additionalProperties"] is False
    assert type(predicate).model_validate_json(bound.model_dump_json(by_alias=True)) == bound
