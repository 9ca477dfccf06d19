"""A model that breaks a principle, and talks of it in a manner of its own; it notes what it is asked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from unit.steward.speaking import _number

from accord.errors import ContractError, Unsayable
from accord.ports import How, Sampler, Scored
from accord.progress import Progress
from accord.records import Prompt, Response
from accord.records.rows import Group, Text
from accord.steward.choices import CONSENT, WORDINGS

TEXT = """\
name = "mine"

[[principle]]
id = "keep"
kind = "rule"
text = "Keep it."
check = "check.py:kept"
target = 0.7
prompts = "rows.jsonl"
adopted_by = [{ group = "all", yes = 4, no = 3 }]

[[principle]]
id = "plain"
kind = "rule"
text = "Use small letters."
check = "check.py:small"
target = 0.7
prompts = "rows.jsonl"
hard = true
"""
CHECK = """
def kept(prompts, answers):
    return [float(answer.lower() == "kept") for answer in answers]


def small(prompts, answers):
    return [float(answer.islower()) for answer in answers]
"""
Manner = Literal["plain", "contrary", "first", "flattering", "by lot", "mute"]
WORDS = "Always say kept."
_OPTIONS = {option: place for one in (*WORDINGS, *CONSENT) for place, option in enumerate(one.options)}


@dataclass
class Talker:
    """An engine with one model. It answers "not so", and "kept" where a prompt ends in one of ``keeps``.

    ``manner``: how it chooses: as it does (plain), the other way (contrary), whatever stands first, whatever
    sounds good, by lot, or not at all. Asked anew it says ``anew`` under ``follows``, and ends as ``finish``
    says. ``accepts``: what it says to proposals; ``wordless``: it cannot read a second question. ``file``:
    every question is a line of it. At the question ``dies_at`` the process is gone.
    """

    manner: Manner = "plain"
    keeps: tuple[str, ...] = ()
    follows: tuple[str, ...] = (WORDS,)
    accepts: bool = True
    seed: int = 0
    anew: str = "kept"
    finish: Literal["stop", "length"] = "stop"
    file: Path | None = None
    dies_at: int = -1
    fails_at: int = -1
    wordless: bool = False
    asked: list[str] = field(default_factory=list[str])
    can: frozenset[str] = frozenset({"sample"})
    policy: str = "talker"

    def check(self, model: str) -> None:
        """Every name is this model's."""

    def sampler(self, model: str, progress: Progress) -> Sampler:
        del model, progress
        return self

    def encode(self, prompt: Prompt, text: str) -> Response:
        tokens = tuple(map(_number, (*text.split(), "end")))
        told = {"prompt": prompt.id, "text": text, "tokens": tokens, "prompt_tokens": (1,)}
        return Response.model_validate({**told, "finish": "data", "tokenizer": "words"})

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        for prompt in prompts:
            if len(self.asked) == self.dies_at:
                os._exit(9)
            if len(self.asked) == self.fails_at:
                raise RuntimeError("no answer")
            if self.wordless and prompt.answered:
                raise Unsayable("prompt", None, "words that it has")
            self.asked.append(f"{how.key} {prompt.id}")
            if self.file is not None:
                with self.file.open("a", encoding="utf-8") as lines:
                    lines.write(f"{self.asked[-1]}\n")
        return [Group(p, tuple(self._said(p, i, how) for i in range(n))) for p in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        raise ContractError("the caller of Talker", "has it say things", f"{len(texts)} {want}")

    def _said(self, prompt: Prompt, index: int, how: How) -> Response:
        body = self.encode(prompt, self._text(prompt)).model_dump()
        told = {"policy": self.policy, "seed": how.key, "index": index, "finish": self.finish}
        return Response.model_validate({**body, **told, "temperature": how.temperature})

    def _text(self, prompt: Prompt) -> str:
        text = prompt.text
        if "Answer with the letter" in text:
            return self._letter(text)
        if "Answer the question again" in text:
            return self.anew if any(one in text for one in self.follows) else "not so"
        if "sentence" in text and prompt.answered:
            return f'"{WORDS}"'
        if "Why did" in text or "What are your reasons" in text:
            return "It seemed right."
        return "kept" if text.endswith(self.keeps or ("\n",)) else "not so"

    def _letter(self, text: str) -> str:
        listed = [line[3:] for line in text.splitlines() if line[:3] in ("A. ", "B. ")]
        if self.manner == "mute":
            return "Well, who knows."
        if self.manner == "by lot":
            return "AB"[hashlib.sha256(f"{self.seed} {text}".encode()).digest()[0] & 1]
        if self.manner == "first":
            return "A"
        if "propose" in text:
            wanted = 0 if self.accepts else 1
        elif self.manner == "flattering":
            wanted = 0
        else:
            keeps = any(f'{last}"' in text for last in self.keeps) != ("opposite" in text)
            wanted = int(keeps == (self.manner == "contrary"))
        return "AB"[[_OPTIONS[one] for one in listed].index(wanted)] + "."


def judged_by(place: Path, ground: Path, check: str, was: str = "hard", now: str = "hard") -> Path:
    """The same values with another check, and another line."""
    place.mkdir(exist_ok=True)
    (place / "rows.jsonl").write_bytes((ground / "rows.jsonl").read_bytes())
    (place / "check.py").write_text(f"{CHECK}\n\ndef kept(prompts, answers):\n    {check}\n", "utf-8")
    (place / "mine.toml").write_text(TEXT.replace(was, now), "utf-8")
    return place
