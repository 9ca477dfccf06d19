"""Tiny models: the tokenizer loses nothing, the seed decides the weights, transformers loads the folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer

from accord.engines.local.tiny import ROLES, byte_tokenizer, save_tiny, tiny_model

TOKENIZER = byte_tokenizer()
IDS = torch.tensor([[257, 260, 72, 105, 258, 261]])


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    ids = TOKENIZER(text, split_special_tokens=True)["input_ids"]
    assert ids == list(text.encode())
    assert TOKENIZER.decode(ids) == text


def test_special_tokens_have_the_ids_behind_the_bytes() -> None:
    names = ["<pad>", "<bos>", "<eos>", *(f"<|{role}|>" for role in ROLES)]
    assert TOKENIZER.convert_tokens_to_ids(names) == list(range(256, 263))
    assert len(TOKENIZER) == 263
    assert TOKENIZER("a")["input_ids"] == [97]


def test_template_begins_once_ends_each_message_and_opens_the_answer() -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    text = TOKENIZER.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    assert text == "<bos><|user|>a<eos><|assistant|>b<eos><|assistant|>"


def test_template_refuses_an_unknown_role() -> None:
    with pytest.raises(TemplateError, match="unknown role oracle"):
        TOKENIZER.apply_chat_template([{"role": "oracle", "content": "a"}], tokenize=False)


def test_weights_depend_on_the_seed_alone_and_torch_stays_as_found() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = tiny_model(7)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    two, other = tiny_model(7), tiny_model(8)
    same = [torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(one(IDS).logits, other(IDS).logits)
    assert not one.training
    assert {p.dtype for p in one.parameters()} == {torch.float32}
    assert 20_000 < sum(p.numel() for p in one.parameters()) < 60_000


def test_distributions_are_neither_flat_nor_decided() -> None:
    logp = torch.log_softmax(tiny_model(0)(IDS).logits[0], -1)
    entropy = -(logp.exp() * logp).sum(-1)
    assert ((entropy > 3.5) & (entropy < 5.4)).all()  # log 263 = 5.57


def test_saved_folder_loads_as_it_is(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "a" / "tiny", 3, layers=1, width=16)
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        assert torch.equal(model(IDS).logits, tiny_model(3, layers=1, width=16)(IDS).logits)
    assert tokenizer("é🎈 <eos>")["input_ids"] == TOKENIZER("é🎈 <eos>")["input_ids"]
    assert tokenizer.decode(list("é, a ' b .".encode())) == "é, a ' b ."
    assert tokenizer.chat_template == TOKENIZER.chat_template
    ends = (model.generation_config.bos_token_id, model.generation_config.eos_token_id)
    assert ends == (tokenizer.bos_token_id, tokenizer.eos_token_id) == (257, 258)
    assert tokenizer.pad_token_id == 256
