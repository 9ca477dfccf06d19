"""How a function that a plan names is found, what it is told of a row, and what its file hashes to."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from accord.errors import PlanError
from accord.records import Prompt

__all__ = ["function", "named_by", "source"]


def function(name: str) -> Callable[..., object]:
    """The function behind ``module:function`` or ``file.py:function``. PlanError when it is none."""
    module, _, attribute = name.rpartition(":")
    try:
        found = getattr(_load(module), attribute, None)
    # A user's file may raise anything while it is imported; all of it is an error of the plan.
    except Exception as error:
        advice = f"cannot import it: {error}"
        raise PlanError("fn", name, "module:function or file.py:function", advice) from error
    if not callable(found):
        advice = f"{module} has no function {attribute!r}"
        raise PlanError("fn", name, "module:function or file.py:function", advice)
    return found


def named_by(found: Callable[..., object], own: int, prompt: Prompt) -> dict[str, object]:
    """The columns of the prompt's row that a function names behind its first ``own`` parameters, or all of
    them where it takes any; and the conversation, as ``messages``."""
    wanted = inspect.signature(found).parameters
    rest = any(p.kind is p.VAR_KEYWORD for p in wanted.values())
    taken = set(list(wanted)[:own])
    told: dict[str, object] = {"messages": [m.model_dump() for m in prompt.messages], **prompt.columns}
    return {name: value for name, value in told.items() if name not in taken and (rest or name in wanted)}


def source(found: Callable[..., object]) -> str:
    """The hash of the file that a function stands in: an edited one is another."""
    file = inspect.getsourcefile(found)
    return hashlib.sha256(Path(file).read_bytes() if file else b"").hexdigest()


def _load(module: str) -> object:
    """A module by name, or a Python file by path (loaded once per absolute path)."""
    if not module.endswith(".py"):
        return importlib.import_module(module)
    path = Path(module).resolve()
    if not path.is_file():
        raise ImportError(f"no file {path}")
    name = f"accord_program_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded
