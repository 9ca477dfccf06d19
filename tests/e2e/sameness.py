"""Whether two run folders say the same to the bit: models, records, figures, index."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["differences", "records", "stages"]

# What a repeat makes anew: the same key holds the same id.
_KEYED = ("event", "reading", "not_measured", "decision", "judgment", "episode", "model", "entry")
# Texts are written under the step at which they were first needed, which a resume may reach another way.
_TEXTS = ("prompt", "response", "question")
# How long it took and in which line of which file it stands: not figures of the run.
_NOT_FIGURES = {"seconds", "place", "starts", "lines", "torn", "store", "commands"}


def differences(one: Path, other: Path) -> list[str]:
    """Every way in which run ``other`` is not what run ``one`` is; both have ended."""
    found: list[str] = []
    if stages(one) != stages(other):
        return [f"stages {stages(one)} against {stages(other)}"]
    for stage in stages(one):
        found += [f"{stage}: {line}" for line in _models(one / stage / "model", other / stage / "model")]
        found += [f"{stage}: {line}" for line in _records(one / stage, other / stage)]
    figures = [
        _figures(json.loads((run / "report.json").read_text(encoding="utf-8"))) for run in (one, other)
    ]
    found += [f"report: {line}" for line in _apart(figures[0], figures[1], "")]
    return [*found, *_index(other)]


def stages(run: Path) -> list[str]:
    """The stages that a run has begun."""
    return sorted(file.parent.name for file in run.glob("*/writer.lock"))


def records(stage: Path) -> dict[tuple[str, int, str], list[str]]:
    """The ids by (kind, step, name) of all that a repeat must make again."""
    from accord.stores.runlog import read_log

    view = read_log(stage)
    assert not view.problems, view.problems
    found: dict[tuple[str, int, str], list[str]] = defaultdict(list)
    for line in view.lines:
        if line.record.kind in _KEYED:
            found[line.record.kind, line.step, line.name].append(line.record.id)
    return dict(found)


def _records(one: Path, other: Path) -> Iterator[str]:
    here, there = records(one), records(other)
    for key in sorted(here.keys() | there.keys()):
        if here.get(key) != there.get(key):
            yield f"{key}: {here.get(key, 'nothing')} against {there.get(key, 'nothing')}"
    for kind in _TEXTS:
        texts, others = _ids(one, kind), _ids(other, kind)
        if texts != others:
            yield f"{kind}: {len(texts - others)} lost, {len(others - texts)} of nowhere"


def _ids(stage: Path, kind: str) -> set[str]:
    from accord.stores.runlog import read_log

    return {record.id for record in read_log(stage).records(kind)}


def _models(one: Path, other: Path) -> Iterator[str]:
    """Files byte for byte; weights also number for number, so that a difference is told by its tensor."""
    from safetensors.numpy import load_file

    names = {str(path.relative_to(folder)) for folder in (one, other) for path in folder.rglob("*")}
    for name in sorted(names):
        left, right = one / name, other / name
        if not (left.is_file() and right.is_file()):
            yield f"model/{name}: only in one"
        elif left.read_bytes() != right.read_bytes():
            yield f"model/{name}: other bytes"
    weights, others = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert weights, one
    for name in sorted(weights.keys() | others.keys()):
        if name not in weights or name not in others:
            yield f"{name}: only in one"
        elif weights[name].tobytes() != others[name].tobytes():
            yield f"{name}: largest deviation {abs(weights[name] - others[name]).max():.3g}"


def _figures(value: Any) -> Any:
    if isinstance(value, dict):
        if "warnings" in value:  # that a process was killed is told, and is no figure either
            told = [line for line in value["warnings"] if "left unfinished by a killed process" not in line]
            value = value | {"warnings": told}
        return {key: _figures(inner) for key, inner in value.items() if key not in _NOT_FIGURES}
    return [_figures(inner) for inner in value] if isinstance(value, list) else value


def _apart(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _apart(one.get(key), other.get(key), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _apart(left, right, f"{path}[{place}]")
    elif one != other:
        yield f"{path[1:]} {str(one)[:200]} against {str(other)[:200]}"


def _index(run: Path) -> Iterator[str]:
    """The index beside the runs holds exactly what the logs of this run say."""
    from accord.stores.runlog import read_log
    from accord.stores.sql import SqlStore

    file = run.parent / "accord.db"
    if not file.is_file():
        return
    with SqlStore(f"sqlite:///{file}") as store:
        for kind in ("event", "reading", "not_measured", "decision", "entry"):
            logged = Counter(
                record.id for stage in stages(run) for record in read_log(run / stage).records(kind)
            )
            indexed = {
                record.id for stage in stages(run) for record in store.find(kind, run=f"{run.name}/{stage}")
            }
            if indexed != set(logged):
                yield f"index: {len(indexed)} records of kind {kind}, the logs have {len(logged)}"
