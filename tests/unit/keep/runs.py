"""For tests of keeping: small models without weights that compute, runs that made them, and who replays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from unit.keep.archives import weights

from accord.keep.archive import Archive
from accord.keep.keeping import Terms
from accord.keep.keys import Signer
from accord.keep.revival import Asked, Replayed
from accord.keep.roles import Role, enrol
from accord.origins import Finished, finished_runs
from accord.progress import Progress
from accord.records import Decision, Entry, ModelRef, Prompt, Reading, Record, Response
from accord.stores.files import file_sha256
from accord.stores.runlog import RunLog

PLAN = """
name = "small"
purpose = "{purpose}"
model = "{base}"
[[stage]]
name = "train"
windows = 1
source = {{ name = "offline", data = "{data}" }}
method = {{ name = "{method}" }}
"""
PROMPTS = (Prompt.of("One?"), Prompt.of("Two?"))
SAME = {"torch": "2", "threads": "1"}


def model(folder: Path, says: bytes = b"\1" * 64) -> Path:
    """A folder that can be kept; its weights are what ``replaying`` answers from."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    weights(folder / "model.safetensors", {"w": says})
    return folder


def run(
    runs: Path,
    base: Path,
    method: str = "sft",
    purpose: Literal["explore", "model"] = "model",
    says: bytes = b"\2" * 64,
    found: tuple[Record, ...] = (),
) -> Finished:
    """A run of one stage as it stands on disk once it has finished."""
    folder = runs / f"{method}-{purpose}"
    data = runs / "data.jsonl"
    runs.mkdir(parents=True, exist_ok=True)
    data.write_text('{"prompt": "a", "completion": "b"}\n')
    stage = folder / "train"
    stage.mkdir(parents=True)
    (folder / "plan.toml").write_text(
        PLAN.format(purpose=purpose, base=base.resolve(), data=data.resolve(), method=method)
    )
    (folder / "run.json").write_text('{"store": "none", "plan": ""}')
    (stage / "environment.json").write_text(json.dumps(SAME))
    made = model(stage / "model", says)
    files = {one.name: file_sha256(one) for one in sorted(made.iterdir())}
    whole = hashlib.sha256(json.dumps(files, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    ref = ModelRef(name="train@1", path=str(made), digest=whole, files=files, base=str(base))
    parents = (ref.id, *(one.id for one in found))
    entry = Entry(
        run=f"{folder.name}/train",
        stage="train",
        step=1,
        purpose=purpose,
        model=ref.id,
        pushes=method != "sft",
        parents=parents,
    )
    with RunLog.open(stage, f"{folder.name}/train") as log:
        for one in (*found, ref, entry):
            log.write(one, step=1)
    return next(finished_runs(folder))


def looked() -> tuple[Record, ...]:
    """What a guard and a release test leave."""
    told = {"run": "r", "step": 1, "instrument": "i", "n": 8}
    reading = Reading.model_validate(
        {**told, "name": "refusals", "value": 0.5, "low": 0.25, "high": 0.75, "base": 0.25}
    )
    released = Decision(run="r", step=1, action="continue", rule="release", reason="pass: cost:harm: none")
    return reading, released


def archive_of(folder: Path, signer: Signer, role: Role, clock: Callable[[], float]) -> Archive:
    """A new archive that knows one key."""
    made = Archive.make(folder / "archive", clock)
    enrol(made.folder / "keys", signer.public, role)
    return made


def replaying(
    environment: Mapping[str, str] = SAME, moved: float = 0.0, seen: list[Path] | None = None
) -> Callable[[Path, Asked, Progress], Replayed | str]:
    """Stands for an engine: it says what the weights in the folder hold, ``moved`` away."""

    def replays(folder: Path, asked: Asked, progress: Progress) -> Replayed | str:
        del progress
        if seen is not None:
            seen.append(folder)
        data = (folder / "model.safetensors").read_bytes()[-4:]
        said = tuple(
            Response(prompt=one.id, text=data.hex(), prompt_tokens=(1,), tokens=tuple(data), index=i)
            for i, one in enumerate(asked.prompts)
        )
        numbers = tuple(float(-one) - moved for one in data)
        return Replayed(environment, said, (numbers,) * len(asked.prompts))

    return replays


def terms(signer: Signer, clock: Callable[[], float], replays: object = None) -> Terms:
    """How the tests keep."""
    return Terms(signer, clock, replays, PROMPTS, 4)  # pyright: ignore[reportArgumentType]
