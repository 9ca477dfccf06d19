"""What has begun goes on from its exact tokens, and reads as the chat template would write it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from accord.engines.local import Local
from accord.engines.local.models import Opened, open_model
from accord.engines.local.tiny import byte_tokenizer
from accord.engines.local.tokens import ids_of, rendered
from accord.engines.scripted import Scripted
from accord.errors import PlanError
from accord.ports import How, Sampler
from accord.progress import Silent
from accord.records import Begun, Message, Prompt, Response
from accord.testing import save_tiny

BOS, EOS = 257, 258
# That of SmolLM2 and of many others.
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are of use.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Trims what it writes, and puts a blank around answers.
BLANKS = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}"
    "{{ ' ' ~ (m['content'] | trim) ~ ' ' ~ eos_token }}"
    "{% else %}{{ '[' ~ (m['content'] | trim) ~ ']' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ ' ' }}{% endif %}"
)
KINDS = ("tiny", "chatml", "plain", "blanks")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Opened]:
    folder = tmp_path_factory.mktemp("models")
    found: dict[str, Opened] = {}
    for kind in KINDS:
        save_tiny(folder / kind, 1, layers=1, width=16)
        tokenizer: Any = byte_tokenizer()
        if kind == "chatml":
            tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
            tokenizer.eos_token = "<|im_end|>"
        tokenizer.chat_template = {"chatml": CHATML, "plain": None, "blanks": BLANKS}.get(
            kind, tokenizer.chat_template
        )
        for old in ("chat_template.jinja", "tokenizer_config.json"):
            (folder / kind / old).unlink(missing_ok=True)
        tokenizer.save_pretrained(folder / kind)
        found[kind] = _opened(folder / kind, tokenizer)
    return found


def _opened(folder: Path, tokenizer: Any) -> Opened:
    """The tiny model has no rows for two more tokens; nothing here is computed with it."""
    import json

    config = json.loads((folder / "config.json").read_text())
    if len(tokenizer) > config["vocab_size"]:
        from transformers import LlamaConfig, LlamaForCausalLM

        LlamaForCausalLM(LlamaConfig(**{**config, "vocab_size": len(tokenizer)})).save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
    return open_model(folder)


def said(opened: Opened, prompt: Prompt, text: str, ended: bool = True) -> Response:
    """An answer drawn token by token: its words apart, where the tokenizer would join them."""
    tokens = tuple(t for sign in text for t in ids_of(opened.tokenizer, sign, split=True))
    return Response(
        prompt=prompt.id,
        text=text,
        prompt_tokens=opened.render(prompt),
        tokens=(*tokens, opened.end) if ended else tokens,
        finish="stop" if ended else "length",
        tokenizer=opened.tokenizer_digest,
    )


def then(prompt: Prompt, answer: Response, *more: Message) -> Prompt:
    begun = Begun(tokenizer=answer.tokenizer, tokens=(*answer.prompt_tokens, *answer.tokens))
    return prompt.then(answer.text, *more).model_copy(update={"begun": begun})


def decoded(opened: Opened, tokens: tuple[int, ...]) -> str:
    told: Any = opened.tokenizer
    return told.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def assert_reads(opened: Opened, prompt: Prompt, kind: str) -> None:
    """A blank that the template puts before an end stands only where the template wrote that end."""
    found, wanted = decoded(opened, opened.render(prompt)), by_template(opened, prompt)
    if kind == "blanks":
        found, wanted = (text.replace(" <eos>", "<eos>") for text in (found, wanted))
    assert found == wanted


def by_template(opened: Opened, prompt: Prompt) -> str:
    return rendered(opened.tokenizer, [m.model_dump() for m in prompt.messages])


@pytest.mark.parametrize("ended", [True, False], ids=["stopped", "cut"])
@pytest.mark.parametrize("kind", KINDS)
def test_three_turns_read_as_the_template_writes_them(
    models: dict[str, Opened], kind: str, ended: bool
) -> None:
    opened = models[kind]
    prompt = Prompt.of("Why?")
    for turn in range(3):
        assert_reads(opened, prompt, kind)
        answer = said(opened, prompt, f"So é {turn}", ended)
        more = Message(role="user", content=f"And {turn}, then?")
        tool = (Message(role="tool", content="4"),) if kind in ("tiny", "chatml") else ()
        after = then(prompt, answer, *tool, more)
        read = opened.render(after)
        before = (*answer.prompt_tokens, *answer.tokens)
        assert read[: len(before)] == before, "token by token what was read and said"
        assert read.count(BOS) == opened.render(Prompt.of("?")).count(BOS) <= 1
        ends = [t for t in read if t == opened.end]
        assert len(ends) == by_template(opened, after).count(decoded(opened, (opened.end,)))
        prompt = after
    assert_reads(opened, prompt, kind)


def test_a_suffix_has_the_tokens_that_the_whole_has(models: dict[str, Opened]) -> None:
    opened = models["chatml"]
    first = Prompt.of("Why?")
    answer = opened.encoded(first, "So it is.")
    after = then(first, answer, Message(role="tool", content="12 <b>"), Message(role="user", content="And?"))
    assert opened.render(after) == opened.render(after.model_copy(update={"begun": None}))


def test_what_was_said_stays_where_the_tokenizer_would_cut_it_otherwise(models: dict[str, Opened]) -> None:
    """Bytes that are no UTF-8 are read as signs of their own, and would come back as others."""
    opened, first = models["tiny"], Prompt.of("Why?")
    drawn = (0xC3, 0x28, 65, EOS)
    told = {"tokens": drawn, "text": opened.text(drawn)}
    answer = Response.model_validate(said(opened, first, "x").model_dump() | told)
    again = Message(role="user", content="And?")
    after = then(first, answer, again)
    start = len(answer.prompt_tokens)
    assert opened.render(after)[start : start + 4] == drawn
    assert opened.render(first.then(answer.text, again))[start : start + 4] != drawn


def test_tokens_of_another_tokenizer_are_not_gone_on_from(models: dict[str, Opened]) -> None:
    """As by a reward model with a tokenizer of its own: it reads the text."""
    opened, other = models["tiny"], models["chatml"]
    first = Prompt.of("Why?")
    after = then(first, said(opened, first, "So."), Message(role="user", content="And?"))
    assert decoded(other, other.render(after)) == by_template(other, after)
    assert other.render(after) == other.render(after.model_copy(update={"begun": None}))


@pytest.mark.parametrize(
    ("template", "says"),
    [
        # Thoughts are opened where an answer is due, and gone from earlier ones.
        (
            "{% for m in messages %}{{ '<|' ~ m['role'] ~ '|>' ~ m['content'] ~ eos_token }}{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|><think>{% endif %}",
            "otherwise than the one it waits for",
        ),
        # Earlier answers are left out.
        (
            "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] ~ eos_token }}{% endif %}"
            "{% endfor %}{% if add_generation_prompt %}A:{% endif %}",
            "does not write every answer once",
        ),
        (
            "{% for m in messages %}{{ m['role'] ~ ':' ~ m['content'] ~ '\n' }}{% endfor %}"
            "{% if add_generation_prompt %}assistant:{% endif %}",
            "writes no end behind an earlier answer",
        ),
        (
            "{% for m in messages %}{% if m['role'] == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
            "{{ '<|' ~ m['role'] ~ '|>' ~ m['content'] ~ eos_token }}{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}",
            "no tools",
        ),
    ],
)
def test_a_template_that_cannot_be_split_is_told(
    models: dict[str, Opened], template: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = models["tiny"]
    first = Prompt.of("Why?")
    after = then(first, said(opened, first, "So."), Message(role="tool", content="4"))
    opened.render(after)
    monkeypatch.setattr(opened.tokenizer, "chat_template", template)
    with pytest.raises(PlanError, match=says):
        opened.render(after)


def test_the_mark_is_told_from_what_is_said(models: dict[str, Opened]) -> None:
    opened, first = models["tiny"], Prompt.of("qzq? qzqzq!")
    after = then(first, said(opened, first, "qzq"), Message(role="user", content="qzqzqzq"))
    assert decoded(opened, opened.render(after)) == by_template(opened, after)


@pytest.mark.parametrize("engine", ["scripted", "local"])
def test_what_is_drawn_goes_on_exactly(engine: str, tmp_path: Path) -> None:
    """Through sample, with answers that were cut and such that stopped; and score reads the same tokens."""
    made: Any = Scripted(words=("a", "b", "c"), shortest=0, longest=3, spread=1.0)
    if engine == "local":
        made = Local(decode="float32", precision="float32", device="cpu")
    start = "scripted" if engine == "scripted" else str(save_tiny(tmp_path / "tiny", 3, layers=1, width=16))
    sampler: Sampler = made.sampler(start, Silent())
    firsts = [Prompt.of(f"Question {i}?") for i in range(6)]
    most = 2 if engine == "scripted" else 24
    groups = asyncio.run(sampler.sample(firsts, 12, How("one", 1.0, most)))
    pairs = [(g.prompt, r) for g in groups for r in g.responses]
    assert {r.finish for _, r in pairs} == {"stop", "length"}
    afters = [then(prompt, r, Message(role="user", content="Go on.")) for prompt, r in pairs]
    afters = [a.model_copy(update={"parents": (r.id,)}) for a, (_, r) in zip(afters, pairs, strict=True)]
    for after, group in zip(afters, asyncio.run(sampler.sample(afters, 1, How("two", 1.0, 3))), strict=True):
        assert after.begun is not None
        assert group.responses[0].prompt_tokens[: len(after.begun.tokens)] == after.begun.tokens
        assert sampler.encode(after, "a").prompt_tokens == group.responses[0].prompt_tokens
