"""Finished portraits: read back, found by weights and values, and as readings to pair later ones with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from accord.errors import Unreadable
from accord.records import JSON, NotMeasured, Reading, digest, read_record
from accord.records.portraits import Portrait

__all__ = ["FILE", "found_portrait", "read_portrait", "readings", "wish_of"]

FILE = "portrait.json"


def wish_of(policy: str, values: str) -> dict[str, JSON]:
    """What the folder of a portrait is named after: which weights, and the digest of the values."""
    return {"portrait": policy, "values": values}


def read_portrait(file: Path) -> Portrait:
    """A portrait that was written. Unreadable where the file is none, or was changed since."""
    try:
        tree = cast("dict[str, JSON]", json.loads(file.read_text(encoding="utf-8")))
        name = tree.pop("id")
        found = cast(Portrait, read_record(Portrait.kind, tree))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise Unreadable(file, "a portrait that accord targets wrote", str(error)[:200]) from None
    if found.id != name:
        raise Unreadable(file, "a portrait as accord targets wrote it", "it was changed since")
    return found


def found_portrait(folder: Path, policy: str, values: str) -> Portrait | None:
    """The portrait of these weights for the values with this digest, if one was finished in ``folder``."""
    file = folder / digest(wish_of(policy, values))[:12] / FILE
    return read_portrait(file) if file.is_file() else None


def readings(portrait: Portrait) -> list[Reading | NotMeasured]:
    """Its standings as readings ``values.<principle>.<slice>``, 1 the adverse end."""
    run = f"portrait/{portrait.policy}"
    found: list[Reading | NotMeasured] = []
    for one in portrait.standings:
        name = f"values.{one.principle}.{one.slice}"
        if one.own is None:
            found.append(NotMeasured(run=run, name=name, step=0, reason=one.why, parents=(portrait.id,)))
            continue
        ruler = {"values": portrait.values, "samples": portrait.samples, "tokens": portrait.max_tokens}
        told = {"run": run, "name": name, "step": 0, "unit": "share of answers that do not keep it"}
        spread = {"value": 1 - one.own.value, "low": 1 - one.own.high, "high": 1 - one.own.low}
        items = {"n": len(one.items), "items": one.items, "outcomes": one.outcomes}
        instrument = digest({"form": "portrait", "temperature": portrait.temperature, **ruler})
        found.append(
            Reading.model_validate(
                {**told, **spread, **items, "instrument": instrument, "parents": (portrait.id,)}
            )
        )
    return found
