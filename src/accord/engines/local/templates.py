"""Rendering of chat templates: those that ship with Accord here, all others in a process of their own.

A template is a program that came with a model. ``template_child.py`` runs it, with limits on time, memory and
what it writes; one that breaks a limit is a ValueError that says which, and the next one finds a new process.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from accord.engines.local.template_child import LONGEST, SECONDS, environment
from accord.records import digest

__all__ = ["BOS", "CHATML", "PLAIN", "TINY", "WORDS", "Rendering", "render"]

BOS = "{{ bos_token }}"
PLAIN = (
    "{% for message in messages %}{{ message['role'] ~ ':\n' ~ message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else '' }}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %}"
)
# What transformers assumes a chat to look like where a GGUF file of this family carries no template.
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Of the small models that tests make. Every message ends with <eos>, so a conversation's tokens always
# extend the prompt and answer before them.
TINY = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] not in ['system', 'user', 'assistant', 'tool'] %}"
    "{{ raise_exception('unknown role ' ~ message['role']) }}{% endif %}"
    "{{ '<|' ~ message['role'] ~ '|>' ~ message['content'] ~ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# Of token policies: the words of the messages, and the end behind an answer. Prompts say themselves where an
# answer is due (their last word is <act>), so nothing else is written.
WORDS = (
    "{% for message in messages %}{{ message['content'] ~ ' ' }}"
    "{{ eos_token ~ ' ' if message['role'] == 'assistant' else '' }}{% endfor %}"
)
_OURS = frozenset({PLAIN, BOS + PLAIN, CHATML, TINY, WORDS})

_CHILD = Path(__file__).with_name("template_child.py")
_PATIENCE = 60.0  # seconds of the clock, for a process that neither answers nor ends
_Context = Mapping[str, Any]


class Rendering:
    """A process that renders, started when it is first needed. Threads that ask wait for each other."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._known: set[str] = set()
        self._owner = 0

    def __call__(self, template: str, context: _Context) -> str:
        """The text. ValueError: the template failed, or broke a limit."""
        with self._lock:
            child, name = self._started(), digest(template)
            asked: dict[str, object] = {"name": name, "context": context}
            if name not in self._known:
                asked["template"] = template
            line = self._told(child, json.dumps(asked).encode() + b"\n")
            told = cast("dict[str, str]", json.loads(line))
            if "error" in told:
                raise ValueError(told["error"])
            self._known.add(name)
            return told["text"]

    def close(self) -> None:
        """End the process; the next call starts another."""
        with self._lock:
            self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        # After a fork the pipes are shared with the parent, and what it asks must not be answered here.
        if self._child is None or self._owner != os.getpid() or self._child.poll() is not None:
            # -P: the script's own folder stays off the path; jinja2 is found wherever this process found it.
            command = [sys.executable, "-P", "-W", "ignore", str(_CHILD)]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
            self._owner, self._known = os.getpid(), set()
        return self._child

    def _told(self, child: subprocess.Popen[bytes], asked: bytes) -> bytes:
        assert child.stdin is not None and child.stdout is not None, "both are pipes"
        try:
            child.stdin.write(asked)
            child.stdin.flush()
        except BrokenPipeError:
            self._end()
            raise ValueError("the process that renders chat templates ended by itself") from None
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([child.stdout], [], [], self._patience)
            piece = os.read(child.stdout.fileno(), LONGEST) if ready else b""
            if not piece:
                self._end()
                raise ValueError(f"it did not end within {SECONDS:g} s of processor time")
            line += piece
        return line

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        child.kill()
        child.wait()


def render(template: str, context: _Context) -> str:
    """What the template writes. ValueError or TemplateError where it fails."""
    if template in _OURS:
        return _compiled(template).render(context)
    return _rendering()(template, context)


@cache
def _rendering() -> Rendering:
    return Rendering()


@cache
def _compiled(template: str) -> Any:
    return environment().from_string(template)
