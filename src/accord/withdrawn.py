"""Withdrawn: what a stage that goes on does about judgments which people took back since it used them.

It refuses, and names the rows; or, where a person allows the drift, it goes on without them and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from accord import catalog
from accord.errors import Refused
from accord.records import Prompt, Question, StepEvent
from accord.stores.files import write_aside

if TYPE_CHECKING:
    from accord.assembly import Place
    from accord.checkpoints import Progressing
    from accord.frozen import Frozen
    from accord.plan import Stage
    from accord.stores.runlog import LogView

__all__ = ["drifted", "leave_withdrawn", "queues_asked", "still_said"]


def queues_asked(stage: Stage) -> Iterator[tuple[str, str]]:
    """The labelling databases that a stage names, each with the place in the stage that names it."""
    parts = [("source", catalog.build("sources", stage.source))]
    if stage.eval is not None:
        parts.append(("eval.source", catalog.build("sources", stage.eval.source)))
    asked = [(f"ask[{index}].overseer", ask.overseer) for index, ask in enumerate(stage.ask)]
    asked += [("versus.overseer", stage.versus.overseer)] if stage.versus is not None else []
    parts += [(path, catalog.build("overseers", table)) for path, table in asked]
    for path, part in parts:
        yield from ((path, url) for url in cast("tuple[str, ...]", getattr(part, "queues", ())))


def drifted(place: Place, text: str) -> None:
    """Say it now, and let the report say it."""
    file = place.folder / "drift.txt"
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    write_aside(file, before + text + "\n")
    place.progress.say(text)


def still_said(place: Place, frozen: Frozen, view: LogView) -> None:
    """Refused where people withdrew judgments that this stage used; under --allow-drift they are dropped."""
    for _, url in queues_asked(place.stage):
        frozen.queue(url)
    gone = frozen.withdrawn()
    if not gone:
        return
    asked = {r.id: r for r in view.records("question") if isinstance(r, Question)}
    prompts = {r.id: r.text for r in view.records("prompt") if isinstance(r, Prompt)}
    lines: list[str] = []
    for entry in gone:
        question = asked.get(entry.question)
        text = prompts.get(question.prompt, "") if question is not None else ""
        first = f" ({text[:40]!r})" if text else ""
        lines.append(f"  question {entry.question[:12]}{first}: judgment {entry.judgment[:12]}")
    if not frozen.drift:
        raise Refused(
            f"{place.run} rests on judgments that people have withdrawn since:\n"
            + "\n".join(lines)
            + f"\n  accord resume {place.folder.parent} --allow-drift goes on without these rows "
            "(the report will say so)"
        )
    frozen.drop(entry.judgment for entry in gone)
    ids = ", ".join(entry.judgment[:12] for entry in gone)
    drifted(place, f"rows were dropped, for people withdrew the judgments they rested on: {ids}")


def leave_withdrawn(place: Place, view: LogView, state: Progressing) -> None:
    """Where a window was under way that rests on what was withdrawn since, the rest of it is not learnt."""
    frozen = place.frozen
    if frozen is None or state.batch is None:
        return
    begun = [e for e in view.records("event") if isinstance(e, StepEvent) and e.name == "window"]
    rows = [event.parents for event in begun if event.window == state.window]
    if rows and frozen.rests_on_dropped(rows[-1]):
        state.window, state.place, state.batch = state.window + 1, 0, None
        place.progress.say(f"window {state.window} rests on what was withdrawn: the rest of it is left out")
