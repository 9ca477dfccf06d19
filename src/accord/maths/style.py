"""Which words of an English text carry content, and which only style (after 2312.01552, section 2).

Stylistic are marks, line breaks, function words (articles, pronouns, prepositions, conjunctions, auxiliaries,
quantifiers) and what opens, joins, hedges or closes a speech. All else is content: numbers, names, nouns,
verbs, adjectives, and every word of another language.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["STYLISTIC", "Piece", "pieces"]

_PIECE = re.compile(r"\s*\n\s*|\w+|[^\w\s]")

_FUNCTION = """
a an the this that these those such same other another each every either neither both all any some no none
i me my mine myself you your yours yourself he him his himself she her hers herself it its itself we us our
ours ourselves they them their theirs themselves one ones who whom whose which what whatever whoever
of in on at by to from for with without within into onto over under above below between among through
during before after since until against about around across along behind beside besides beyond despite down up
off out near per toward towards upon via as than like unlike except
and or but nor so yet if then else because although though while whereas unless whether when whenever where
wherever how why once till
am is are was were be been being do does did doing done have has had having will would shall should can could
may might must ought not cannot t s re ve ll d m don doesn didn isn aren wasn weren won wouldn can couldn
shouldn hasn haven hadn
there here now just only also too very quite rather more most less least much many few several lot lots
"""
_MARKERS = """
however therefore thus hence moreover furthermore additionally overall finally firstly secondly thirdly first
second third next lastly instead otherwise still even well indeed certainly sure absolutely definitely okay ok
yes hello hi hey dear thanks thank please sorry apologies apologize unfortunately fortunately happy glad great
good welcome let note remember important importantly generally typically usually often sometimes perhaps maybe
possibly probably likely actually basically simply really ultimately essentially specifically particularly
especially including include includes example examples following follows summary conclusion hope help helps
assist feel free know question questions ask asking answer as ai language model assistant always
"""
STYLISTIC = frozenset((_FUNCTION + _MARKERS).split())


class Piece(NamedTuple):
    """Where a word, mark or line break ends in its text, and whether it is content."""

    end: int
    content: bool


def pieces(text: str) -> list[Piece]:
    r"""The words, marks and line breaks of a text in order; blanks belong to what follows them.

    >>> found = pieces("However, iron\nrusts.")
    >>> [piece.end for piece in found], [piece.content for piece in found]
    ([7, 8, 13, 14, 19, 20], [False, False, True, False, True, False])
    """
    return [Piece(found.end(), _content(found[0])) for found in _PIECE.finditer(text)]


def _content(word: str) -> bool:
    return any(sign.isalnum() for sign in word) and word.casefold() not in STYLISTIC
