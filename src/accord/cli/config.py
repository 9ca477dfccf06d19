"""``accord import config``: a TRL config in YAML becomes a plan, and says what of it did not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.begin import RewardModels, Rewards, Settings
from accord.cli.codes import Exit
from accord.cli.runs import Json
from accord.cli.show import Screen, table
from accord.errors import PlanError

if TYPE_CHECKING:
    from accord.records import JSON
    from accord.stores.foreign.trl import Translation

__all__ = ["EXAMPLES", "import_config"]

EXAMPLES = {
    "import config": """
      accord import config dpo.yaml > plan.toml
      accord import config grpo.yaml --data questions.jsonl --reward my.py:right --out plan.toml
      accord import config run.yaml --method sft --eval held_out.jsonl --json
    """
}


def import_config(  # size: a parameter is an option here
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="As TRL 1.16 reads it.")],
    method: Annotated[
        str | None,
        typer.Option(
            "--method", metavar="METHOD", help="sft, reward_model, dpo, grpo or ppo, if it is not clear."
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="FILE", help="The rows, where dataset_name is no file.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Instead of model_name_or_path.")
    ] = None,
    rewards: Rewards = None,
    reward_models: RewardModels = None,
    held_out: Annotated[
        str | None, typer.Option("--eval", metavar="FILE", help="Held-out rows; the YAML file names none.")
    ] = None,
    settings: Settings = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PLAN.toml", help="Where to write it [default: stdout].")
    ] = None,
    json: Json = False,
) -> int:
    """Turn a TRL config into a plan that trains alike.

    Every key is listed with the setting it became, or with the reason why it has none; TRL's own defaults
    count where the file says nothing. Batch sizes are those of one process.
    """
    from accord.recipes import Choice, Length, Wish, recipe
    from accord.stores.foreign.trl import read_trl

    if out is not None and out.exists():
        raise PlanError("--out", str(out), "a file that is not there yet")
    found = read_trl(file, method, held_out=held_out is not None)
    wish = Wish(
        found.method,
        _file(data, found),
        model or found.model or _lacking("--model", "model_name_or_path"),
        tuple(rewards or ()),
        tuple(reward_models or (() if rewards else found.reward_models)),
        held_out or "none",
        Length(steps=found.steps, epochs=found.epochs),
        found.name,
        found.seed,
        tuple(settings or ()),
        tuple(Choice(path, value, "TRL") for path, value in found.settings.items()),
        found.rise,
    )
    plan = recipe(wish).plan
    if out is not None:
        from accord.stores.files import write_aside

        write_aside(out, plan.toml())
    screen = Screen(json)
    document: dict[str, JSON] = {
        "method": found.method,
        "plan": plan.table(),
        "hash": plan.hash,
        "out": str(out) if out else None,
        "mapped": [one._asdict() for one in found.mapped],
        "left": [one._asdict() for one in found.left],
    }
    listing = _listing(found)
    if out is None and not json:
        sys.stderr.write("\n".join([*listing, ""]))
        screen.give(document, [plan.toml().rstrip()])
    else:
        screen.give(document, [*listing, f"plan: {out}"])
    return Exit.DONE


def _file(data: str | None, found: Translation) -> str:
    if data is not None:
        return data
    if found.data is not None and not Path(found.data).is_file():
        advice = "download the set, and name its file by --data"
        raise PlanError("dataset_name", found.data, "a file of JSON lines, JSON or Parquet", advice)
    return found.data or _lacking("--data", "dataset_name")


def _lacking(option: str, key: str) -> str:
    raise PlanError(key, None, "a value in the YAML file", f"it is missing there; name it by {option}")


def _listing(found: Translation) -> list[str]:
    """What became of every key."""
    mapped = [
        {
            "key": one.key,
            "value": _cell(one.value),
            "became": f"{one.path} = {_cell(one.became)}" if one.path else _cell(one.became),
            "": "" if one.given else "TRL's default",
        }
        for one in found.mapped
    ]
    left = [{"key": one.key, "value": _cell(one.value), "why": one.reason} for one in found.left]
    none = ["nothing: every key has a counterpart"]
    return ["mapped:", *table(mapped), "", "not mapped:", *(table(left) or none), ""]


def _cell(value: JSON) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(_cell(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
