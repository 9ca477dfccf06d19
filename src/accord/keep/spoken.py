"""Chat templates of a model that comes in: each by its digest, and whether it writes a conversation.

A template is a program that came with a model. Where it runs, and within which limits, is the business of
whoever hands in ``Renders``: the local engine runs what Accord does not ship in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol, cast

from accord.errors import Unreadable
from accord.keep.sifting import read_json
from accord.records import digest

__all__ = ["Renders", "Template", "chat_templates"]

_TOKENIZER, _PROCESSOR, _DEFAULT = "tokenizer_config.json", "chat_template.json", "default"
_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
_ASKED = [{"role": "user", "content": "What is two plus two?"}]
_TALK = [*_ASKED, {"role": "assistant", "content": "Four."}, {"role": "user", "content": "Thank you."}]


class Renders(Protocol):
    """What a template writes for a context. ValueError: it failed, or broke a limit."""

    def __call__(self, template: str, context: Mapping[str, object], /) -> str: ...


class Template(NamedTuple):
    """One chat template: the file and name it has, its digest (as a Response carries it), the digest of what
    it wrote for a fixed conversation, or else why it wrote nothing."""

    file: str
    name: str
    digest: str
    wrote: str = ""
    fault: str = ""


def chat_templates(files: Mapping[str, Path], render: Renders) -> tuple[Template, ...]:
    """Every chat template among the files, tried once. Unreadable where the default one writes no message.

    Others may ask for tools or documents that a plain conversation lacks: what stopped them is told.
    """
    special = dict(_special(files))
    found: list[Template] = []
    for file, name, text in _texts(files):
        wrote, fault = _tried(text, special, render)
        if fault and name == _DEFAULT:
            remedy = "mend the template; or remove it, and a plain one is used"
            expected = "a chat template that writes a message within its limits"
            raise Unreadable(files[file], expected, f"{fault}\n  {remedy}")
        found.append(Template(file, name, digest(text), wrote, fault))
    return tuple(found)


def _tried(text: str, special: Mapping[str, str], render: Renders) -> tuple[str, str]:
    """The digest of what it wrote, or why it did not. Some take contents in parts only."""
    fault = ""
    for parts in (False, True) if "type" in text else (False,):
        try:
            asked = render(text, _context(_ASKED, special, parts))
        except ValueError as error:
            fault = fault or " ".join(str(error).split())
            continue
        if _ASKED[0]["content"] not in asked:
            fault = fault or "it leaves out what the user said"
            continue
        try:  # a longer talk is no duty: some templates know one question and one answer
            talk = render(text, _context(_TALK, special, parts))
        except ValueError:
            talk = ""
        return digest([asked, talk]), ""
    return "", fault


def _context(messages: list[dict[str, str]], special: Mapping[str, str], parts: bool) -> dict[str, object]:
    told: list[dict[str, object]] = [
        {**m, "content": [{"type": "text", "text": m["content"]}] if parts else m["content"]}
        for m in messages
    ]
    return {"messages": told, "tools": None, "documents": None, "add_generation_prompt": True, **special}


def _texts(files: Mapping[str, Path]) -> Iterator[tuple[str, str, str]]:
    """File, name and text of each template, wherever transformers reads one."""
    for file, path in files.items():
        if path.suffix.lower() == ".jinja":
            name = PurePosixPath(file).stem
            yield file, _DEFAULT if name == "chat_template" else name, path.read_text(encoding="utf-8")
    for file in (_TOKENIZER, _PROCESSOR):
        told = _table(files, file).get("chat_template")
        several = cast("list[object]", told) if isinstance(told, list) else [told]
        for one in several:
            if isinstance(one, str):
                yield file, _DEFAULT, one
            elif isinstance(one, dict):
                entry = cast("dict[str, object]", one)
                yield file, str(entry.get("name", _DEFAULT)), str(entry.get("template", ""))


def _special(files: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    told = _table(files, _TOKENIZER)
    for name in _SPECIAL:
        token = told.get(name)
        text = cast("dict[str, object]", token).get("content") if isinstance(token, dict) else token
        if isinstance(text, str):
            yield name, text


def _table(files: Mapping[str, Path], name: str) -> Mapping[str, object]:
    told = read_json(files[name]) if name in files else None
    return cast("dict[str, object]", told) if isinstance(told, dict) else {}
