"""Dialogue: a divergence is put to the model before anything is trained against it.

    1. its own answers to the training half of the slice; those that break the principle are shown to it
    2. it is asked for reasons, and for the principle in its own words: wordings × orders (``talk.py``)
    3. what it says it will do is held against what it does (``choices.py``). Within chance: *no evidence*;
       the divergence moves on to the constitution, and nothing said here is trained on
    4. beyond chance at most three ways out are offered (``resolutions.py``), to a person and to the model
    5. revised answers that its judge approves, and every hard principle that a program checks: rows to
       amplify, and nothing else

``dialogues/<id>/``: the id is the hash of the weights, the values, the principle and the slice;
``asked.jsonl`` has every text and Record, each on disk before it is used, so that a dialogue goes on where
it was broken off and asks nothing twice; ``dialogue.json`` what it came to, ``revised.jsonl`` the rows.

1. Only the training half is spoken of: the sealed half stays unseen, and a later portrait is of what is new.
2. Without evidence no proposal is made: where what a model says tells nothing of what it does, neither do its
   reasons, and a consent read into them would be made up.
3. A model that declines consistently that its revised answers be trained on ends the dialogue as *declined*.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from shlex import join

from accord.auditing import Engine
from accord.auditing.asking import Asking, Budget
from accord.auditing.journal import Journal
from accord.engines.local import Local
from accord.engines.openai_http import Reaching, is_remote
from accord.errors import PlanError, Refused
from accord.progress import Progress, Silent
from accord.records import JSON, finite
from accord.records.portraits import Standing
from accord.steward.conversed import FILE, REVISED, Conversed, Extent, Revision
from accord.steward.finished import found_portrait
from accord.steward.judges import Judges, Nobody, judge_of
from accord.steward.ledger import journal_of
from accord.steward.sitting import About, Sitting
from accord.steward.tried import note_tried
from accord.stores.files import write_aside
from accord.values import Values, read_values, shipped_values
from accord.worker import Worker

__all__ = ["Conversed", "Extent", "Revision", "converse", "wish_of"]


def wish_of(policy: str, values: str, standing: Standing) -> dict[str, JSON]:
    """What the folder of a dialogue is named after."""
    return {"dialogue": policy, "values": values, "principle": standing.principle, "slice": standing.slice}


class _Saying:
    """What models say while they are opened stays; how far they are counts by questions, not by answers."""

    def __init__(self, show: Progress) -> None:
        self._show = show

    def begin(self, what: str, total: float | None = None) -> None:
        """Nothing."""

    def advance(self, done: float = 1, note: str = "") -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """A line that stays."""
        self._show.say(text)

    def end(self) -> None:
        """Nothing."""


def converse(  # size: what a dialogue may be given, each with a default
    model: str,
    values: Values | Path | str,
    standing: Standing | tuple[str, str],
    *,
    folder: Path | None = Path("dialogues"),
    extent: Extent | None = None,
    judges: Judges | None = None,
    portraits: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Conversed:
    """Talk a divergence over with the model, and say what came of it.

    ``standing``: of a portrait; or principle and slice, looked up in the one that ``portraits`` has of these
    weights. There it is noted that dialogue was tried. ``folder`` keeps what was said, None keeps nothing.
    Refused for a standing that is not divergent, where no portrait is, and where nobody can judge; Away where
    the model does not answer, or people are still to judge its answers: the same call then goes on.
    """
    extent, show = (extent or Extent()).checked(), progress or Silent()
    values = values if isinstance(values, Values) else read_values(values)
    opener = engine or Reaching(Local())
    opener.check(model)
    show.say(f"opening {model}")
    told = _Saying(show)
    sampler = opener.sampler(model, told)
    if "sample" not in sampler.can:
        can = ", ".join(sorted(sampler.can))
        raise PlanError("MODEL", model, "a model that gives answers", f"it can {can}")
    command = join(["accord", "targets", model, "--values", _named(values)])
    if isinstance(standing, tuple):
        standing = _standing(portraits, sampler.policy, values, standing, command)
    principle = values[standing.principle]
    if standing.verdict != "divergent" or principle in values.contested:
        what = "contested" if principle in values.contested else standing.verdict
        raise Refused(f"{standing.principle}, {standing.slice}: {what}; a dialogue is about a divergence")
    opening = partial(opener.sampler, progress=told)
    judge = judge_of(values, principle, judges or Judges(), opening, command)
    if isinstance(judge, Nobody):
        raise Refused("\n  ".join([f"{principle.id}: {judge.why}", *judge.remedy]))
    wish = wish_of(sampler.policy, values.digest, standing)
    with journal_of(folder, wish) as journal, Worker() as worker:
        asking = Asking(sampler, journal, Budget(), Silent(), is_remote(model))
        about = About(model, values, principle, standing.slice)
        sitting = Sitting(about, asking, extent, judge, journal, worker, show)
        found = sitting.held()
        _written(journal, values, found)
    if portraits is not None:
        note_tried(portraits, found.tried)
    return found


def _named(values: Values) -> str:
    """How a command names these values."""
    return values.name if shipped_values().get(values.name) == values.file else str(values.file)


def _standing(
    portraits: Path | None, policy: str, values: Values, whose: tuple[str, str], command: str
) -> Standing:
    found = found_portrait(portraits, policy, values.digest) if portraits is not None else None
    if found is None:
        raise Refused(f"no portrait of these weights for {values.name}: what do they hold?\n  {command}")
    for one in found.standings:
        if (one.principle, one.slice) == whose:
            return one
    known = "; ".join(f"{one.principle}, {one.slice}" for one in found.standings)
    raise PlanError("principle and slice", ", ".join(whose), known)


def _written(journal: Journal, values: Values, found: Conversed) -> None:
    if journal.folder is None:
        return
    rows = [{"prompt": one.prompt.text, "completion": one.answer.text} for one in found.revised]
    lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    write_aside(journal.folder / REVISED, lines)
    told = {**found.json(), "document": str(values.file)}
    write_aside(journal.folder / FILE, json.dumps(finite(told), ensure_ascii=False, indent=1))
