"""What renders a chat template that came with a model, in a process of its own. Standard library and jinja2.

A line of JSON in, a line of JSON out. The first request under a name brings its template; each render has a
second of processor time, the process 256 MiB and no file to write to, and a text at most 1 MiB. A template
that goes on for ever ends the process; whoever asked sees that, and starts another. The environment is the
one that transformers renders in: the same template writes the same text.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from datetime import date
from typing import Any, cast

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

__all__ = ["LONGEST", "MEMORY", "SECONDS", "TODAY", "environment"]

SECONDS = 1.0
MEMORY = 256 * 2**20
LONGEST = 2**20
# Some templates write today's date; a run resumed tomorrow must see the same prompt.
TODAY = date(2024, 7, 26)


class _Generation(Extension):
    """``{% generation %}`` marks what a model said; the text between is written as it stands."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Dict:
    """``dict`` without its class, through which a template could get at others."""

    def __call__(self, *args: Any, **fields: Any) -> dict[Any, Any]:
        return dict(*args, **fields)


class _Namespace(Namespace):
    def __init__(*args: Any, **fields: Any) -> None:
        self, *rest = args
        for name in dict(*rest, **fields):
            _plain(name)
        Namespace.__init__(self, *rest, **fields)

    def __setitem__(self, name: str, value: Any) -> None:
        _plain(name)
        Namespace.__setitem__(self, name, value)


def _plain(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a template stores nothing under a name that begins with _: {name!r}")


def _json(value: Any, ensure_ascii: bool = False, **how: Any) -> str:
    known = {"indent", "separators", "sort_keys"}
    if not how.keys() <= known:
        raise TypeError(f"tojson takes ensure_ascii, {', '.join(sorted(known))}")
    return json.dumps(value, ensure_ascii=ensure_ascii, **how)


def _raise(message: str) -> None:
    raise TemplateError(message)


def environment() -> ImmutableSandboxedEnvironment:
    """Where templates are rendered; nothing of Accord and no file is within their reach."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    cast(Any, made).filters["tojson"] = _json
    names = {
        "raise_exception": _raise,
        "strftime_now": TODAY.strftime,
        "dict": _Dict(),
        "namespace": _Namespace,
    }
    cast(Any, made).globals.update(names)
    return made


def _text(template: Any, context: dict[str, Any]) -> str:
    pieces, length = list[str](), 0
    for piece in template.generate(**context):
        pieces.append(piece)
        length += len(piece.encode("utf-8", "surrogatepass"))
        if length > LONGEST:
            raise ValueError(f"it writes more than {LONGEST:,} bytes")
    return "".join(pieces)


def _answer(line: str, made: ImmutableSandboxedEnvironment, known: dict[str, Any]) -> dict[str, str]:
    asked = json.loads(line)
    if "template" in asked:
        known[asked["name"]] = made.from_string(asked["template"])
    return {"text": _text(known[asked["name"]], asked["context"])}


def _main() -> None:
    for limit, value in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (value, value))
    made, known = environment(), dict[str, Any]()
    for line in sys.stdin:
        # Processor time: on a busy machine a second of the clock may pass with nothing done.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            told = _answer(line, made, known)
        except MemoryError:
            told = {"error": f"it needs more than {MEMORY // 2**20} MiB"}
        except RecursionError:
            told = {"error": "it calls itself without an end"}
        except (TemplateError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            told = {"error": f"{type(error).__name__}: {error}"}
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
