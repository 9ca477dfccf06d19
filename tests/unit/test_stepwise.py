"""Answers in steps: one sequence, each step's tokens its own, and cuts that no label is left over from.

Mutants: an end after every step, a separator before the first or none, a prompt that forgets a step, a label
kept for a step that was cut off, half a step kept with its label.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from accord.engines.local import Local
from accord.errors import Refused
from accord.lengths import Fitted, Limits, Truncate, fitted_steps
from accord.ports import Sampler
from accord.progress import Silent
from accord.records import Prompt
from accord.records.rows import Group
from accord.stepwise import in_steps, so_far, stepped
from accord.testing import save_tiny

PROMPT = Prompt.of("What is 2 + 2 + 2?")
STEPS = ("2 + 2 = 4", "so 4 + 2", "= 6")
END = 258  # of the byte tokenizer


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Sampler:
    engine = Local(precision="float32", device="cpu")
    return engine.sampler(str(save_tiny(tmp_path_factory.mktemp("tiny"))), Silent())


def spoken(tokens: Sequence[int]) -> str:
    return bytes(t for t in tokens if t < 256).decode()


@pytest.mark.parametrize("separator", ["\n", " ", "", "\n\n"])
def test_steps_are_one_sequence_that_ends_once(policy: Sampler, separator: str) -> None:
    said = stepped(PROMPT, STEPS, policy, separator)
    whole = policy.encode(PROMPT, separator.join(STEPS))
    (sequence,) = in_steps(Group(PROMPT, said), (True, False, None)).sequences()
    assert sequence.tokens == (*whole.prompt_tokens, *whole.tokens)
    assert sum(sequence.answer) == len(whole.tokens)
    assert [spoken(r.tokens) for r in said] == [STEPS[0], separator + STEPS[1], separator + STEPS[2]]
    assert [r.tokens.count(END) for r in said] == [0, 0, 1]
    assert said[-1].tokens[-1] == END
    for before, after in pairwise(said):
        assert after.prompt_tokens == (*before.prompt_tokens, *before.tokens)
    assert {r.prompt for r in said} == {PROMPT.id}
    assert len({r.id for r in said}) == 3


def test_labels_are_the_rewards_of_the_turns(policy: Sampler) -> None:
    group = Group(PROMPT, stepped(PROMPT, STEPS, policy))
    episode = in_steps(group, (True, False, None))
    assert episode.rewards == (1.0, 0.0, None)
    assert episode.responses == episode.parents == tuple(r.id for r in group.responses)
    assert episode.id != in_steps(group, (True, True, None)).id, "another label is another fact"


def test_a_model_is_asked_about_each_step_by_the_answer_up_to_it(policy: Sampler) -> None:
    found = so_far(stepped(PROMPT, STEPS, policy))
    assert [r.text for r in found] == [STEPS[0], "\n".join(STEPS[:2]), "\n".join(STEPS)]
    assert [spoken(r.tokens) for r in found] == [r.text for r in found]
    assert [r.finish for r in found] == ["length", "length", "data"]
    assert [r.tokens[-1] == END for r in found] == [False, False, True]
    assert {r.prompt_tokens for r in found} == {policy.encode(PROMPT, "").prompt_tokens}


def fit(policy: Sampler, most: tuple[int | None, int | None], truncate: Truncate) -> Fitted:
    return fitted_steps(PROMPT, STEPS, policy, Limits(*most, truncate), "\n")


WHOLE = len("\n".join(STEPS)) + 1


def test_what_fits_is_as_it_was(policy: Sampler) -> None:
    plain = Group(PROMPT, stepped(PROMPT, STEPS, policy))
    asked = len(policy.encode(PROMPT, "").prompt_tokens)
    for most in ((None, None), (asked, WHOLE)):
        for truncate in ("refuse", "drop", "cut_both"):
            assert fit(policy, most, truncate) == (plain, False)


@pytest.mark.parametrize(
    ("most", "kept", "ended"),
    [
        (WHOLE - 1, STEPS, False),
        (WHOLE - 2, STEPS[:2], False),
        (len("\n".join(STEPS[:2])), STEPS[:2], False),
        (len("\n".join(STEPS[:2])) - 1, STEPS[:1], False),
        (len(STEPS[0]), STEPS[:1], False),
    ],
)
def test_an_answer_is_cut_behind_the_last_whole_step(
    policy: Sampler, most: int, kept: tuple[str, ...], ended: bool
) -> None:
    group, cut = fit(policy, (None, most), "cut_answer")
    assert cut
    assert group is not None
    assert group.prompt == PROMPT
    assert "\n".join(STEPS)[: len("\n".join(kept))] == "".join(spoken(r.tokens) for r in group.responses)
    assert [r.text.strip() for r in group.responses] == list(kept)
    assert group.responses[-1].finish == "length"
    assert all(END not in r.tokens for r in group.responses)
    assert sum(len(r.tokens) for r in group.responses) <= most
    labels = (True, None, False)
    assert in_steps(group, labels).rewards == tuple(
        None if label is None else float(label) for label in labels[: len(kept)]
    )


def test_an_answer_whose_first_step_does_not_fit_is_left_out(policy: Sampler) -> None:
    assert fit(policy, (None, len(STEPS[0]) - 1), "cut_answer") == (None, False)
    assert fit(policy, (None, WHOLE - 1), "drop") == (None, False)
    assert fit(policy, (None, WHOLE - 1), "cut_prompt_left") == (None, False)
    with pytest.raises(Refused, match=f"answer of {WHOLE} tokens"):
        fit(policy, (None, WHOLE - 1), "refuse")


def test_a_prompt_is_cut_as_any_other_and_the_steps_stand_behind_what_is_left(policy: Sampler) -> None:
    shorter = Prompt.of("2 + 2?")
    asked = policy.encode(shorter, "").prompt_tokens
    group, cut = fit(policy, (len(asked), None), "cut_both")
    assert cut
    assert group is not None
    assert group.prompt == PROMPT
    assert {r.prompt for r in group.responses} == {PROMPT.id}
    assert group.responses[0].prompt_tokens == asked
    assert len(in_steps(group, (True, True, True)).sequences()) == 1
    assert fit(policy, (len(asked), None), "cut_answer") == (None, False)


def test_a_tokenizer_that_merges_across_the_border_reads_steps_apart(policy: Sampler) -> None:
    """Stands for one that writes full stop and line break as one token: each step keeps its own."""

    class Merging:
        def encode(self, prompt: Prompt, text: str) -> Any:
            plain = policy.encode(prompt, text)
            tokens = tuple(text.encode())
            merged = tuple(300 if tokens[i : i + 2] == (46, 10) else t for i, t in enumerate(tokens))
            return plain.model_copy(update={"tokens": (*merged, END)})

    sampler: Any = Merging()
    said = stepped(PROMPT, ("So.", "Yes."), sampler)
    assert [r.tokens for r in said] == [(83, 111, 46), (10, 89, 101, 115, 46, END)]
    assert 300 in sampler.encode(PROMPT, "So.\nYes.").tokens
