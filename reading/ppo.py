"""Proximal policy optimisation (PPO) for a language model in one file, to be read from top to bottom.

A model answers, something scores the answers, and the model learns to say what scored well, at a price β for
each nat it moves away from its start π_ref (1707.06347; on language models 2203.02155). One score comes at
the end of many tokens: which earned it? A second network, the critic, learns to foretell the score while an
answer is written. Tokens after which more came than foretold get likelier, the others less likely.

    python reading/ppo.py        # a toy model learns to repeat a word: seconds, on the CPU

A test holds this file to Accord's own ``ppo``: the same losses and weights, within 1e-6 over ten steps.
Shapes are in the names: ``_R`` answers, ``_L`` places in the rectangle of tokens; place t chooses token t+1.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from transformers import LlamaConfig, LlamaForCausalLM

Steps = Sequence[Sequence[int]]  # the rows of each update; several passes over all rows are several epochs


class Answered(NamedTuple):
    prompt: list[int]
    answer: list[int]  # ends with the end token, unless it was cut off
    score: float


class Settings(NamedTuple):
    beta: float = 0.05  # the price of a nat of KL(π‖π_ref)
    lam: float = 0.95  # 1: trust what came; 0: trust what the critic says of the next state
    clip: float = 0.2
    clip_value: float = 0.2
    value_weight: float = 0.1
    lr: float = 1e-3
    adam: tuple[float, float, float] = (0.9, 0.999, 1e-5)  # β₁, β₂, ε
    max_grad_norm: float = 1.0


# 1. What the two networks say of a rectangle of tokens.
def rectangle(rows: Sequence[Answered]) -> tuple[Tensor, Tensor]:
    """Tokens, filled up on the right, and which places choose a token of the answer."""
    longest = max(len(row.prompt) + len(row.answer) for row in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    chooses_RL = torch.zeros(len(rows), longest - 1, dtype=torch.bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row.prompt) + len(row.answer)] = torch.tensor(row.prompt + row.answer)
        chooses_RL[i, len(row.prompt) - 1 : len(row.prompt) + len(row.answer) - 1] = True
    return tokens, chooses_RL


def logp_RL(policy: nn.Module, tokens: Tensor) -> Tensor:
    """log π of the token that came next, at every place."""
    logp = torch.log_softmax(policy(input_ids=tokens).logits[:, :-1].float(), dim=-1)
    return logp.gather(2, tokens[:, 1:, None])[:, :, 0]


class Critic(nn.Module):
    """V(state): the rewards that are still to come, foretold before each token. A body of its own."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.head.weight)  # it knows nothing, and says so: V = 0 everywhere

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.body(input_ids=tokens)[0])[:, :-1, 0]


# 2. From scores to advantages. All of this is arithmetic on fixed numbers: no gradient flows here.
def advantages(reward_RL: Tensor, value_RL: Tensor, chooses_RL: Tensor, settings: Settings) -> Tensor:
    """How much better than foretold it went after each token (GAE, 1506.02438; its γ is 1)."""
    found_RL, advantage, next_value = torch.zeros_like(reward_RL), 0.0, 0.0
    for t in reversed(range(reward_RL.shape[1])):
        # What this token paid, plus the outlook after it (0 after the last one), less the outlook before it.
        surprise = reward_RL[:, t] + next_value - value_RL[:, t]
        advantage = chooses_RL[:, t] * (surprise + settings.lam * advantage)
        found_RL[:, t], next_value = advantage, chooses_RL[:, t] * value_RL[:, t]
    return found_RL


class Experience(NamedTuple):
    """A window of answers, and all that was measured of it before it was learnt from."""

    tokens: Tensor
    chooses_RL: Tensor
    old_RL: Tensor  # log π when it answered
    value_RL: Tensor
    advantage_RL: Tensor
    return_RL: Tensor
    kl: float  # mean over answers of Σ log π/π_ref
    explained: float  # 1: the critic foretold every return; 0 and below: no better than their mean


@torch.no_grad()
def experience(
    policy: nn.Module, reference: nn.Module, critic: Critic, rows: Sequence[Answered], settings: Settings
) -> Experience:
    tokens, chooses_RL = rectangle(rows)
    old_RL, value_RL = logp_RL(policy, tokens), critic(tokens)
    # Each token pays for how far it went from the start: over an answer that is β·log π/π_ref. It is part of
    # the reward, not of the loss, so that all of it is one reward, with the optimum π_ref·exp(score/β).
    drift_RL = torch.where(chooses_RL, old_RL - logp_RL(reference, tokens), 0.0)
    reward_RL = -settings.beta * drift_RL
    for i, row in enumerate(rows):
        reward_RL[i, len(row.prompt) + len(row.answer) - 2] += row.score  # paid for choosing the last token
    advantage_RL = advantages(reward_RL, value_RL, chooses_RL, settings)
    return_RL = advantage_RL + value_RL  # what the critic should have said; taken before whitening
    plain, returns = advantage_RL[chooses_RL], return_RL[chooses_RL]
    # Mean 0, deviation 1: the size of a step shall not hang on the scale of the scores.
    advantage_RL[chooses_RL] = (plain - plain.mean()) / (plain.std() + 1e-4)
    told = (drift_RL.sum(1).mean().item(), 1 - (plain.var() / returns.var()).item())
    return Experience(tokens, chooses_RL, old_RL, value_RL, advantage_RL, return_RL, *told)


# 3. Two losses. ρ = π/π_old is 1 while a window is fresh; as its rows are used again, it leaves 1.
def policy_loss(logp: Tensor, old: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """−min(ρA, clip(ρ)·A): beyond 1 ± clip there is nothing more to gain, so the gradient is 0 there."""
    rho = torch.exp(logp - old)
    # At ρ = 1 the gradient is −A·∇log π: likelier where it went better than foretold. As advantages have mean
    # 0, the loss itself is about 0 there, however much is learnt: do not judge it by its size.
    return -torch.minimum(rho * advantage, torch.clamp(rho, 1 - clip, 1 + clip) * advantage)


def value_loss(value: Tensor, old: Tensor, wanted: Tensor, clip: float) -> Tensor:
    """½(V − R)², or that of a V held near what it was, whichever is worse: the critic, too, goes in steps."""
    held = torch.clamp(value, old - clip, old + clip)
    return 0.5 * torch.maximum((value - wanted) ** 2, (held - wanted) ** 2)


# 4. Learning from one window.
def optimizer_of(policy: nn.Module, critic: Critic, settings: Settings) -> AdamW:
    (*betas, eps), weights = settings.adam, [*policy.parameters(), *critic.parameters()]
    return AdamW(weights, settings.lr, betas=tuple(betas), eps=eps, weight_decay=0.0)


def learn(
    policy: nn.Module, critic: Critic, optimizer: AdamW, seen: Experience, steps: Steps, settings: Settings
) -> Iterator[tuple[float, float]]:
    """One update for each list of rows; yields the two losses before it."""
    for rows in steps:
        at, tokens = seen.chooses_RL[rows], seen.tokens[rows]
        logp, value = logp_RL(policy, tokens)[at], critic(tokens)[at]
        old, known = seen.old_RL[rows][at], seen.value_RL[rows][at]
        # A mean over all answer tokens of the step, so a long answer has a larger say than a short one.
        acts = policy_loss(logp, old, seen.advantage_RL[rows][at], settings.clip).mean()
        foretells = value_loss(value, known, seen.return_RL[rows][at], settings.clip_value).mean()
        optimizer.zero_grad()
        (acts + settings.value_weight * foretells).backward()
        for network in (policy, critic):
            nn.utils.clip_grad_norm_(network.parameters(), settings.max_grad_norm)
        optimizer.step()
        yield acts.item(), foretells.item()


# 5. A toy world: the prompt is one word of six, the score the share of an answer's tokens that repeat it.
END, START, WORDS, LONGEST = 0, 1, 8, 6


@torch.no_grad()
def sampled(policy: nn.Module, prompts: Tensor, draw: torch.Generator) -> list[Answered]:
    """One answer to each prompt, token by token, at temperature 1."""
    tokens, rows = prompts, list[Answered]()
    for _ in range(LONGEST):
        chances = torch.softmax(policy(input_ids=tokens).logits[:, -1], dim=-1)
        tokens = torch.cat([tokens, torch.multinomial(chances, 1, generator=draw)], dim=1)
    for prompt, whole in zip(prompts.tolist(), tokens.tolist(), strict=True):
        said = whole[len(prompt) :]
        said = said[: said.index(END) + 1] if END in said else said
        rows.append(Answered(prompt, said, said.count(prompt[-1]) / LONGEST))
    return rows


def main(windows: int = 31, answers: int = 128, epochs: int = 4) -> None:
    torch.manual_seed(0)
    settings, draw = Settings(lr=3e-3), torch.Generator().manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    policy = LlamaForCausalLM(LlamaConfig(vocab_size=WORDS, max_position_embeddings=16, **small))
    reference, critic = copy.deepcopy(policy).requires_grad_(False), Critic(copy.deepcopy(policy.model), 32)
    optimizer = optimizer_of(policy, critic, settings)
    print("window  score     KL  explained      (KL: nats per answer; explained: what the critic foretold)")
    for window in range(windows):
        words = torch.randint(2, WORDS, (answers, 1), generator=draw)
        rows = sampled(policy, torch.cat([torch.full_like(words, START), words], dim=1), draw)
        seen = experience(policy, reference, critic, rows, settings)
        orders = [torch.randperm(answers, generator=draw).tolist() for _ in range(epochs)]
        halves = [order[half::2] for order in orders for half in (0, 1)]
        list(learn(policy, critic, optimizer, seen, halves, settings))
        if window % 5 == 0:
            score = sum(row.score for row in rows) / answers
            print(f"{window:6d} {score:6.2f} {seen.kl:6.2f} {seen.explained:10.2f}")


if __name__ == "__main__":
    main()
