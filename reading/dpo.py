"""Direct preference optimisation (DPO) in one file, to be read from top to bottom.

Given: pairs of answers to a prompt, and which of the two people preferred. Wanted: a model that says the
better one more readily. The usual road is long: a reward model from the pairs, then a policy against it.
DPO (2305.18290) takes a short cut. The policy that is best for a reward r, at a price β for each nat it moves
away from its start π_ref, can be written down:

    π*(y|x) = π_ref(y|x) · exp(r(x, y) / β) / Z(x)     so     r(x, y) = β · log π*(y|x)/π_ref(y|x) + const

Read from right to left: every policy *is* a reward model, β·log π/π_ref. So train it as one, on the pairs.

    python reading/dpo.py        # a toy model learns which of two answers is sorted: seconds, on the CPU

What a library adds (packing, LoRA, bfloat16, checkpoints) changes how fast this goes, not where. A test holds
this file to Accord's own ``dpo``: the same losses and the same weights, within 1e-6 over ten steps.
Shapes are in the names: ``_R`` pairs, ``_A`` the two answers of a pair (the preferred one first).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

# 1. The data: token ids. An answer ends with the end token, which the model has to learn to say, too.


class Pair(NamedTuple):
    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


class Settings(NamedTuple):
    beta: float = 0.1  # small: the policy may go far for a preference; large: it stays near its start
    lr: float = 1e-3
    adam: tuple[float, float, float] = (0.9, 0.999, 1e-8)  # both betas and ε
    max_grad_norm: float = 1.0


# 2. How probable is an answer? The product of the probabilities of its tokens, so the sum of their logs.


def answer_logp(model: nn.Module, texts: Sequence[tuple[list[int], list[int]]]) -> Tensor:
    """log π(answer | prompt) of each (prompt, answer): one number per text."""
    longest = max(len(prompt) + len(answer) for prompt, answer in texts)
    # Texts of different lengths make a rectangle, filled up on the right. A causal model looks only to the
    # left, so what fills the end cannot reach a real token, and no attention mask is needed.
    tokens = torch.zeros(len(texts), longest, dtype=torch.long)
    is_answer = torch.zeros(len(texts), longest, dtype=torch.bool)
    for i, (prompt, answer) in enumerate(texts):
        tokens[i, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        # By place, never by id: the token that fills up may be one that answers contain.
        is_answer[i, len(prompt) : len(prompt) + len(answer)] = True
    logits = model(input_ids=tokens).logits
    # The logits at place t are about token t + 1. Forget the shift and the model learns to repeat itself.
    logp = torch.log_softmax(logits[:, :-1].float(), dim=-1)
    logp_of_next = logp.gather(2, tokens[:, 1:, None])[:, :, 0]
    # Only the answer counts. The prompt is the same for both answers; nobody asks for a likelier question.
    return torch.where(is_answer[:, 1:], logp_of_next, 0.0).sum(1)


def pair_logp_RA(model: nn.Module, pairs: Sequence[Pair]) -> Tensor:
    """log π of both answers of each pair."""
    texts = [(pair.prompt, answer) for pair in pairs for answer in (pair.chosen, pair.rejected)]
    return answer_logp(model, texts).view(len(pairs), 2)


# 3. The loss. The margin is the difference of two rewards β·log π/π_ref; σ(margin) is the probability that
# the policy, read as a reward model, gives to what people said (Bradley–Terry). Its negative log is the loss.


def dpo_loss(policy_RA: Tensor, reference_RA: Tensor, beta: float) -> Tensor:
    """−log σ(β·(gain of the chosen answer − gain of the rejected one)), averaged over pairs."""
    gained_RA = policy_RA - reference_RA
    margin_R = beta * (gained_RA[:, 0] - gained_RA[:, 1])
    # By hand: at the start both gains are 0, the margin is 0, and the loss is −log ½ = 0.6931 for every pair.
    return -logsigmoid(margin_R).mean()


# The gradient of the loss by the margin is −σ(−margin): pairs that are right already teach next to nothing,
# pairs that stand wrong pull with full weight. Note what the loss does not say: that the chosen answer should
# become likelier. Only the difference counts, and it often grows while *both* answers become less likely.


class Step(NamedTuple):
    """What one step was like, measured before its update."""

    loss: float
    accuracy: float  # share of pairs whose margin has the right sign
    chosen: float  # β·log π/π_ref of the preferred answers; below 0: less likely than at the start
    rejected: float


# 4. The loop.


def train(policy: nn.Module, batches: Sequence[Sequence[Pair]], settings: Settings) -> Iterator[Step]:
    """One update of ``policy`` for each batch of pairs."""
    # The reference is the policy as it is now. It never moves: it says where we came from, not where we are.
    reference = copy.deepcopy(policy).requires_grad_(False)
    *betas, eps = settings.adam
    optimizer = torch.optim.AdamW(
        policy.parameters(), settings.lr, betas=tuple(betas), eps=eps, weight_decay=0.0
    )
    for pairs in batches:
        with torch.no_grad():
            reference_RA = pair_logp_RA(reference, pairs)
        policy_RA = pair_logp_RA(policy, pairs)
        loss = dpo_loss(policy_RA, reference_RA, settings.beta)
        optimizer.zero_grad()
        loss.backward()
        # One odd batch must not throw the weights far away: a gradient longer than this is shortened.
        nn.utils.clip_grad_norm_(policy.parameters(), settings.max_grad_norm)
        optimizer.step()
        yield figures(loss, policy_RA, reference_RA, settings.beta)


def figures(loss: Tensor, policy_RA: Tensor, reference_RA: Tensor, beta: float) -> Step:
    reward_RA = beta * (policy_RA - reference_RA).detach()
    right_R = (1 + torch.sign(reward_RA[:, 0] - reward_RA[:, 1])) / 2  # equal rewards: a coin decides
    return Step(loss.item(), right_R.mean().item(), *reward_RA.mean(0).tolist())


# 5. A toy world, so that there is something to run. A prompt is four digits; of two answers with these digits
# people prefer the sorted one. Digits are tokens 0 … 9. The model begins with random weights: it is no
# speaker, and need not be, for DPO never asks it to speak. It only scores answers that are there already.

END, START, WORDS = 10, 11, 12


def toy_pairs(count: int, draw: random.Random) -> list[Pair]:
    pairs: list[Pair] = []
    while len(pairs) < count:
        digits = [draw.randrange(10) for _ in range(4)]
        other = draw.sample(digits, 4)
        if other != sorted(digits):
            pairs.append(Pair([START, *digits], [*sorted(digits), END], [*other, END]))
    return pairs


def toy_model() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=WORDS,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=32,
        )
    )


def main(steps: int = 60) -> None:
    torch.manual_seed(0)
    draw = random.Random(0)
    settings, policy = Settings(), toy_model()
    reference, unseen = copy.deepcopy(policy), toy_pairs(200, draw)
    batches = [toy_pairs(16, draw) for _ in range(steps)]
    print("step   loss  right  chosen  rejected      (chosen, rejected: β·log π/π_ref)")
    for number, step in enumerate(train(policy, batches, settings)):
        if number % 10 == 0 or number == steps - 1:
            print(
                f"{number:4d} {step.loss:6.3f} {step.accuracy:6.0%} {step.chosen:7.2f} {step.rejected:9.2f}"
            )
    with torch.no_grad():
        found = [pair_logp_RA(model, unseen) for model in (policy, reference)]
        loss = dpo_loss(*found, settings.beta)
    after = figures(loss, *found, settings.beta)
    print(
        f"200 pairs it never saw: loss {after.loss:.3f}, right in {after.accuracy:.0%} (at first: ½, a guess)"
    )


if __name__ == "__main__":
    main()
