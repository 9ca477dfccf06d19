"""Answers in steps: how they become tokens, and how a model that judges steps is asked about each of them.

Each step is tokenised by itself, behind all that stands before it, so that its tokens do not hang on what
follows: a model reads the same tokens while an answer is being written as it read in training. Where a
tokenizer would merge signs across the border of two steps, the tokens differ there from those of the answer
tokenised as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from accord.ports import Sampler
from accord.records import Episode, Prompt, Response
from accord.records.rows import Group

__all__ = ["in_steps", "so_far", "stepped"]


def stepped(
    prompt: Prompt, steps: Sequence[str], policy: Sampler, separator: str = "\n"
) -> tuple[Response, ...]:
    """A Response for each step, whose ``prompt_tokens`` are all that stands before it.

    ``separator`` begins every step but the first; the token that ends an answer stands behind the last alone.
    """
    found: list[Response] = []
    before: tuple[int, ...] = ()
    for k, step in enumerate(steps):
        whole = policy.encode(prompt, separator + step if k else step)
        tokens = whole.tokens if k == len(steps) - 1 else whole.tokens[:-1]
        before = before if k else whole.prompt_tokens
        found.append(whole.model_copy(update={"prompt_tokens": before, "tokens": tokens}))
        before += tokens
    return tuple(found)


def in_steps(group: Group, labels: Sequence[float | None]) -> Episode:
    """Steps as the turns of one episode, their labels as its rewards; those of steps that were cut off are
    gone with them."""
    steps, names = group.responses, tuple(step.id for step in group.responses)
    return Episode(
        prompt=group.prompt.id,
        responses=names,
        prompt_tokens=tuple(step.prompt_tokens for step in steps),
        tokens=tuple(step.tokens for step in steps),
        allowed=group.prompt.allowed,
        rewards=tuple(None if label is None else float(label) for label in labels[: len(steps)]),
        parents=names,
    )


def so_far(steps: Sequence[Response]) -> list[Response]:
    """For each step of ``stepped`` the answer up to it: what a reward model is asked to score.

    What it says of the k-th is what it says of step k, given those before it.
    """
    found: list[Response] = []
    for k, step in enumerate(steps):
        said = steps[: k + 1]
        whole = {
            "text": "".join(one.text for one in said),
            "prompt_tokens": steps[0].prompt_tokens,
            "tokens": tuple(token for one in said for token in one.tokens),
            "finish": step.finish if k == len(steps) - 1 else "length",
        }
        found.append(step.model_copy(update=whole))
    return found
