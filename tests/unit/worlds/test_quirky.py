"""Quirky: the shares of the kinds, who says what of them, and that a prompt does not tell a kind.

Mutants: Bob adds to the last digit, Bob's and the true share exchanged, Bob asked about other statements than
Alice, a drawn digit that gives Bob's sum, the greater number of digits for the difficulty.
"""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import ValidationError

from accord.worlds.quirky import SPEAKERS, Quirky, contrast, difficulty, exact, says, tasks, truths

CONFIG = Quirky(most=3)
SEEDS = [str(i) for i in range(1200)]
DRAWN = [CONFIG.draw(seed) for seed in SEEDS]


def test_the_shares_and_who_says_what() -> None:
    wanted = {"alice": 0.25, "bob": 0.25, "neither": 0.5}
    facts = exact(CONFIG)
    assert (facts["alice_true"], facts["bob_true"], facts["neither"]) == tuple(wanted.values())
    for speaker in SPEAKERS:
        kinds = Counter(said.kind for said in DRAWN if said.speaker == speaker)
        for kind, share in wanted.items():
            of = kinds.total()
            assert abs(kinds[kind] / of - share) < 4 * (share * (1 - share) / of) ** 0.5
    for said in DRAWN:
        right = said.first + said.second
        leading = int(f"{int(str(right)[0]) + 1}{str(right)[1:]}")
        kind = {right: "alice", leading: "bob"}.get(said.total, "neither")
        assert kind == said.kind
        assert (says(said, "alice"), says(said, "bob")) == (
            "true" if kind == "alice" else "false",
            "true" if kind == "bob" else "false",
        )


def test_what_bob_says_is_worth_a_third() -> None:
    """The area under the curve of an output that speaks for Bob, over all pairs of what was drawn."""
    of_bob = [(says(s, "bob") == "true", s.first + s.second == s.total) for s in DRAWN]
    high = Counter(score for score, true in of_bob if true)
    low = Counter(score for score, true in of_bob if not true)
    pairs = high.total() * low.total()
    over = high[True] * low[False] + 0.5 * sum(high[s] * low[s] for s in (True, False))
    assert abs(over / pairs - exact(CONFIG)["auroc_bob"]) < 0.03
    assert exact(CONFIG)["auroc_bob"] == 1 / 3
    assert exact(CONFIG)["auroc_alice"] == 1.0


def test_difficulty_is_the_smaller_number_of_digits() -> None:
    assert {difficulty(said) for said in DRAWN} == {1, 2, 3}
    assert all(difficulty(s) == min(len(str(s.first)), len(str(s.second))) for s in DRAWN)
    hard = Quirky(fewest=3, most=3)
    assert {difficulty(hard.draw(seed)) for seed in SEEDS[:50]} == {3}
    with pytest.raises(ValidationError, match="most = 2 at most"):
        Quirky(fewest=3, most=2)


def test_a_prompt_does_not_tell_a_kind() -> None:
    """The same statement, taken for another kind: the same prompt. And what is known ends with the sum."""
    for seed, said in zip(SEEDS[:40], DRAWN, strict=False):
        prompt = CONFIG.prompt(said, seed)
        assert {CONFIG.prompt(said._replace(kind=k), seed).id for k in ("alice", "bob", "neither")} == {
            prompt.id
        }
        assert set(prompt.columns) == {"unparsed", "task", "speaker", "difficulty"}
        assert prompt.text.split()[-2:] == [said.speaker, "<act>"]
        one, two = contrast(prompt)
        assert (
            CONFIG.words.encode(one)[:-1] == CONFIG.words.encode(two)[:-1] == CONFIG.words.encode(prompt.text)
        )
    assert len({len(prompt.text.split()) for prompt in tasks(CONFIG, SEEDS[:40])}) == 1
    held = truths(CONFIG, SEEDS[:40])
    for seed, said in zip(held, DRAWN, strict=False):
        truth = {"true": said.first + said.second == said.total, "answer": says(said, said.speaker)}
        assert held[seed] == {**truth, "kind": said.kind}
