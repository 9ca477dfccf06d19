"""How much several answers to one prompt differ. All take the answers of one group (axis ``_G``).

Word measures work on ``words``; another rule for cutting text is another instrument, so its name ``WORDS``
enters the instrument of whoever uses it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from itertools import combinations

import numpy as np

__all__ = ["GPT2_VOCABULARY", "WORDS", "distinct", "ead", "ngrams", "self_similarity", "words", "zlib_ratio"]

GPT2_VOCABULARY = 50_257
WORDS = r"words \w+|[^\w\s]"

_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> tuple[str, ...]:
    """Runs of letters, digits and underscores, and single other signs; case is kept.

    Scripts that put no space between words give long runs: there a whole clause counts as one word.

    >>> words("It's 2 words.")
    ('It', "'", 's', '2', 'words', '.')
    """
    return tuple(_WORD.findall(text))


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Every run of n tokens, in order; none where there are fewer.

    >>> ngrams(["a", "b", "c"], 2)
    [('a', 'b'), ('b', 'c')]
    """
    if n < 1:
        raise ValueError(f"runs of {n} tokens: expected at least 1")
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def distinct(tokens_G: Sequence[Sequence[str]], n: int) -> float:
    """The share of a group's n-grams that are different ones (1510.03055). None at all: ValueError.

    "a b" and "a c": three different words of four.

    >>> distinct([["a", "b"], ["a", "c"]], 1)
    0.75
    """
    different, total = _counts(tokens_G, n)
    if total == 0:
        raise ValueError(f"no answer of the group has {n} tokens")
    return different / total


def ead(
    tokens_G: Sequence[Sequence[str]],
    orders: Sequence[int] = (1, 2, 3, 4, 5),
    vocabulary: int = GPT2_VOCABULARY,
) -> float:
    """Expectation-adjusted distinct n-grams (2202.13587): the mean over n of distinct/(V(1−((V−1)/V)^total)).

    The denominator is the number of different tokens among ``total`` uniform draws from V. About 1/G where G
    answers are the same; slightly above 1 where nothing repeats. n-grams do not run across answers. An n of
    which no answer has one is left out; a group without any token has said nothing G times: 0.

    V = 2, words only, "a" and "a": 1/(2(1 − ¼)) = ⅔.

    >>> round(ead([["a"], ["a"]], orders=(1,), vocabulary=2), 4)
    0.6667
    """
    if vocabulary < 2 or not orders:
        raise ValueError(
            f"a vocabulary of {vocabulary} and orders {tuple(orders)}: expected 2 or more, and one"
        )
    shares: list[float] = []
    for n in orders:
        different, total = _counts(tokens_G, n)
        if total:
            # −expm1(total · log1p(−1/V)) is 1 − ((V−1)/V)^total without its cancellation.
            shares.append(different / (-vocabulary * float(np.expm1(total * np.log1p(-1 / vocabulary)))))
    return float(np.mean(shares)) if shares else 0.0


def zlib_ratio(texts_G: Sequence[str]) -> float:
    """Bytes of the texts, joined by newlines, per byte of their zlib stream at level 9 (2403.00553).

    Higher is more repetitive; short groups lie below 1, since the stream has 8 bytes or more of its own. Long
    groups repeat more, so compare groups of equal size. Builds of zlib differ by some bytes, so compare on
    one machine. A group without a byte: ValueError. A thousand "a" take under 40 bytes.

    >>> zlib_ratio(["a" * 1000]) > 1000 / 40
    True
    """
    raw = "\n".join(texts_G).encode("utf-8", "surrogatepass")
    if not raw:
        raise ValueError("an empty group has no compression ratio")
    return len(raw) / len(zlib.compress(raw, 9))


def self_similarity(tokens_G: Sequence[Sequence[str]]) -> float:
    """The mean over pairs of answers of |shared word pairs| / |all word pairs| (Jaccard of bigrams).

    Two answers without any bigram count as 1 if they are equal, else 0. Fewer than two answers: ValueError.
    "a b c" and "a b d" share (a, b) of (a, b), (b, c), (b, d).

    >>> round(self_similarity([["a", "b", "c"], ["a", "b", "d"]]), 4)
    0.3333
    """
    if len(tokens_G) < 2:
        raise ValueError(f"a group of {len(tokens_G)} has no pairs: expected 2 answers or more")
    return float(np.mean([_jaccard(a, b) for a, b in combinations(tokens_G, 2)]))


def _jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    mine, yours = set(ngrams(one, 2)), set(ngrams(other, 2))
    if not mine | yours:
        return float(tuple(one) == tuple(other))
    return len(mine & yours) / len(mine | yours)


def _counts(tokens_G: Sequence[Sequence[str]], n: int) -> tuple[int, int]:
    found = [gram for tokens in tokens_G for gram in ngrams(tokens, n)]
    return len(set(found)), len(found)
