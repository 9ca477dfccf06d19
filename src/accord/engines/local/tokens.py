"""How a model's folder becomes a tokenizer with a chat template, and what identifies the two."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from accord.engines.local.quiet import quiet
from accord.engines.local.template_child import TODAY
from accord.engines.local.templates import BOS, PLAIN, render
from accord.engines.local.weights import read_object
from accord.errors import Refused, Unreadable
from accord.records import JSON, digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "anchor_of",
    "end_of_answer",
    "ids_of",
    "open_tokenizer",
    "rendered",
    "rendered_behind",
    "template_digest",
    "templated",
    "tokenizer_digest",
]

_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")


def open_tokenizer(folder: Path) -> tuple[PreTrainedTokenizerBase, tuple[str, ...]]:
    """The tokenizer of ``folder``, always with a chat template, and what a person should know about it."""
    tokenizer = _load(folder)
    if tokenizer.eos_token_id is None:
        raise Unreadable(
            folder / "tokenizer_config.json",
            'an "eos_token"',
            "none: answers could not end; name the token that ends an answer",
        )
    return cast("PreTrainedTokenizerBase", tokenizer), templated(tokenizer, folder)


def templated(tokenizer: Any, folder: object) -> tuple[str, ...]:
    """See that it has a chat template that renders; what a person should know about that."""
    notes: list[str] = []
    if tokenizer.chat_template is None:
        begins = ids_of(tokenizer, "", special=True)[:1] == [tokenizer.bos_token_id]
        tokenizer.chat_template = (BOS if begins else "") + PLAIN
        notes.append(f"{folder} has no chat template; a plain one is used (role, line break, text)")
    if "strftime_now" in tokenizer.get_chat_template():
        notes.append(f"the chat template writes today's date; Accord always writes {TODAY:%d %b %Y}")
    try:
        rendered(tokenizer, [{"role": "user", "content": "hello"}])
    except ValueError as error:
        raise Unreadable(folder, "a chat template that renders one user message", str(error)) from error
    return tuple(notes)


def rendered(tokenizer: object, messages: Sequence[Mapping[str, str]], answer: bool = True) -> str:
    """``messages`` in the chat template's form; with ``answer``, up to where the answer begins.

    ValueError when the template cannot render them.
    """
    from jinja2 import TemplateError

    if not messages:
        raise ValueError("a conversation of no messages has nothing to render")
    known = cast(Any, tokenizer)
    # What transformers hands a template; the names of special tokens are part of it.
    context = {
        **known.special_tokens_map,
        "messages": [dict(message) for message in messages],
        "tools": None,
        "documents": None,
        "add_generation_prompt": answer,
    }
    try:
        return render(known.get_chat_template(), context)
    except (TemplateError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise ValueError(f"the chat template failed: {error}") from error


def ids_of(tokenizer: object, text: str, *, special: bool = False, split: bool = False) -> list[int]:
    """Token ids. ``special``: with the tokens that the tokenizer adds around a text by itself; ``split``: the
    name of a special token inside ``text`` stays plain text."""
    return list(
        cast(Any, tokenizer)(text, add_special_tokens=special, split_special_tokens=split)["input_ids"]
    )


def end_of_answer(tokenizer: object, stop: frozenset[int]) -> int:
    """The token of ``stop`` that the template writes behind an answer, else the tokenizer's own end."""
    talk = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "qzq"}]
    try:
        behind = rendered(tokenizer, talk, answer=False).rpartition("qzq")[2]
    except ValueError:
        behind = ""
    ids = ids_of(tokenizer, behind.lstrip())[:1]
    return ids[0] if ids and ids[0] in stop else cast(int, cast(Any, tokenizer).eos_token_id)


def rendered_behind(tokenizer: object, messages: Sequence[Mapping[str, str]], answered: int) -> str:
    """What the template writes behind the last of the first ``answered`` messages, up to the next answer.

    ValueError when it cannot render them, or writes what stands before that answer otherwise than it did when
    it waited for it.
    """
    mark = "qzq"
    while any(mark in message["content"] for message in messages):
        mark += "zq"
    before = messages[: answered - 1]
    marked = [*before, {"role": "assistant", "content": mark}, *messages[answered:]]
    opening, found, behind = rendered(tokenizer, marked).partition(mark)
    if not found or mark in behind:
        raise ValueError("the chat template does not write every answer once")
    if opening != rendered(tokenizer, before):
        raise ValueError("the chat template writes an earlier answer otherwise than the one it waits for")
    return behind


def anchor_of(tokenizer: object) -> str:
    """What must stand before an answer so that it is cut as it is after a prompt; "" where nothing must.

    Some tokenizers put a space before whatever comes first; an answer never comes first.
    """
    talk = [{"role": "user", "content": "hello"}]
    opening = rendered(tokenizer, talk).removeprefix(rendered(tokenizer, talk, answer=False))
    alone, behind = ids_of(tokenizer, "word"), ids_of(tokenizer, f"{opening}word")
    return "" if behind[-len(alone) :] == alone else opening


def tokenizer_digest(tokenizer: object) -> str:
    """SHA-256 over everything that decides how text becomes ids and back. Padding and truncation do not."""
    inner: dict[str, object] = json.loads(cast(Any, tokenizer).backend_tokenizer.to_str())
    for passing in ("version", "padding", "truncation"):
        inner.pop(passing, None)
    names = {n: token for n, token in cast(Any, tokenizer).special_tokens_map.items() if n != "pad_token"}
    # Plain sorted JSON: records.canonical takes seconds for a large vocabulary.
    text = json.dumps({"tokenizer": inner, "special": names}, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def template_digest(tokenizer: object) -> str:
    """SHA-256 over the chat template, all of its named forms included."""
    return digest(cast(JSON, cast(Any, tokenizer).chat_template))


def _load(folder: Path) -> Any:
    import transformers

    if not any((folder / name).is_file() for name in _FILES):
        raise Unreadable(folder, f"a tokenizer ({', '.join(_FILES)})", "none; copy that of its base model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            read_object(folder / name)
    try:
        with quiet(), _BareErrors(folder):
            tokenizer = cast(Any, transformers).AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except ImportError as error:
        raise Refused(f"the tokenizer in {folder} needs another package: {_first(error)}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(folder, "a tokenizer that transformers can load", _first(error)) from error
    if not tokenizer.is_fast:
        raise Refused(
            f"the tokenizer in {folder} has no tokenizer.json form (`tokenizers`), which Accord needs"
        )
    return tokenizer


class _BareErrors:
    """``tokenizers`` reports a malformed file by the bare class Exception: that class, none derived from
    it, becomes Unreadable here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is Exception:
            file = self._folder / "tokenizer.json"
            raise Unreadable(file, "a tokenizer that `tokenizers` can load", str(error)) from error


def _first(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
