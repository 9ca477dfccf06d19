"""Results on disk, one file per case and model, and what they say. A finished process is never run again."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["LEAST", "Results", "begin", "files", "summary"]

LEAST = 5  # samples below which there is no median
Document = dict[str, Any]
_PEERS = ("peers", "bench", "threads", "work", "model")  # what of an identity a peer's speed hangs on


class Results:
    """A file that is whole after every change."""

    def __init__(self, path: Path, document: Document) -> None:
        self.path, self.document = path, document

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        part.replace(self.path)

    def rounds(self, side: str) -> int:
        """How many processes of a side have finished."""
        return sum(run["side"] == side for run in self.document["runs"])

    def add(self, side: str, found: Mapping[str, Any], load: Sequence[float]) -> None:
        """A finished process, on disk when this returns."""
        run = {"side": side, "round": self.rounds(side), "load_before": list(load), **found}
        self.document["runs"].append(run)
        self.save()


def begin(folder: Path, case: str, model: str, identity: Mapping[str, Any]) -> Results:
    """The newest file of this case and model where it has the same identity, else a new one.

    What made the peers fast is taken over from the newest file, as long as peers and bench are the same.
    """
    old = [read for read in files(folder) if (read.document["case"], read.document["model"]) == (case, model)]
    if old and old[-1].document["identity"] == dict(identity):
        return old[-1]
    now = datetime.now(UTC)
    path = folder / f"{now:%Y-%m-%d}-{case}-{model}.json"
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{now:%Y-%m-%d}-{case}-{model}-{number}.json"
    document: Document = {
        "case": case,
        "model": model,
        "began": now.isoformat(timespec="seconds"),
        "identity": dict(identity),
        "explored": [],
        "missing": {},
        "parity": {},
        "runs": [],
    }
    if old and all(old[-1].document["identity"][key] == identity[key] for key in _PEERS):
        document["explored"] = old[-1].document["explored"]
    return Results(path, document)


def files(folder: Path) -> list[Results]:
    """All result files, oldest first."""
    found = [Results(path, json.loads(path.read_text(encoding="utf-8"))) for path in folder.glob("*.json")]
    return sorted(found, key=lambda one: (one.document["began"], one.path.name))


def summary(document: Document) -> dict[str, dict[str, Any]]:
    """Median, spread, speed, memory and advantage by side; nothing at all without parity.

    Sides with fewer than LEAST samples are left out, and all of them where that is Accord. ``ratio`` is the
    side's median over Accord's in the same file, ``ratios`` the smallest and largest of the rounds.
    ValueError where sides did not do the same work.
    """
    if not document["parity"].get("passed"):
        return {}
    by_side: dict[str, list[Document]] = {}
    for run in document["runs"]:
        by_side.setdefault(run["side"], []).append(run)
    _same_work(by_side)
    found: dict[str, dict[str, Any]] = {}
    for side, runs in by_side.items():
        seconds = [s for run in runs for s in run["seconds"]]
        if len(seconds) < LEAST:
            continue
        middle = statistics.median(seconds)
        tokens = [t for run in runs for t in run["tokens"]]
        found[side] = {
            "seconds": middle,
            "spread": statistics.median(abs(s - middle) for s in seconds),
            "samples": len(seconds),
            "tokens_per_second": statistics.median(t / s for t, s in zip(tokens, seconds, strict=True)),
            "rss_mib": statistics.median(run["rss_mib"] for run in runs),
        }
    if "accord" not in found:
        return {}
    for side, figures in found.items():
        figures["ratio"] = figures["seconds"] / found["accord"]["seconds"]
        figures["ratios"] = _by_round(by_side["accord"], by_side[side])
    return found


def _same_work(by_side: Mapping[str, Sequence[Document]]) -> None:
    work = {(side, tuple(run["tokens"])) for side, runs in by_side.items() for run in runs}
    if len({tokens for _, tokens in work}) > 1:
        raise ValueError(f"the sides did not compute the same tokens: {sorted(work)}")


def _by_round(ours: Sequence[Document], theirs: Sequence[Document]) -> list[float]:
    each = [
        statistics.median(b["seconds"]) / statistics.median(a["seconds"])
        for a, b in zip(ours, theirs, strict=False)
    ]
    return [min(each), max(each)]
