"""Mutants these kill: n-grams across answers, distinct without its expectation, V to the power n, a sum for
the mean over orders, silence as full diversity, compressed over raw."""

from __future__ import annotations

import pytest

from accord.maths.diversity import GPT2_VOCABULARY, distinct, ead, ngrams, self_similarity, words, zlib_ratio


def test_words_are_runs_and_single_signs() -> None:
    assert words("Ünïcode_1 — «ok»?!") == ("Ünïcode_1", "—", "«", "ok", "»", "?", "!")
    assert words(" \n\t") == ()
    assert words("Go go") == ("Go", "go")


def test_ngrams_stay_within_an_answer() -> None:
    assert ngrams(["a"], 2) == []
    assert distinct([["a", "b"], ["c", "d"]], 2) == 1.0
    assert distinct([["a", "b"], ["a", "b"], ["b", "a"]], 2) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="at least 1"):
        ngrams(["a"], 0)
    with pytest.raises(ValueError, match="2 tokens"):
        distinct([["a"], ["b"]], 2)


def test_ead_by_hand() -> None:
    # Words: 2 different; 3 uniform draws from 3 expect 3·(1 − 8/27) = 57/27. Pairs: 1, where 1 is expected.
    one, two = 2 / (57 / 27), 1.0
    assert ead([["a", "b"], ["a"]], orders=(1, 2), vocabulary=3) == pytest.approx((one + two) / 2)


def test_ead_uses_gpt2s_vocabulary_for_every_order() -> None:
    v = 50_257
    assert v == GPT2_VOCABULARY
    answer = list("abcdef")
    expected = [(7 - n) / (v * (1 - ((v - 1) / v) ** (7 - n))) for n in range(1, 6)]
    assert ead([answer]) == pytest.approx(sum(expected) / 5, rel=1e-10)


def test_ead_of_equal_answers_is_about_one_over_their_number() -> None:
    answer = words("one two three four five six seven")
    assert ead([answer]) == pytest.approx(1.0, abs=1e-3)
    assert ead([answer] * 4) == pytest.approx(0.25, abs=1e-3)


def test_ead_of_silence_is_none_and_short_answers_are_read_as_far_as_they_go() -> None:
    assert ead([[], [], []]) == 0.0
    assert ead([["yes"], ["no"]]) == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(ValueError, match="vocabulary"):
        ead([["a"]], vocabulary=1)
    with pytest.raises(ValueError, match="orders"):
        ead([["a"]], orders=())


def test_a_small_vocabulary_would_call_repetition_diverse() -> None:
    # The reason why V is never the model's own: 40 draws of 4 letters are all a small V can expect.
    group = [["a", "b", "c", "d"]] * 10
    assert ead(group, orders=(1,), vocabulary=4) > 0.99
    assert ead(group, orders=(1,)) < 0.11


def test_compression_grows_with_repetition() -> None:
    said = ["The sea is wide and grey.", "A dog ran over the hill.", "Numbers never sleep at night."]
    assert zlib_ratio([said[0]] * 3) > 1.5 * zlib_ratio(said) > 0
    with pytest.raises(ValueError, match="empty"):
        zlib_ratio([""])


def test_self_similarity_by_hand() -> None:
    # Pairs: (1, 2) share 1 of 3, (1, 3) and (2, 3) none.
    group = [["a", "b", "c"], ["a", "b", "d"], ["x", "y"]]
    assert self_similarity(group) == pytest.approx(1 / 9)
    assert self_similarity([["a", "b"]] * 3) == 1.0
    assert self_similarity([["a"], ["a"]]) == 1.0
    assert self_similarity([["a"], ["b"]]) == 0.0
    assert self_similarity([["a"], ["a", "b"]]) == 0.0
    with pytest.raises(ValueError, match="2 answers"):
        self_similarity([["a"]])
