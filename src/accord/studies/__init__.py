"""Studies: experiments named after their questions; each runs its arms and says what they came to.

- ``without_rlhf.py``: can alignment without negative pressure reach the same target? The example to follow:
  a Part whose settings are the TOML of its name beside it, and which does one arm under one seed.
- For all studies: ``port.py``: what a study must have; ``running.py``: every arm under every seed, gone on
  with; ``arms.py``: one of them is one folder; ``outcome.py``: paired intervals; ``bars.py``: what must be
  shown; ``findings.py``: the table and what it says.
- For arms that train token policies: ``lessons.py``: a method teaches them; ``acting.py``: in a world;
  ``listed.py``, ``replying.py``, ``pupils.py``, ``knowing.py``: models whose answers are listed, written on a
  helpdesk, one digit, or read in their hidden states. What one study alone needs stands beside it.
- For arms that train a language model: ``grounds.py``: what they share; ``measures.py``: what a model does.

To add a study: its file, its TOML, its line in ``accord.catalog``. Not here: what is tested rather than
asked (``tests/planted``), and charts (``accord.reports.points``).
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import cast

from accord import catalog
from accord.errors import PlanError, Refused, Unreadable, nearest
from accord.progress import Progress, Silent
from accord.records import JSON
from accord.stores.files import make_folder, write_aside
from accord.studies.findings import Findings, found
from accord.studies.port import Protocolled, Setting, Study
from accord.studies.running import run_cells, standing

__all__ = ["Setting", "Study", "carry_out", "read_study", "studies"]


def studies() -> dict[str, str]:
    """The questions of all studies, by the names a person types."""
    return {name.replace("_", "-"): read_study(name).question for name in catalog.STUDIES}


def read_study(name: str) -> Study:
    """The study of this name with the settings that ship. PlanError where there is none."""
    known = name.replace("-", "_")
    if known not in catalog.STUDIES:
        names = [one.replace("_", "-") for one in catalog.STUDIES]
        raise PlanError("NAME", name, ", ".join(names), nearest(name, names))
    settings = cast("Mapping[str, JSON]", tomllib.loads(_toml(known)))
    return cast(Study, catalog.build("studies", {"name": known, **settings}))


def _toml(name: str) -> str:
    """What a study was settled on."""
    file = resources.files("accord.studies").joinpath(f"{name.replace('-', '_')}.toml")
    return file.read_text(encoding="utf-8")


def carry_out(  # size: what a person may say of a study, each with a default
    name: str,
    *,
    runs: Path = Path("runs"),
    seeds: int | None = None,
    arms: Sequence[str] | None = None,
    model: str | None = None,
    protocol: str | None = None,
    quick: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Findings:
    """Run a study, or go on with it, and write what it came to beside its cells.

    Cells lie in ``runs/study-NAME/<version>/``: the version is the hash of the study's settings, with the
    model or the protocol where one is named, so a changed bar begins anew. The table is of every cell that is
    done there: asking for fewer seeds or arms leaves none out. With ``quick`` there is no verdict.
    """
    study, show = read_study(name), progress or Silent()
    if model is not None and not study.models:
        raise PlanError("--model", model, "no model", f"{name} makes its own bases")
    if protocol is not None:
        if not isinstance(study, Protocolled):
            raise PlanError("--protocol", protocol, "no protocol", f"{name} is of none that could be named")
        study = cast(Study, study.with_protocol(protocol))
    bar = study.bar(model)
    wanted = tuple(arms) if arms is not None else study.hasty if quick else study.arms
    for one in wanted or ("",):
        if one not in study.arms:
            raise PlanError("--arms", one, ", ".join(study.arms), nearest(one, study.arms))
    version = "-".join(
        [study.config[:12], *(["quick"] if quick else []), *(_plain(one) for one in (model, protocol) if one)]
    )
    folder = runs / f"study-{name.replace('_', '-')}" / version
    count = seeds if seeds is not None else 1 if quick else bar.seeds
    at = Setting(folder, count, tuple(dict.fromkeys(wanted)), model, quick, show, clock)
    void = _begun(folder, _toml(name), model)
    if not void:
        run_cells(study, at, jobs)
    return found(study, folder, standing(folder, study.arms), None if quick else bar, void)


def _begun(folder: Path, text: str, model: str | None) -> str:
    """Keep the settings and the model beside the runs before the first of them. Why the runs are void, where
    other settings stand there; Refused where another model does, for two names can make one folder."""
    asked, settled = folder / "asked.json", folder / "study.toml"
    make_folder(folder)
    for file, content in ((asked, json.dumps({"model": model})), (settled, text)):
        if not file.is_file():
            write_aside(file, content)
    try:
        stands = json.loads(asked.read_text(encoding="utf-8"))["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(asked, "the model that a study was asked about", str(error)[:200]) from None
    if stands != model:
        raise Refused(f"{folder} is about {stands or 'its own bases'}\n  take another --runs for {model}")
    try:
        same = tomllib.loads(settled.read_text(encoding="utf-8")) == tomllib.loads(text)
    except (OSError, ValueError):
        same = False
    return "" if same else f"{settled} is not what these runs were settled on"


def _plain(model: str) -> str:
    return "".join(one if one.isalnum() or one in "-_." else "-" for one in model).strip("-.")[-60:]
