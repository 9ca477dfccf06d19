"""Audits: models read by the indicators that watch training, against a base, on the same draws.

Every model answers the same prompts under the same seeds. Without a base the first model stands for its own:
the readings are then levels, and their change is the noise floor, two independent draws of one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

from accord import catalog
from accord.engines.local import Local
from accord.errors import PlanError
from accord.plan import PartTable
from accord.ports import Draw, How, Indicator, Look, Sampler
from accord.progress import Progress, Silent
from accord.records import JSON, NotMeasured, Prompt, Reading
from accord.records.rows import Group
from accord.stores.foreign.prompts import read_rows
from accord.worker import Worker

__all__ = ["AuditTable", "audit"]

_MAX_TOKENS = 64
_TEMPERATURE = 1.0


class AuditTable(NamedTuple):
    """Readings of each model. ``base`` is None where the models were read as levels."""

    models: tuple[str, ...]
    base: str | None
    prompts: int
    answers: int
    readings: dict[str, list[Reading | NotMeasured]]

    def rows(self) -> list[dict[str, str]]:
        """One row per model and indicator, for a person."""
        return [_row(model, reading) for model in self.models for reading in self.readings[model]]

    def json(self) -> dict[str, JSON]:
        """Everything, with every outcome by prompt."""
        return {
            "base": self.base,
            "prompts": self.prompts,
            "answers": self.answers,
            "models": {
                model: [{"kind": r.kind, "id": r.id, **r.body()} for r in found]
                for model, found in self.readings.items()
            },
        }


def audit(
    models: Sequence[str],
    base: str | None = None,
    *,
    prompts: Path | str | None = None,
    answers: int = 4,
    progress: Progress | None = None,
) -> AuditTable:
    """Read every model with the shipped indicators, on a JSONL file or the shipped held-out prompts."""
    if not models:
        raise PlanError("MODEL", None, "one model or more", "accord audit MODEL... --base BASE")
    if answers < 2:
        raise PlanError("--answers", answers, "2 or more: diversity is read within the answers to one prompt")
    show = progress or Silent()
    rows = read_rows(str(prompts) if prompts else "short-questions:held_out")
    asked = tuple({row.prompt.id: row.prompt for row in rows}.values())
    tables = [PartTable(name=name) for name in ("reverse_kl", "base_rank", "diversity")]
    indicators = [cast(Indicator, catalog.build("indicators", table)) for table in tables]
    engine = Local()
    show.begin("audit", len(asked) * answers * (1 + len(models)))
    readings: dict[str, list[Reading | NotMeasured]] = {}
    with Worker() as worker:
        anchor = engine.sampler(base or models[0], show)
        show.advance(0, f"answers of {base or models[0]}")
        base_groups = _answers(worker, anchor, asked, answers, "base")
        for model in dict.fromkeys(models):
            show.advance(0, f"answers of {model}")
            sampler = anchor if model == (base or models[0]) else engine.sampler(model, show)
            groups = _answers(worker, sampler, asked, answers, "model")
            look = Look(f"audit/{model}", 0, (), groups, sampler)
            readings[model] = [
                worker.run(indicator.read(look, anchor, Draw(0, base_groups))) for indicator in indicators
            ]
    show.end()
    return AuditTable(tuple(readings), base, len(asked), answers, readings)


def _answers(
    worker: Worker, sampler: Sampler, prompts: tuple[Prompt, ...], n: int, key: str
) -> tuple[Group, ...]:
    how = How(f"audit/{key}", _TEMPERATURE, _MAX_TOKENS)
    return tuple(worker.run(sampler.sample(prompts, n, how)))


def _row(model: str, reading: Reading | NotMeasured) -> dict[str, str]:
    if isinstance(reading, NotMeasured):
        return {"model": model, "indicator": reading.name, "value": f"not measured: {reading.reason}"}
    change = ""
    if reading.change is not None and reading.change_low is not None and reading.change_high is not None:
        change = f"{reading.change:+.3f} [{reading.change_low:+.3f}, {reading.change_high:+.3f}]"
    return {
        "model": model,
        "indicator": reading.name,
        "value": f"{reading.value:.3f} [{reading.low:.3f}, {reading.high:.3f}]",
        "base": "" if reading.base is None else f"{reading.base:.3f}",
        "change": change,
        "unit": reading.unit,
        "prompts": str(reading.n),
    }
