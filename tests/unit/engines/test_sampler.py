"""LocalSampler: what it draws and scores, against logits computed the plain way, in float32."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from accord.engines.local import Local
from accord.engines.local.decode import Wanted, decode, seed_of
from accord.engines.local.decoder import Decoder
from accord.engines.local.forward import Forward
from accord.engines.local.models import Opened, open_model
from accord.engines.local.picking import Picker
from accord.engines.local.sampler import LocalSampler
from accord.errors import ContractError
from accord.ports import How
from accord.progress import Silent
from accord.records import Message, Prompt, Response
from accord.records.rows import Group, Text
from accord.testing import save_tiny

EOS = 258
PROMPTS = [Prompt.of(text) for text in ("Why?", "Tell me a much longer story, please.", "é", "Why not?")]
HOW = How("key", 1.0, 24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 1)


@pytest.fixture(scope="module")
def opened(folder: Path) -> Opened:
    return open_model(folder)


@pytest.fixture(scope="module")
def sampler(opened: Opened) -> LocalSampler:
    forward = Forward(opened.model)
    return LocalSampler(opened, "base:tiny", forward, decoder=Decoder(forward, torch.float32, None))


def sample(sampler: Any, prompts: Sequence[Prompt] = PROMPTS, n: int = 3, how: How = HOW) -> list[Group]:
    return asyncio.run(sampler.sample(prompts, n, how))


def logits_of(opened: Opened, tokens: Sequence[int]) -> torch.Tensor:
    with torch.no_grad():
        return opened.model(torch.tensor([list(tokens)])).logits[0].double()


def by_hand(opened: Opened, text: Text) -> dict[str, np.ndarray]:
    """All logits of one unpadded sequence, one softmax a token; the plainest way to the four columns."""
    response = text.response
    logits = logits_of(opened, (*response.prompt_tokens, *response.tokens)) / response.temperature
    if text.prompt.allowed is not None:
        keep = torch.zeros(logits.shape[1], dtype=torch.bool)
        keep[list(text.prompt.allowed)] = True
        logits[:, ~keep] = -torch.inf
    found: dict[str, list[float]] = {name: [] for name in ("logp", "rank", "entropy", "support")}
    for t, token in enumerate(response.tokens):
        p = torch.softmax(logits[len(response.prompt_tokens) + t - 1], -1)
        over = p > p[token]
        found["logp"].append(float(p[token].log()))
        found["rank"].append(float(over.sum()))
        found["entropy"].append(float(-(p[p > 0] * p[p > 0].log()).sum()))
        found["support"].append(float(p[over].sum() < 0.95))
    return {name: np.array(column) for name, column in found.items()}


WANT = frozenset({"logp", "rank", "entropy", "support"})


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("allowed", [None, (97, 98, 99, EOS)])
def test_scores_are_those_of_the_plain_computation(
    opened: Opened, sampler: LocalSampler, temperature: float, allowed: tuple[int, ...] | None
) -> None:
    prompts = [Prompt(messages=p.messages, allowed=allowed) for p in PROMPTS]
    groups = sample(sampler, prompts, 2, How("scores", temperature, 12))
    texts = [Text(g.prompt, r) for g in groups for r in g.responses]
    for text, scored in zip(texts, asyncio.run(sampler.score(texts, WANT)), strict=True):
        plain = by_hand(opened, text)
        for name in ("logp", "entropy"):
            assert scored.columns[name] == pytest.approx(plain[name], abs=2e-5), name
        assert scored.columns["rank"].tolist() == plain["rank"].tolist()
        assert scored.columns["support"].tolist() == plain["support"].tolist()


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_drawn_log_probabilities_are_the_scored_ones(sampler: LocalSampler, temperature: float) -> None:
    groups = sample(sampler, how=How("drawn", temperature, 24))
    texts = [Text(g.prompt, r) for g in groups for r in g.responses]
    found = asyncio.run(sampler.score(texts, frozenset({"logp"})))
    for text, scored in zip(texts, found, strict=True):
        assert scored.columns["logp"] == pytest.approx(np.array(text.response.logp), abs=2e-5)


def test_draws_follow_the_distribution(opened: Opened, sampler: LocalSampler) -> None:
    """The first token of 2,000 answers against its probability: χ² on the ten most probable, and the rest."""
    (group,) = sample(sampler, PROMPTS[:1], 2000, How("many", 1.0, 1))
    first = np.bincount([r.tokens[0] for r in group.responses], minlength=263)
    p = torch.softmax(logits_of(opened, group.responses[0].prompt_tokens)[-1], -1).numpy()
    top = np.argsort(-p)[:10]
    seen = np.append(first[top], 2000 - first[top].sum())
    expected = 2000 * np.append(p[top], 1 - p[top].sum())
    assert ((seen - expected) ** 2 / expected).sum() < 29.6, "the .999 quantile of χ² with 10 degrees"


def test_one_prompt_alone_draws_as_in_a_batch(sampler: LocalSampler) -> None:
    """Padding, neighbours and their order, and how many more are drawn, change no answer."""
    together = sample(sampler)
    for group in together:
        (alone,) = sample(sampler, [group.prompt], 3)
        assert [r.id for r in alone.responses] == [r.id for r in group.responses]
        (more,) = sample(sampler, [group.prompt], 7)
        assert [r.tokens for r in more.responses[:3]] == [r.tokens for r in group.responses]
    turned = sample(sampler, PROMPTS[::-1])[::-1]
    assert [g.responses for g in turned] == [g.responses for g in together]


def test_rows_that_finish_leave_the_others_as_they_were(opened: Opened) -> None:
    """Answers of very different lengths: each against the same draw decoded all by itself."""
    wanted = [
        Wanted(opened.render(p), tuple(seed_of("compact", p.id, i) for i in range(6)), None) for p in PROMPTS
    ]
    stop = frozenset({EOS, *range(97, 123)})  # most answers end early, some late
    drawn = [d for done in decode(opened.model, wanted, 40, 1.0, stop) for d in done]
    lengths = {len(d.tokens) for d in drawn}
    assert len(drawn) == 24
    assert len(lengths) > 5
    for one in drawn:
        want = wanted[one.prompt]
        lone = [want._replace(seeds=(want.seeds[one.sample],))]
        (again,) = [d for done in decode(opened.model, lone, 40, 1.0, stop) for d in done]
        assert again.tokens == one.tokens
        assert again.logp == pytest.approx(one.logp, abs=2e-5)
        assert again.stopped == one.stopped == (one.tokens[-1] in stop)


def test_many_more_answers_than_fit_side_by_side(sampler: LocalSampler) -> None:
    (group,) = sample(sampler, PROMPTS[:1], 130, How("wide", 1.0, 3))
    assert [r.index for r in group.responses] == list(range(130))
    assert len({r.seed for r in group.responses}) == 130


def test_the_end_stands_once_and_inside_and_a_cut_is_flagged(opened: Opened, sampler: LocalSampler) -> None:
    ends = Prompt(messages=PROMPTS[0].messages, allowed=(97, EOS))
    groups = sample(sampler, [ends], 20, How("ends", 1.0, 6))
    finishes = set()
    for response in groups[0].responses:
        finishes.add(response.finish)
        assert EOS not in response.tokens[:-1]
        assert (response.tokens[-1] == EOS) == (response.finish == "stop")
        assert response.finish == "stop" or len(response.tokens) == 6
        assert response.text == "a" * sum(t == 97 for t in response.tokens)
    assert finishes == {"stop", "length"}


def test_encode_ends_once_and_names_of_special_tokens_stay_text(
    opened: Opened, sampler: LocalSampler
) -> None:
    for text in ("hello", "", "<eos>", "a<|user|>b", "é\u2028🎈"):
        response = sampler.encode(PROMPTS[0], text)
        assert response.tokens == (*text.encode(), EOS)
        assert response.text == text
        assert response.finish == "data"
        assert response.prompt_tokens == opened.render(PROMPTS[0])
        assert response.prompt_tokens.count(257) == 1, "one <bos>"
        assert opened.text(response.tokens) == text


def test_the_template_is_rendered_as_transformers_does(opened: Opened, sampler: LocalSampler) -> None:
    talk = Prompt(
        messages=(
            Message(role="system", content="Be brief."),
            Message(role="user", content="Why?"),
            Message(role="assistant", content="So."),
            Message(role="user", content="Really?"),
        )
    )
    wanted = opened.tokenizer.apply_chat_template(
        [m.model_dump() for m in talk.messages], add_generation_prompt=True, return_dict=False
    )
    assert list(sampler.encode(talk, "x").prompt_tokens) == wanted


def test_a_conversation_extends_what_stands_before(sampler: LocalSampler) -> None:
    first = Prompt.of("Why?")
    said = sampler.encode(first, "So.")
    then = (*first.messages, Message(role="assistant", content="So."), Message(role="user", content="And?"))
    second = sampler.encode(Prompt(messages=then), "x")
    before = (*said.prompt_tokens, *said.tokens)
    assert second.prompt_tokens[: len(before)] == before


def test_a_text_of_another_tokenizer_is_cut_anew(sampler: LocalSampler) -> None:
    foreign = Response(
        prompt=PROMPTS[0].id, text="hello", tokens=(1, 2), tokenizer="another", temperature=0.5
    )
    own = sampler.encode(PROMPTS[0], "hello").model_copy(update={"temperature": 0.5})
    want = frozenset({"logp"})
    one, two = asyncio.run(sampler.score([Text(PROMPTS[0], foreign), Text(PROMPTS[0], own)], want))
    assert one.columns["logp"] == pytest.approx(two.columns["logp"])
    assert len(one.columns["logp"]) == 6
    assert one.tokenizer == two.tokenizer == own.tokenizer


def test_scores_do_not_depend_on_what_is_scored_beside(sampler: LocalSampler) -> None:
    texts = [Text(p, sampler.encode(p, "x" * (7 * i))) for i, p in enumerate(PROMPTS)]
    together = asyncio.run(sampler.score(texts, WANT))
    for text, scored in zip(texts, together, strict=True):
        (alone,) = asyncio.run(sampler.score([text], WANT))
        for name in WANT:
            assert scored.columns[name] == pytest.approx(alone.columns[name], abs=2e-5)
    assert asyncio.run(sampler.score([], WANT)) == []


@pytest.mark.parametrize("wish", ["head:score", "sample", "nonsense"])
def test_what_it_cannot_do_it_refuses(sampler: LocalSampler, wish: str) -> None:
    with pytest.raises(ContractError, match="asks for"):
        asyncio.run(sampler.score([Text(PROMPTS[0], sampler.encode(PROMPTS[0], "x"))], frozenset({wish})))


@pytest.mark.parametrize(("how", "n"), [(How("k", 0.0), 1), (How("k", 1.0, 0), 1), (How("k"), 0)])
def test_nonsense_is_refused_before_anything_is_drawn(sampler: LocalSampler, how: How, n: int) -> None:
    with pytest.raises(ContractError, match="temperature > 0"):
        sample(sampler, n=n, how=how)


def test_other_keys_draw_other_answers(sampler: LocalSampler) -> None:
    one, two = (sample(sampler, how=HOW._replace(key=key))[1].responses[0] for key in ("a", "b"))
    assert one.tokens != two.tokens


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-25, 1 - 2**-53])
def test_a_token_of_no_probability_is_never_drawn(uniform: float) -> None:
    """A draw just under 1 becomes 1 in float32; the tokens behind the last possible one must not be hit."""
    scores = torch.tensor([[-torch.inf, 0.0, 1.0, -torch.inf, -torch.inf]])
    token, logp = Picker(scores.shape[1]).pick(scores, torch.tensor([uniform], dtype=torch.float64), 1.0, {})
    assert token.item() in (1, 2)
    assert torch.isfinite(logp).all()


def test_a_bfloat16_decoder_draws_close_to_what_is_scored(folder: Path) -> None:
    sampler = Local(decode="bfloat16", device="cpu").sampler(str(folder), Silent())
    groups = sample(sampler, n=4)
    texts = [Text(g.prompt, r) for g in groups for r in g.responses]
    found = asyncio.run(sampler.score(texts, frozenset({"logp"})))
    gaps = np.concatenate(
        [s.columns["logp"] - np.array(t.response.logp) for s, t in zip(found, texts, strict=True)]
    )
    # bfloat16 keeps eight bits: .02 a token is typical at this size, and never biased to one side.
    assert np.abs(gaps).mean() < 0.03
    assert np.abs(gaps).max() < 0.3
    again = sample(Local(decode="bfloat16", device="cpu").sampler(str(folder), Silent()), n=4)
    assert [r.id for g in again for r in g.responses] == [t.response.id for t in texts]


def test_a_base_is_named_by_its_files(folder: Path, tmp_path: Path) -> None:
    name = Local(decode="float32", precision="float32", device="cpu").sampler(str(folder), Silent()).policy
    assert name.startswith("base:")
    other = save_tiny(tmp_path, 2)
    assert (
        Local(decode="float32", precision="float32", device="cpu").sampler(str(other), Silent()).policy
        != name
    )
