"""Accord's side of the bench: the same jobs as the peers', through ports that any caller has.

``start``: save what training begins from (adapter or head), with both LoRA factors away from zero, so that
every gradient is. ``parity``: loss and gradients of one float32 step. ``time``: seconds per step.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

from job import batch, read_job, write_result

from accord.bench import CASES, Pair, drawn, graded, learnt, open_case, rows_of
from accord.engines.local import Local, calm_threads
from accord.ports import Method
from accord.progress import Silent
from accord.records import Message, ModelRef, Prompt, Response
from accord.records.rows import Group, Row, Window

PACKAGES = ("torch", "transformers", "peft", "accord")


def main() -> None:
    calm_threads()
    job = read_job()
    if job["do"] == "start":
        start(job)
    elif job["do"] == "parity":
        parity(job)
    elif job["method"] == "rollout":
        _time(job, _rollout(job))
    else:
        _time(job, _training(job))


def start(job: dict[str, Any]) -> None:
    """Writes ``init``: the learner's own checkpoint with what its model's folder does not hold already."""
    import torch
    from safetensors.torch import load_file, save_file

    _, learner = open_case(CASES[job["method"]], job["model"], **_precision(job))
    folder = Path(job["init"])
    learner.save(folder)
    weights = load_file(folder / "weights.safetensors")
    draw = torch.Generator().manual_seed(0)
    for name, tensor in weights.items():
        if ".lora_B." in name:
            tensor.normal_(0.0, 0.01, generator=draw)
    save_file(weights, folder / "weights.safetensors")
    own = _base_names(Path(job["model"]))
    new = {name: tensor for name, tensor in weights.items() if name not in own}
    peers = folder / "peers"
    peers.mkdir(exist_ok=True)
    if new:
        save_file(new, peers / "weights.safetensors")
    write_result(job, PACKAGES, shared=sorted(new))


def parity(job: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    method, learner = open_case(CASES[job["method"]], job["model"], **_precision(job))
    learner.restore(ModelRef(name="bench", path=str(Path(job["init"])), base=job["model"]))
    rows = _given_rows(job, method)
    window = Window(0, rows)
    if method.needs().columns:
        window = replace(window, measured=learner.measure(rows, method.needs()))
    import numpy as np

    made, _ = method.batch(window, {}, np.random.default_rng(0))
    terms = learner.evaluate(made, 0, method.loss)
    loss = sum(made.weights[name] * value for name, value in terms.items())
    gradients = cast(Any, learner).gradients(made, 0, method.loss)
    save_file({n: g.detach().float().contiguous() for n, g in gradients.items()}, job["gradients"])
    tokens = sum(len(sequence.tokens) for sequence in made.sequences)
    write_result(job, PACKAGES, loss=loss, tokens=[tokens], notes=_notes(learner))


def _time(job: dict[str, Any], made: tuple[Callable[[int], int], Callable[[], list[str]]]) -> None:
    step, notes = made
    seconds: list[float] = []
    tokens: list[int] = []
    for index in range(job["steps"] + 1):
        began = time.perf_counter()
        tokens.append(step(index))
        seconds.append(time.perf_counter() - began)
    write_result(job, PACKAGES, seconds=seconds[1:], tokens=tokens[1:], notes=notes())


def _rollout(job: dict[str, Any]) -> tuple[Callable[[int], int], Callable[[], list[str]]]:
    sampler = Local(**_precision(job)).sampler(job["model"], Silent())

    def step(index: int) -> int:
        groups = drawn(sampler, _asked(job, "rollouts", index), f"bench/{index}")
        return sum(len(response.tokens) for group in groups for response in group.responses)

    return step, lambda: _notes(sampler)


def _training(job: dict[str, Any]) -> tuple[Callable[[int], int], Callable[[], list[str]]]:
    method, learner = open_case(CASES[job["method"]], job["model"], **_precision(job))
    if job.get("init"):
        learner.restore(ModelRef(name="bench", path=str(Path(job["init"])), base=job["model"]))

    def offline(index: int) -> int:
        return learnt(method, learner, rows_of(method.rows.unit, _pairs(job, index)), index)

    def online(index: int) -> int:
        groups = drawn(learner.sampler(), _asked(job, "groups", index), f"bench/{index}")
        return learnt(method, learner, graded(groups), index)

    return (online if method.rows.by == "policy" else offline), lambda: _notes(learner)


def _given_rows(job: dict[str, Any], method: Method) -> tuple[Row, ...]:
    if method.rows.by != "policy":
        return rows_of(method.rows.unit, _pairs(job, 0))
    groups: list[Group] = []
    for row in batch(job, "groups", 0):
        prompt = _prompt(row)
        said = [
            Response(prompt=prompt.id, text="", prompt_tokens=tuple(row["prompt"]), tokens=tuple(t), index=i)
            for i, t in enumerate(row["completions"])
        ]
        groups.append(Group(prompt, tuple(said)))
    return graded(groups)


def _asked(job: dict[str, Any], name: str, step: int) -> list[tuple[Prompt, list[int]]]:
    return [(_prompt(row), row["lengths"][job["lengths"]]) for row in batch(job, name, step)]


def _prompt(row: dict[str, Any]) -> Prompt:
    return Prompt(messages=tuple(Message.model_validate(message) for message in row["messages"]))


def _pairs(job: dict[str, Any], step: int) -> list[Pair]:
    rows = batch(job, "pairs", step)
    return [Pair(tuple(r["prompt"]), tuple(r["chosen"]), tuple(r["rejected"])) for r in rows]


def _precision(job: dict[str, Any]) -> dict[str, Any]:
    """Settings of the engine that a variant names; its defaults stand wherever it names none."""
    return dict(job["variant"].get("engine", {}))


def _notes(part: object) -> list[str]:
    return list(cast("list[str]", getattr(part, "notes", ())))


def _base_names(folder: Path) -> set[str]:
    from safetensors import safe_open

    names: set[str] = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            names.update(tensors.keys())
    return names | {"lm_head.weight"}


if __name__ == "__main__":
    main()
