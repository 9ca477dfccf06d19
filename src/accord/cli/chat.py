"""``accord chat``: a conversation with a run's result, and beside it with another model, the base for one.

Each model hears what the person says and its own answers, not those of the other.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import typer

from accord.cli.codes import Exit
from accord.cli.runs import RUNS, Json, Runs
from accord.cli.show import Screen
from accord.errors import Refused

if TYPE_CHECKING:
    from accord.plan import PartTable
    from accord.ports import Sampler
    from accord.progress import Progress
    from accord.records import JSON, Message, Response
    from accord.worker import Worker

__all__ = ["EXAMPLES", "chat", "columns"]

EXAMPLES = {
    "chat": """
      accord chat brevity-1
      accord chat brevity-1 --beside base --system "You are a pilot."
      accord chat ./model --beside smollm2-135m-instruct --temperature 0.2 --once "Why is the sky blue?"
      accord chat brevity-1 --json < questions.txt > answers.json
    """,
}

_TOLD = "/reset forgets what was said · /save FILE keeps it · /quit or Ctrl-D ends"
_NARROWEST = 80  # two columns under this width are harder to read than one after the other


def chat(  # size: a parameter is an option here
    which: Annotated[
        str,
        typer.Argument(metavar="RUN|MODEL", help="A run, by folder or name; or a model, by folder or name."),
    ],
    beside: Annotated[
        str | None,
        typer.Option(
            "--beside", metavar="MODEL", help="Another to answer too; base: what the run began with."
        ),
    ] = None,
    system: Annotated[str, typer.Option("--system", metavar="TEXT", help="A system message.")] = "",
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", metavar="N", min=1, help="The longest answer.")
    ] = 256,
    temperature: Annotated[
        float, typer.Option("--temperature", metavar="T", min=0.01, help="Lower is more predictable.")
    ] = 0.7,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Equal seeds, equal answers.")] = 0,
    once: Annotated[
        str | None, typer.Option("--once", metavar="TEXT", help="Say this, print the answer, and end.")
    ] = None,
    runs: Runs = RUNS,
    json: Json = False,
) -> int:
    """Talk to the result of a run, or to any model.

    Lines are read from a pipe too. /reset begins anew, /save FILE keeps what was said as JSON lines of
    messages, which can be trained on; a line that begins with // is said with one / less.
    """
    from accord.worker import Worker

    screen = Screen(json)
    with screen.working() as progress:
        voices = _opened(which, beside, runs, progress)
        progress.end()
    manner = _Manner(max_tokens, temperature, seed)
    with Worker() as worker:
        talk = _Talk(voices, manner, system, worker)
        talk.begin()
        if once is not None:
            _print(talk.say(once), json)
        else:
            _converse(talk, json)
    if json:
        screen.give(talk.document(), [])
    return Exit.DONE


class _Manner(NamedTuple):
    max_tokens: int
    temperature: float
    seed: int


class _Found(NamedTuple):
    """A model to open: what to call it, where it is, the engine that opens it, and what it began as."""

    name: str
    model: str
    engine: PartTable
    base: str | None = None


@dataclass
class _Voice:
    """One model and the conversation as it knows it."""

    name: str
    model: str
    sampler: Sampler
    messages: list[Message] = field(default_factory=list["Message"])


class _Said(NamedTuple):
    name: str
    response: Response


class _Talk:
    """What is said to one or two models; turns are numbered, so that a seed gives the same talk again."""

    def __init__(self, voices: Sequence[_Voice], manner: _Manner, system: str, worker: Worker) -> None:
        self.voices, self._manner, self._system, self._worker = voices, manner, system, worker
        self._begun = 0
        self._turns: list[dict[str, JSON]] = []

    def begin(self) -> None:
        """A conversation of which nothing was said yet."""
        from accord.records import Message

        self._begun += 1
        for voice in self.voices:
            voice.messages = [Message(role="system", content=self._system)] if self._system else []

    def say(self, text: str) -> list[_Said]:
        """What each model answers. Where it is interrupted nothing was said."""
        from accord.ports import How
        from accord.records import Message, Prompt

        key = f"chat/{self._manner.seed}/{self._begun}/{len(self._turns)}"
        how = How(key, self._manner.temperature, self._manner.max_tokens)
        mine = Message(role="user", content=text)
        said: list[_Said] = []
        for voice in self.voices:
            prompt = Prompt(messages=(*voice.messages, mine))
            (group,) = self._worker.run(voice.sampler.sample([prompt], 1, how))
            said.append(_Said(voice.name, group.responses[0]))
        for voice, (_, response) in zip(self.voices, said, strict=True):
            voice.messages += [mine, Message(role="assistant", content=response.text)]
        answers: list[JSON] = [
            {"model": name, "text": r.text, "finish": r.finish, "tokens": len(r.tokens)} for name, r in said
        ]
        self._turns.append({"conversation": self._begun, "you": text, "answers": answers})
        return said

    def save(self, file: Path) -> str:
        """The conversation as JSON lines of ``messages``, one line for each model; what came of it."""
        import json

        if file.exists():
            return f"{file} is there already; choose another name"
        rows = [{"messages": [m.model_dump() for m in v.messages], "model": v.name} for v in self.voices]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            return f"{file} cannot be written: {error.strerror or error}"
        return f"saved in {file}"

    def document(self) -> JSON:
        """Who was asked, how, and everything that was said."""
        models: list[JSON] = [
            {"name": v.name, "model": v.model, "policy": v.sampler.policy} for v in self.voices
        ]
        return {"models": models, "system": self._system, **self._manner._asdict(), "turns": [*self._turns]}


def _opened(which: str, beside: str | None, runs: Path, progress: Progress) -> list[_Voice]:
    from accord import catalog
    from accord.stage import Engine

    first = _found(which, runs)
    wanted = [first]
    if beside is not None:
        wanted += [_base(first, which) if beside == "base" else _found(beside, runs)]
    engines = [cast(Engine, catalog.build("engines", found.engine)) for found in wanted]
    for engine, found in zip(engines, wanted, strict=True):
        engine.check(found.model)  # all of them before the first is opened, which takes longer
    voices: list[_Voice] = []
    for engine, found in zip(engines, wanted, strict=True):
        progress.begin(f"opening {found.name}")
        sampler = engine.sampler(found.model, progress)
        if "sample" not in sampler.can:
            raise Refused(f"{found.name} gives no answers, it can only {', '.join(sorted(sampler.can))}")
        name = found.name if found.name not in [v.name for v in voices] else f"{found.name} (2)"
        voices.append(_Voice(name, found.model, sampler))
    return voices


def _found(which: str, runs: Path) -> _Found:
    """A run's last finished stage, one of its stages, or a model."""
    from accord.plan import PartTable, read_plan
    from accord.stage import finished

    for folder in (Path(which), runs / which):
        run = folder if (folder / "run.json").is_file() else folder.parent
        if not (run / "run.json").is_file() or not (run / "plan.toml").is_file():
            continue
        plan = read_plan(run / "plan.toml")
        stages = [stage for stage in plan.stage if run == folder or stage.name == folder.name]
        if not stages:
            continue  # a folder beside the stages
        done = [stage for stage in stages if finished(run / stage.name)]
        if not done:
            raise Refused(f"{folder} has no finished stage to talk to\n  go on with it: accord resume {run}")
        name = run.name if run == folder else f"{run.name}/{folder.name}"
        return _Found(name, str(run / done[-1].name / "model"), done[-1].learner, plan.model)
    return _Found(which, which, PartTable(name="local"))


def _base(of: _Found, which: str) -> _Found:
    if of.base is None:
        raise Refused(f"--beside base: {which} is no run, so what it began with is not known; name a model")
    return _Found(f"base {Path(of.base).name}", of.base, of.engine)


# The conversation


def _converse(talk: _Talk, json: bool) -> None:
    typed = sys.stdin.isatty() and sys.stdout.isatty()
    if typed:
        names = " and ".join(voice.name for voice in talk.voices)
        sys.stderr.write(f"{names}; {_TOLD}\n")
    for line in _lines(typed):
        if line.startswith("/") and not line.startswith("//"):
            note = _obeyed(talk, line)
            if note is None:
                return
            sys.stderr.write(f"{note}\n")
        else:
            _print(talk.say(line.removeprefix("/")), json)


def _lines(typed: bool) -> Iterator[str]:
    """What is typed or piped, without empty lines. Ctrl-C ends it like Ctrl-D while a line is waited for."""
    if typed:
        with contextlib.suppress(ImportError):
            importlib.import_module("readline")  # input() edits lines with it
    while True:
        try:
            line = input("\nyou: ") if typed else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            sys.stderr.write("\n")
            return
        if not line and not typed:
            return
        if line.strip():
            yield line.strip()


def _obeyed(talk: _Talk, line: str) -> str | None:
    """What a command did, or None where it ends the conversation."""
    command, _, rest = line.partition(" ")
    match command, rest.strip():
        case "/quit" | "/exit", "":
            return None
        case "/reset", "":
            talk.begin()
            return "a new conversation"
        case "/save", file if file:
            return talk.save(Path(file))
        case _:
            return f"{line}: {_TOLD}"


def _print(said: Sequence[_Said], json: bool) -> None:
    if json:
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    texts = [(name, _shown(f"{r.text} […]" if r.finish == "length" else r.text)) for name, r in said]
    sys.stdout.write("\n".join(columns(texts, width)) + "\n")
    sys.stdout.flush()


def _shown(text: str) -> str:
    """Without what a terminal would obey instead of showing it."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def columns(texts: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Answers with their names: side by side where ``width`` allows, else one after the other.

    >>> columns([("a", "yes"), ("b", "no")], 0)
    ['a: yes', 'b: no']
    """
    if len(texts) == 1:
        return texts[0][1].splitlines() or [""]
    if width < _NARROWEST:
        return [line for name, text in texts for line in f"{name}: {text}".splitlines()]
    from rich.cells import set_cell_size
    from rich.console import Console
    from rich.text import Text

    each = (width - 3 * (len(texts) - 1)) // len(texts)
    console = Console()
    blocks = [
        [name, "─" * each, *(line.plain for line in Text(text).wrap(console, each))] for name, text in texts
    ]
    longest = max(map(len, blocks))
    filled = [
        [set_cell_size(line, each) for line in (*block, *[""] * (longest - len(block)))] for block in blocks
    ]
    return [" │ ".join(parts).rstrip() for parts in zip(*filled, strict=True)]
