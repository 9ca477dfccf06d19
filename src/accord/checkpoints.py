"""Checkpoints: everything the loop needs to go on to the bit, written aside, hashed, and renamed into place.

A checkpoint is a folder ``checkpoints/<step>.<n>/`` (the n-th at that step): what the learner saved, the
measured Batch and the place in it, the method's Memory, the guard's history, how the evaluations stand, and
``manifest.json`` with the digest of every file. All checkpoints of one step hold the same weights, but for
those that are saved once the stage is ``over``: these hold the weights that are its result.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from accord.errors import Unreadable
from accord.evaluation import Standing
from accord.ports import Learner, Memory
from accord.records import JSON, ModelRef, Sequence, canonical
from accord.records.rows import Batch
from accord.stores.files import disk, file_sha256, promote

__all__ = ["Progressing", "at_step", "keep_latest", "latest", "load_state", "save_state"]

_BATCH = "batch.npz"
Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
T = TypeVar("T", bound=np.generic)


@dataclass
class Progressing:
    """Where a stage stands. ``batch`` is None between two windows; ``place`` counts its finished steps.

    ``over``: the guard has looked at the result, and nothing is left but to write it.
    """

    step: int = 0
    window: int = 0
    place: int = 0
    batch: Batch | None = None
    memory: Memory = field(default_factory=dict[str, JSON])
    guard: dict[str, JSON] = field(default_factory=dict[str, JSON])
    standing: Standing = field(default_factory=Standing)
    over: bool = False


def save_state(folder: Path, state: Progressing, learner: Learner) -> Path:
    """Save it all; when this returns, a kill can no longer lose it."""
    taken = [int(p.suffix[1:]) for p in _standing(folder) if int(p.stem) == state.step]
    final = folder / f"{state.step:08d}.{max(taken, default=-1) + 1:03d}"
    work = folder / f".work-{final.name}"
    with disk(folder):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        learner.save(work / "learner")
        if state.batch is not None:
            _write_batch(work / _BATCH, state.batch)
        tree = {
            "step": state.step,
            "window": state.window,
            "place": state.place,
            "memory": state.memory,
            "guard": state.guard,
            "standing": asdict(state.standing),
            "over": state.over,
            "batch": _batch_tree(state.batch) if state.batch is not None else None,
        }
        # Plain JSON, not the canonical form, which writes non-finite numbers as text and 1e17 as an integer.
        (work / "state.json").write_text(json.dumps(tree), encoding="utf-8")
        files = sorted(p for p in work.rglob("*") if p.is_file())
        manifest = {str(p.relative_to(work)): file_sha256(p) for p in files}
        (work / "manifest.json").write_text(canonical(manifest), encoding="utf-8")
        promote(work, final)
    return final


def latest(folder: Path) -> Path | None:
    """The newest checkpoint. Leftovers of a killed writer do not count; a damaged file is an Unreadable."""
    found = _standing(folder)
    if not found:
        return None
    return _whole(found[-1])


def at_step(folder: Path, step: int) -> Path:
    """The newest checkpoint of this step; Unreadable where there is none, or one that is damaged."""
    found = [p for p in _standing(folder) if int(p.stem) == step]
    if not found:
        advice = f"no such checkpoint; remove those after step {step} to train on from there"
        raise Unreadable(folder, f"the checkpoint of step {step}, whose weights are to be kept", advice)
    return _whole(found[-1])


def _whole(checkpoint: Path) -> Path:
    """The checkpoint, once every file of it has the bytes it was saved with."""
    manifest = cast("dict[str, str]", _tree(checkpoint / "manifest.json"))
    for name, expected in manifest.items():
        path = checkpoint / name
        if not path.is_file() or file_sha256(path) != expected:
            raise Unreadable(
                path,
                "the bytes this checkpoint was saved with",
                f"damaged since; remove {checkpoint} to go on from the checkpoint before it",
            )
    return checkpoint


def load_state(folder: Path, learner: Learner) -> Progressing:
    """Read a checkpoint back, and make the learner what it was."""
    tree = _tree(folder / "state.json")
    learner.restore(ModelRef(name=folder.name, path=str(folder / "learner")))
    shape = cast("dict[str, JSON] | None", tree["batch"])
    return Progressing(
        step=cast(int, tree["step"]),
        window=cast(int, tree["window"]),
        place=cast(int, tree["place"]),
        batch=_read_batch(folder / _BATCH, shape) if shape is not None else None,
        memory=cast(Memory, tree["memory"]),
        guard=cast("dict[str, JSON]", tree["guard"]),
        standing=Standing(**cast("dict[str, Any]", tree["standing"])),
        over=cast(bool, tree["over"]),
    )


def keep_latest(folder: Path, keep: int, best: int = -1) -> None:
    """Remove all but the newest ``keep`` and the newest of step ``best``, and what killed writers left."""
    found = _standing(folder)
    spared = [p for p in found if int(p.stem) == best][-1:]
    for old in found[:-keep]:
        if old in spared:
            continue
        # Renamed first, so that a kill while deleting leaves no half checkpoint under a valid name.
        gone = old.with_name(f".work-{old.name}")
        old.rename(gone)
    for leftover in folder.glob(".work-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _standing(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("[0-9]*.*") if p.is_dir())


def _tree(path: Path) -> dict[str, JSON]:
    try:
        return cast("dict[str, JSON]", json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        advice = f"{error}; remove {path.parent} to go on from the checkpoint before it"
        raise Unreadable(path, "a file of a checkpoint", advice) from error


def _pieces(
    flat: np.ndarray[tuple[int], np.dtype[T]], sizes: Ints
) -> list[np.ndarray[tuple[int], np.dtype[T]]]:
    """``flat`` cut into pieces of these sizes; none for no sizes."""
    ends = np.cumsum(sizes)
    return [flat[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _batch_tree(batch: Batch) -> dict[str, JSON]:
    return {
        "counts": [dict(c) for c in batch.counts],
        "weights": dict(batch.weights),
        "scalars": dict(batch.scalars),
        "parents": list(batch.parents),
        "allowed": [None if s.allowed is None else list(s.allowed) for s in batch.sequences],
    }


def _write_batch(path: Path, batch: Batch) -> None:
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {
        "lengths": np.array([len(s.tokens) for s in batch.sequences], dtype=np.int64),
        "ids": np.array([t for s in batch.sequences for t in s.tokens], dtype=np.int64),
        "answer": np.array([a for s in batch.sequences for a in s.answer], dtype=np.bool_),
        "temperature": np.array([s.temperature for s in batch.sequences], dtype=np.float64),
        "row_S": batch.row_S,
        "step_sizes": np.array([len(s) for s in batch.steps], dtype=np.int64),
        "steps": np.concatenate([*batch.steps, np.zeros(0, dtype=np.int64)]),
    }
    arrays |= {f"rows/{name}": column for name, column in batch.rows.items()}
    arrays |= {f"tokens/{name}": column for name, column in batch.tokens.items()}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]


def _read_batch(path: Path, tree: Mapping[str, JSON]) -> Batch:
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    lengths = arrays["lengths"]
    allowed = cast("list[list[int] | None]", tree["allowed"])
    sequences = tuple(
        Sequence(tuple(ids.tolist()), tuple(answer.tolist()), None if a is None else tuple(a), float(heat))
        for ids, answer, a, heat in zip(
            _pieces(arrays["ids"], lengths),
            _pieces(arrays["answer"], lengths),
            allowed,
            arrays["temperature"],
            strict=True,
        )
    )
    return Batch(
        sequences=sequences,
        row_S=arrays["row_S"],
        steps=tuple(_pieces(arrays["steps"], arrays["step_sizes"])),
        counts=tuple(cast("list[dict[str, float]]", tree["counts"])),
        weights=cast("dict[str, float]", tree["weights"]),
        rows={n.removeprefix("rows/"): a for n, a in arrays.items() if n.startswith("rows/")},
        tokens={n.removeprefix("tokens/"): a for n, a in arrays.items() if n.startswith("tokens/")},
        scalars=cast("dict[str, float]", tree["scalars"]),
        parents=tuple(cast("list[str]", tree.get("parents", []))),
    )
