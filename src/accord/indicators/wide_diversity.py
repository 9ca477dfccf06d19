"""Per-input diversity of many answers: how much 16 to one prompt differ (EAD: 2202.13587; 2310.06452).

    alike       X = 1 − EAD of the words of the answers, clipped to [0, 1]
    compressed  X = 1 − bytes of the zlib stream of the answers / bytes of the answers, clipped to [0, 1]

The deep form of ``diversity`` and ``compression``, which read the few answers of a live audit. A collapse to
one answer leaves EAD at about 1/16, so a tolerated fall of half is seen however alike the answers become.

Deliberate differences from the reference:

1. EAD is on words (``maths.diversity.words``), not on GPT-2's tokens: no such tokenizer ships. The rule is in
   the instrument.
2. ``compressed`` reports: longer answers compress better, and one model's answers are not cut to another's.
3. A group in which nothing was said is alike, and as compressed as can be: 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from accord.indicators import Answered, Tier, drawing
from accord.maths.diversity import WORDS, ead, words, zlib_ratio
from accord.part import Part
from accord.ports import How, Observed, Sampler
from accord.records import Cost
from accord.records.panels import Item

__all__ = ["WideDiversity", "alike", "compressed"]


def alike(texts_G: Sequence[str]) -> float:
    """1 − EAD, clipped. Two uniform draws from V give 2 − 1/V different words: "yes" twice is one of these.

    >>> round(alike(["yes", "yes"]), 3), alike(["yes", "no"]), alike(["", ""])
    (0.5, 0.0, 1.0)
    """
    return min(1.0, max(0.0, 1 - ead([words(text) for text in texts_G])))


def compressed(texts_G: Sequence[str]) -> float:
    """What zlib saves of the answers, joined by newlines, as a share of their bytes.

    A thousand "a" take under 40 bytes; a short word takes more than it has.

    >>> compressed(["a" * 1000]) > 0.96, compressed(["a"]), compressed(["", ""])
    (True, 0.0, 1.0)
    """
    if not any(texts_G):
        return 1.0
    return min(1.0, max(0.0, 1 - 1 / zlib_ratio(texts_G)))


class WideDiversity(Answered, Part):
    """How alike ``answers`` answers to one prompt are."""

    name: ClassVar[str] = "wide_diversity"
    panel: ClassVar[str] = "base"
    criteria: ClassVar[tuple[str, ...]] = ("alike", "compressed")
    tier: ClassVar[Tier] = "page"

    answers: int = Field(default=16, ge=3)

    def takes(self, item: Item) -> bool:
        """Any prompt; what the base once answered to it is not looked at."""
        return bool(item.prompt.text.strip())

    def cost(self, items: int, tokens: int) -> Cost:
        drawn = items * self.answers
        return Cost(calls=drawn, tokens_in=items * tokens, tokens_out=64 * drawn)

    async def observe(self, items: Sequence[Item], sampler: Sampler, how: How) -> Observed:
        prompts = {item.prompt.id: item.prompt for item in items}
        drawn = await sampler.sample(list(prompts.values()), self.answers, how)
        groups = {group.prompt.id: group for group in drawn}
        texts = {name: [r.text for r in group.responses] for name, group in groups.items()}
        each = {name: (alike(said), compressed(said)) for name, said in texts.items()}
        both = [each[item.prompt.id] for item in items]
        return Observed(
            {"alike": tuple(one for one, _ in both), "compressed": tuple(one for _, one in both)},
            tuple(groups[item.prompt.id] for item in items),
            f"{WORDS}; zlib level 9 on UTF-8",
            drawing(drawn),
        )
