"""Capability in free answers: the share of questions whose answer is not said, no options shown.

    wrong    X = 1 where the words of the answer that was drawn are not those of the right one (exact match)
    unnamed  X = 1 where the words of the right one do not stand in it in a row

Words are compared without case, articles and marks (``maths.said``). A model that wraps the right answer in a
sentence is ``wrong`` and not ``unnamed``; so the two tell a change of form from one of knowledge. The deep
form of ``capability``, which shows the options and reads their letters. It reports; a gain in it is one that
excuses.

Questions that speak of their options, and answers of more than four words, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from accord.indicators import Answered, drawing, freely
from accord.maths.said import plain, sayable, says
from accord.part import Part
from accord.ports import How, Observed, Sampler
from accord.records import Cost
from accord.records.panels import Item

__all__ = ["CapabilityFree", "missed"]

_MOST = 32  # tokens


def missed(answer: str, right: str) -> tuple[float, float]:
    """(wrong, unnamed) of one answer.

    >>> missed("The Nile.", "Nile"), missed("It is the Nile.", "Nile"), missed("The Seine.", "Nile")
    ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    """
    return float(plain(answer) != plain(right)), float(not says(answer, right))


class CapabilityFree(Answered, Part):
    """What the model says where it is not shown what there is to say."""

    name: ClassVar[str] = "capability_free"
    panel: ClassVar[str] = "choices"
    criteria: ClassVar[tuple[str, ...]] = ("wrong", "unnamed")

    def takes(self, item: Item) -> bool:
        return sayable(item.prompt.text, item.answer)

    def cost(self, items: int, tokens: int) -> Cost:
        return Cost(calls=items, tokens_in=items * tokens, tokens_out=_MOST * items)

    async def observe(self, items: Sequence[Item], sampler: Sampler, how: How) -> Observed:
        how = how._replace(max_tokens=min(how.max_tokens, _MOST))
        groups = await sampler.sample([freely(item.prompt) for item in items], 1, how)
        both = [missed(g.responses[0].text, item.answer) for g, item in zip(groups, items, strict=True)]
        return Observed(
            {"wrong": tuple(one for one, _ in both), "unnamed": tuple(one for _, one in both)},
            tuple(groups),
            "texts",
            drawing(groups),
        )
