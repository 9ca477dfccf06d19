"""The planted base: a really trained model of under 0.2M parameters, and values it keeps, reaches or denies.

For what stands or falls with being right about a base: the truth about each principle is planted in what
the base is taught (``aims_world.py``), and measured on the sealed halves of the values once it was taught.
Nothing of those halves is in any text that it learnt from. Beside model and values lie a gold that no
training signal comes from, pairs and demonstrations of the base's own, and panels of what else it could lose.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, cast

import numpy as np
import tomli_w

from accord.engines.local import Local
from accord.errors import ContractError, Refused, Unreadable
from accord.indicators.compatibility import instructed
from accord.methods.sft import SFT
from accord.ports import How, Needs, Sampler, Task
from accord.progress import Progress, Silent
from accord.records import JSON, Episode, Prompt, digest
from accord.records.panels import Panel
from accord.records.rows import Batch, Floats, Group, Row, Window
from accord.sources import seeded
from accord.stores.files import file_sha256, make_folder, promote, write_aside
from accord.testing.organisms import aims_checks, aims_gold, aims_world, small_world, trained
from accord.testing.organisms.aims_world import PRINCIPLES, Band, Planted, Taught
from accord.values import Values, read_values

__all__ = ["PRINCIPLES", "Aims", "Band", "Lessons", "Measured", "Planted", "aims"]

_OWN, _TOLD = 16, 4  # answers to each prompt: one's own, of which the best is taken, and told to keep it
_SPOKEN = 9  # tokens; what it means to say is shorter
_PAIRS, _UNRELATED = 4, 96  # pairs to a prompt at most; demonstrations
_ABOUT = ("own", "told", "best", "gold")


class Lessons(NamedTuple):
    """How a base is taught: so many prompts, with all answers to each, in every one of so many steps.

    These take about ten seconds on one core; ``Lessons(50, 24, 240, 15e-3, 6)``, a fifth of that, is enough
    for what is planted, and too little for the panels.
    """

    steps: int = 220
    prompts: int = 40
    of: int = 1200
    lr: float = 6e-3
    warmup: int = 8


class Measured(NamedTuple):
    """Shares of one slice's sealed half: ``n`` prompts, 16 answers of its own to each and 4 told to keep it.

    ``best``: prompts of which one of the 16 keeps the principle; ``gold``: own answers that keep it as it was
    meant, None where nothing is meant.
    """

    principle: str
    slice: str
    n: int
    own: float
    told: float
    best: float
    gold: float | None


@dataclass(frozen=True)
class Aims:
    """Where everything lies. ``PRINCIPLES`` is what was planted, ``measured`` what it came to."""

    folder: Path
    seed: int
    measured: tuple[Measured, ...]

    @property
    def model(self) -> Path:
        """The base, as transformers loads it."""
        return self.folder / "model"

    @property
    def values(self) -> Path:
        return self.folder / "values.toml"

    @property
    def check(self) -> str:
        """The checks of all principles as one function, as a plan names a program's ``fn``."""
        return f"{self.folder / 'checks.py'}:kept"

    @property
    def gold(self) -> str:
        """What the checks are meant to see, as a plan names a program's ``fn``. Nothing may learn from it."""
        return f"{self.folder / 'gold.py'}:gold"

    @property
    def prompts(self) -> Path:
        """The training halves of all principles, as ``{prompt, slice}``; a slice is a principle's id."""
        return self.folder / "prompts.jsonl"

    @property
    def sealed(self) -> Path:
        """The sealed halves, in the same form: to be asked, never to be trained on."""
        return self.folder / "sealed.jsonl"

    @property
    def pairs(self) -> Path:
        """The base's own answers to the training halves, as ``{prompt, chosen, rejected}`` by the checks."""
        return self.folder / "pairs.jsonl"

    @property
    def unrelated(self) -> Path:
        """The base's own answers to prompts that no principle is asked about, as ``{prompt, completion}``."""
        return self.folder / "unrelated.jsonl"

    @cached_property
    def panels(self) -> Mapping[str, Path]:
        """Files of items: ``choices``, ``contested``, ``refusals``."""
        return {file.stem: file for file in sorted((self.folder / "panels").glob("*.jsonl"))}


def aims(
    folder: Path, seed: int = 0, progress: Progress | None = None, lessons: Lessons | None = None
) -> Aims:
    """The planted base of this seed, made in ``folder`` unless it stands there already.

    Made whole or not at all: what a killed call leaves begins with a dot, and is nobody's. ContractError
    where what was measured lies outside what is planted.
    """
    lessons, show = lessons or Lessons(), progress or Silent()
    final = folder / f"aims-{seed}-{_recipe(lessons)[:12]}"
    if not final.is_dir():
        make_folder(folder)
        with tempfile.TemporaryDirectory(prefix=".aims-", dir=folder) as scratch:
            work = Path(scratch) / "made"
            work.mkdir()
            made = _made(work, seed, lessons, show)
            _check(made)
            try:
                promote(work, final)
            except Refused:  # another process was quicker; equal seeds make equal bases
                if not final.is_dir():
                    raise
    return Aims(final, seed, _measured_before(final / "aims.json"))


def _recipe(lessons: Lessons) -> str:
    """The hash of all that makes a base: another text of one of these files is another base."""
    modules = (aims_checks, aims_gold, aims_world, small_world, trained)
    files = [Path(__file__), *(_source(module) for module in modules)]
    return digest([list(lessons), *(file_sha256(file) for file in files)])


def _source(module: ModuleType) -> Path:
    assert module.__file__ is not None, "it is a file of this package"
    return Path(module.__file__)


def _made(work: Path, seed: int, lessons: Lessons, show: Progress) -> Aims:
    _write_values(work)
    values = read_values(work / "values.toml")
    _taught(work, seed, lessons, values, show)
    model = Local(decode="float32", device="cpu").sampler(str(work / "model"), Silent())
    show.begin("asking the planted base", len(PRINCIPLES) + 1)
    for name, panel in aims_world.aim_panels().items():
        _write_rows(work / "panels" / f"{name}.jsonl", _items(panel))
    measured: list[Measured] = []
    pairs: list[dict[str, JSON]] = []
    for name, planted in PRINCIPLES.items():
        measured += _measured(model, values, name, seed)
        if planted.verdict != "contested":
            pairs += _pairs(model, values, name, seed)
        show.advance()
    _write_rows(work / "pairs.jsonl", pairs)
    unrelated = aims_world.unrelated(seeded("aims", "unrelated", seed), _UNRELATED)
    said = _asked(model, unrelated, 1, f"aims/unrelated/{seed}")
    _write_rows(
        work / "unrelated.jsonl", ({"prompt": g.prompt.text, "completion": g.responses[0].text} for g in said)
    )
    rows = [one._asdict() for one in measured]
    write_aside(work / "aims.json", json.dumps({"seed": seed, "measured": rows}, indent=1))
    show.end()
    return Aims(work, seed, tuple(measured))


def _measured_before(file: Path) -> tuple[Measured, ...]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["measured"]
        return tuple(Measured(**row) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(file, "what was measured of a planted base", str(error)) from None


def _check(made: Aims) -> None:
    """ContractError where a share is not where it was planted."""
    for one in made.measured:
        planted = PRINCIPLES[one.principle]
        for about in _ABOUT:
            share, band = cast("float | None", getattr(one, about)), cast(Band, getattr(planted, about))
            if share is not None and not band.low <= share <= band.high:
                promise = f"{one.principle}, {one.slice}: {about} between {band.low} and {band.high}"
                raise ContractError(f"the planted base of seed {made.seed}", promise, f"{share:.3f}")


# Values


def _write_values(work: Path) -> None:
    write_aside(work / "values.toml", tomli_w.dumps(aims_world.document()))
    for module, name in ((aims_checks, "checks.py"), (aims_gold, "gold.py")):
        write_aside(work / name, _source(module).read_bytes())
    for name in PRINCIPLES:
        _write_rows(work / "prompts" / f"{name}.jsonl", aims_world.prompts_of(name))
    values = read_values(work / "values.toml")
    for half, file in (("training", "prompts.jsonl"), ("audit", "sealed.jsonl")):
        _write_rows(
            work / file,
            (
                {"prompt": case.prompt.text, "slice": principle.id}
                for principle in values.principles
                for one in values.slices(principle.id)
                for case in (one.training if half == "training" else one.audit)
            ),
        )


def _items(panel: Panel) -> Iterable[dict[str, JSON]]:
    for item in panel.items:
        known = {"prompt": item.prompt.text, "options": list(item.options), "answer": item.answer}
        kept = {key: value for key, value in known.items() if value}
        yield {**kept, "slice": item.slice, **item.more}


def _write_rows(file: Path, rows: Iterable[Mapping[str, JSON]]) -> None:
    make_folder(file.parent)
    write_aside(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


# The model


def _taught(work: Path, seed: int, lessons: Lessons, values: Values, show: Progress) -> None:
    """The base, in ``model`` of the folder."""
    untaught = trained.save_small(work.parent / "untaught", seed, aims_world.aim_words())
    engine = Local(
        adapter="full",
        lr=lessons.lr,
        schedule="cosine",
        warmup=lessons.warmup,
        precision="float32",
        decode="float32",
        device="cpu",
    )
    learner = engine.learner(str(untaught), Task(f"aims/{seed}", seed, Needs(), "data"))
    show.begin("teaching the planted base", lessons.steps)
    rng = seeded("aims", "lessons", seed)
    texts = aims_world.lessons(rng, lessons.of, lambda prompt: bool(values.leaks([prompt])))
    batch, method = _batch(texts, learner.sampler(), lessons, rng), SFT()
    for step in range(lessons.steps):
        learner.update(batch, step, method.loss, step / lessons.steps)
        show.advance()
    learner.export(work / "model")
    show.end()


def _batch(texts: Sequence[Taught], reader: Sampler, lessons: Lessons, rng: np.random.Generator) -> Batch:
    """Cross-entropy from the distributions of answers: every answer to a prompt is in the step, with its
    share as weight, and no share is a matter of luck."""
    rows: list[Row] = []
    of_prompt: list[list[int]] = []
    for text in texts:
        of_prompt.append(list(range(len(rows), len(rows) + len(text.answers))))
        for answer, share in text.answers.items():
            rows.append(Row((Episode.single(reader.encode(text.prompt, answer)),), {"weight": share}))
    batch, _ = SFT(rows_per_step=len(rows)).batch(Window(0, tuple(rows)), {}, rng)
    weight_T = batch.tokens["weight"]
    weight_R = np.array([part.sum() for part in np.split(weight_T, np.cumsum(batch.lengths_S())[:-1])])
    order: list[int] = []
    while len(order) < lessons.steps * lessons.prompts:
        order += [int(i) for i in rng.permutation(len(texts))]
    steps = [
        # A prompt that the end of one pass and the beginning of the next both hold counts once.
        np.unique(
            [row for i in order[k * lessons.prompts : (k + 1) * lessons.prompts] for row in of_prompt[i]]
        )
        for k in range(lessons.steps)
    ]
    counts = tuple({"nll": float(weight_R[step].sum())} for step in steps)
    return replace(batch, steps=tuple(steps), counts=counts)


# What it says


def _asked(model: Sampler, prompts: Sequence[Prompt], n: int, key: str) -> list[Group]:
    return asyncio.run(model.sample(prompts, n, How(key, 1.0, _SPOKEN)))


def _kept(name: str, groups: Sequence[Group], gold: bool = False) -> Floats:
    """For each prompt and answer whether it keeps the principle, by its check or as it was meant."""
    grader = aims_gold.gold if gold else getattr(aims_checks, PRINCIPLES[name].check)
    found = [grader([g.prompt.text] * len(g.responses), [r.text for r in g.responses]) for g in groups]
    return np.array(found, dtype=np.float64)


def _measured(model: Sampler, values: Values, name: str, seed: int) -> Iterable[Measured]:
    contested = PRINCIPLES[name].verdict == "contested"
    for one in values.slices(name):
        prompts, key = [case.prompt for case in one.audit], f"aims/{name}/{one.name}/{seed}"
        own = _asked(model, prompts, _OWN, key)
        told = _asked(model, [instructed(p, PRINCIPLES[name].text) for p in prompts], _TOLD, f"{key}/told")
        own_PG = _kept(name, own)
        yield Measured(
            name,
            one.name,
            len(prompts),
            own=float(own_PG.mean()),
            told=float(_kept(name, told).mean()),
            best=float(own_PG.max(axis=1).mean()),
            gold=None if contested else float(_kept(name, own, gold=True).mean()),
        )


def _pairs(model: Sampler, values: Values, name: str, seed: int) -> Iterable[dict[str, JSON]]:
    """Of each training prompt some of its own answers that keep the principle, beside some that do not."""
    prompts = [case.prompt for one in values.slices(name) for case in one.training]
    groups = _asked(model, prompts, _OWN, f"aims/pairs/{name}/{seed}")
    for group, kept_G in zip(groups, _kept(name, groups), strict=True):
        texts = [response.text for response in group.responses]
        chosen = [text for text, kept in zip(texts, kept_G, strict=True) if kept]
        rejected = [text for text, kept in zip(texts, kept_G, strict=True) if not kept and text.strip()]
        for better, worse in list(zip(chosen, rejected, strict=False))[:_PAIRS]:
            yield {"prompt": group.prompt.text, "chosen": better, "rejected": worse}
