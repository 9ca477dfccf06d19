# size: one table of bad models
"""Opening models: what is whole opens, and each way to be broken has its one error."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.utils import logging

from accord.engines.local.models import Opened, find_model, manifest_digest, model_manifest, open_model
from accord.engines.local.quiet import quiet
from accord.engines.local.tiny import byte_tokenizer, save_tiny, tiny_model
from accord.engines.local.tokens import tokenizer_digest
from accord.engines.local.weights import check_weights
from accord.errors import AccordError, PlanError, Refused, Unreadable
from accord.records import Message, Prompt

IDS = torch.tensor([[257, 260, 72, 105, 258, 261]])
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "whole", 5)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def change(file: Path, **values: object) -> None:
    """Set keys of a JSON file; None takes a key away."""
    merged = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({k: v for k, v in merged.items() if v is not None}))


# What opens


def test_a_whole_model_opens_ready_and_silent(whole: Path, capfd: pytest.CaptureFixture[str]) -> None:
    opened = open_model(whole)
    assert capfd.readouterr() == ("", "")
    assert not opened.model.training
    assert opened.notes == ()
    assert opened.folder == whole
    with torch.inference_mode():
        assert torch.equal(opened.model(IDS).logits, tiny_model(5)(IDS).logits)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_dtype_is_the_one_asked_for(whole: Path, dtype: str) -> None:
    assert {p.dtype for p in open_model(whole, dtype=dtype).model.parameters()} == {getattr(torch, dtype)}


def test_unknown_dtype_is_a_plan_error(whole: Path) -> None:
    with pytest.raises(PlanError, match='did you mean "float32"'):
        open_model(whole, dtype="float3")


def test_without_torch_the_command_that_adds_it_is_named(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else object())
    with pytest.raises(Refused, match=r"needs torch\n  Run:  pip install 'accord\[train\]'"):
        open_model(whole)


def test_shards_open_as_one_file_does(whole: Path, tmp_path: Path) -> None:
    opened = open_model(whole)
    opened.model.save_pretrained(tmp_path, max_shard_size="60KB")
    byte_tokenizer().save_pretrained(tmp_path)
    assert len(check_weights(tmp_path)) > 1
    with torch.inference_mode():
        assert torch.equal(open_model(tmp_path).model(IDS).logits, opened.model(IDS).logits)


def test_dropout_is_off_even_in_train_mode(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=263, n_embd=16, n_layer=1, n_head=2, n_positions=32, embd_pdrop=0.5)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    model = open_model(tmp_path).model.train()
    assert torch.equal(model(IDS).logits, model(IDS).logits)
    assert model.config.embd_pdrop == 0.5  # an export stays what it was


def test_quiet_puts_everything_back() -> None:
    logging.set_verbosity_info()
    logging.enable_progress_bar()
    try:
        with pytest.raises(RuntimeError), quiet():
            assert not logging.is_progress_bar_enabled()
            assert logging.get_verbosity() == logging.ERROR
            raise RuntimeError
        assert logging.is_progress_bar_enabled()
        assert logging.get_verbosity() == logging.INFO
        assert not huggingface_hub.utils.are_progress_bars_disabled()
    finally:
        logging.set_verbosity_warning()


# What does not


def cut_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_text(file.read_text()[:300])


def rename_model_type(folder: Path) -> None:
    change(folder / "config.json", model_type="lamma", architectures=["LammaForCausalLM"])


def drop_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


def only_pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def index_of_a_missing_shard(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    places = {"lm_head.weight": "model-00001-of-00002.safetensors"}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": places}))


def index_of_a_missing_tensor(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "one.safetensors")
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": {"ghost": "one.safetensors"}}))


def index_that_leaves_the_folder(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder.parent / "one.safetensors")
    places = {"lm_head.weight": "../one.safetensors"}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": places}))


def adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def own_code(folder: Path) -> None:
    rename_model_type(folder)
    change(
        folder / "config.json", auto_map={"AutoModelForCausalLM": "code.Model", "AutoConfig": "code.Config"}
    )
    (folder / "code.py").write_text("raise SystemExit('this code must never run')")


BROKEN: list[tuple[Callable[[Path], object], type[AccordError], str]] = [
    (lambda f: (f / "config.json").unlink(), Unreadable, "no config.json"),
    (
        lambda f: (f / "config.json").write_text('{"model_type": '),
        Unreadable,
        r"config.json:1: expected a JSON object",
    ),
    (lambda f: (f / "config.json").write_text("[]"), Unreadable, "a JSON list"),
    (lambda f: change(f / "config.json", model_type=None), Unreadable, "model_type"),
    (rename_model_type, Unreadable, "lamma"),
    (own_code, Unreadable, "a language model that transformers can load"),
    (lambda f: change(f / "config.json", quantization_config={"bits": 4}), Refused, "quantised weights"),
    (
        lambda f: change(f / "config.json", num_hidden_layers=3),
        Unreadable,
        r"no model\.layers\.2.* and 6 more",
    ),
    (lambda f: change(f / "config.json", intermediate_size=48), Unreadable, "size mismatch|mismatch"),
    (adapter, Refused, "LoRA adapter"),
    (lambda f: (f / WEIGHTS).unlink(), Unreadable, "no weights"),
    (lambda f: (f / WEIGHTS).rename(f / "lora.safetensors"), Unreadable, r"found: lora\.safetensors"),
    (only_pickled, Refused, r"pytorch_model\.bin.*safetensors only"),
    (drop_a_tensor, Unreadable, r"no model\.layers\.1\.mlp\.up_proj\.weight"),
    (index_of_a_missing_shard, Unreadable, r"index\.json: expected the shard model-00001-of-00002"),
    (index_of_a_missing_tensor, Unreadable, "the tensor ghost"),
    (index_that_leaves_the_folder, Unreadable, "expected the shard"),
    (
        lambda f: (f / f"{WEIGHTS}").unlink() or (f / f"{WEIGHTS}.index.json").write_text("{}"),
        Unreadable,
        "weight_map",
    ),
    (lambda f: (f / "tokenizer.json").unlink(), Unreadable, r"a tokenizer \(tokenizer\.json"),
    (cut_tokenizer, Unreadable, r"tokenizer\.json:\d+: expected a JSON object"),
    (lambda f: change(f / "tokenizer.json", model={"type": "Quipu"}), Unreadable, r"`tokenizers` can load"),
    (lambda f: change(f / "tokenizer_config.json", eos_token=None), Unreadable, "eos_token"),
    (lambda f: (f / "chat_template.jinja").write_text("{{ 1 / 0 }}"), Unreadable, "chat template"),
    (lambda f: (f / "chat_template.jinja").write_text("{% for %}"), Unreadable, "chat template that renders"),
]


@pytest.mark.parametrize(("damage", "kind", "message"), BROKEN)
def test_each_damage_has_its_one_error(
    folder: Path, damage: Callable[[Path], object], kind: type[AccordError], message: str
) -> None:
    damage(folder)
    with pytest.raises(AccordError, match=f"(?s){message}") as caught:
        open_model(folder)
    assert type(caught.value) is kind
    assert str(folder) in str(caught.value)


def test_a_tokenizer_larger_than_the_model_is_named(folder: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["<extra>"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(Unreadable, match=r"at most 263 ids.*\n.*264 ids"):
        open_model(folder)


def test_a_cut_file_names_both_sizes(folder: Path) -> None:
    size = (folder / WEIGHTS).stat().st_size
    with (folder / WEIGHTS).open("r+b") as stream:
        stream.truncate(size - 1000)
    with pytest.raises(
        Unreadable, match=rf"{size:,} bytes, as its header demands\n  found: {size - 1000:,} bytes"
    ):
        open_model(folder)


# Names


def test_a_folder_is_found_first(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_model(str(whole)) == whole
    monkeypatch.chdir(whole.parent)
    assert find_model("whole") == Path("whole")


def test_a_known_model_that_is_not_pulled_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path))
    with pytest.raises(Refused, match=r"not in the cache yet\n  Run:  accord pull smollm2-135m-instruct"):
        find_model("smollm2-135m-instruct")
    (tmp_path / "models" / "smollm2-135m-instruct").mkdir(parents=True)
    with pytest.raises(Refused, match="is damaged"):
        find_model("smollm2-135m-instruct")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("smollm2-135m-instuct", "smollm2-135m-instruct"),
        ("./modell", "model"),
        ("/no/such/folder", "no such folder"),
    ],
)
def test_a_name_of_nothing_gets_the_nearest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(PlanError, match=hint) as caught:
        find_model(name)
    assert (caught.value.path, caught.value.value) == ("model", name)


def test_a_missing_folder_below_one_that_exists_is_no_hub_id(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(PlanError):
        find_model("model/step-10")
    assert find_model("someone/step-10") == "someone/step-10"


def test_a_file_is_no_model(folder: Path) -> None:
    with pytest.raises(Refused, match="is a file"):
        find_model(str(folder / WEIGHTS))


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub whose address refuses connections, and an empty hub cache."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_hub_id_without_network_fails_at_once(no_network: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Refused, match=r"hub cannot be reached.*(?s:.*)hf download someone/model"):
        open_model("someone/model")
    assert time.monotonic() - began < 5


def test_offline_mode_asks_nobody(no_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Refused, match="offline mode"):
        open_model("someone/model")


def test_a_hub_model_in_the_cache_opens_without_network(whole: Path, no_network: Path) -> None:
    commit = "a" * 40
    place = no_network / "models--someone--model"
    shutil.copytree(whole, place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    assert open_model("someone/model").folder == place / "snapshots" / commit


def test_a_hub_model_without_safetensors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    info = SimpleNamespace(sha="a" * 40, siblings=[SimpleNamespace(rfilename="pytorch_model.bin")])
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
    with pytest.raises(Refused, match="no safetensors"):
        open_model("someone/model")


# Tokens


def test_an_answer_begins_once_and_ends_once(whole: Path) -> None:
    opened = open_model(whole)
    prompt = Prompt.of("hé")
    assert opened.render(prompt) == (257, 260, *"hé".encode(), 258, 261)
    assert opened.words("ok") == (*b"ok", 258)
    assert opened.text(opened.words(" ok 🎈 ")) == " ok 🎈 "
    assert (opened.stop, opened.end, opened.anchor) == (frozenset({258}), 258, "")


def test_an_answer_cannot_forge_its_end(whole: Path) -> None:
    opened = open_model(whole)
    assert opened.words("a<eos>b") == (*b"a<eos>b", 258)
    assert opened.text(opened.words("a<eos>b")) == "a<eos>b"
    assert opened.render(Prompt.of("x"))[-1] == 261  # the template's own specials stay special afterwards


@pytest.mark.parametrize("template", [True, False])
def test_the_next_turn_extends_all_tokens_before_it(folder: Path, template: bool) -> None:
    if not template:
        (folder / "chat_template.jinja").unlink()
    opened = open_model(folder)
    one = Prompt.of("question")
    turns = (*one.messages, Message(role="assistant", content="answer"), Message(role="user", content="more"))
    before = opened.render(one) + opened.words("answer")
    assert opened.render(Prompt(messages=turns))[: len(before)] == before


def test_without_a_chat_template_a_plain_one_is_used_and_said(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    opened = open_model(folder)
    assert "no chat template" in opened.notes[0]
    assert bytes(opened.render(Prompt.of("hi"))) == b"user:\nhi\nassistant:\n"


def test_a_prompt_that_the_template_refuses_is_a_plan_error(folder: Path) -> None:
    template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ eos_token }}"
    )
    (folder / "chat_template.jinja").write_text(template)
    opened = open_model(folder)
    with pytest.raises(PlanError, match="no system"):
        opened.render(
            Prompt(messages=(Message(role="system", content="be"), Message(role="user", content="hi")))
        )


def test_a_template_with_todays_date_gets_a_fixed_one(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ strftime_now('%Y-%m-%d') }}")
    opened = open_model(folder)
    assert bytes(opened.render(Prompt.of("x"))) == b"2024-07-26"
    assert any("date" in note for note in opened.notes)


def test_the_end_is_the_stop_that_the_template_writes(folder: Path) -> None:
    change(folder / "generation_config.json", eos_token_id=[258, 262])
    template = (folder / "chat_template.jinja").read_text().replace("eos_token", "'<|tool|>'")
    (folder / "chat_template.jinja").write_text(template)
    opened = open_model(folder)
    assert (opened.stop, opened.end) == (frozenset({258, 262}), 262)


def test_an_answer_is_cut_as_behind_a_prompt(folder: Path) -> None:
    """Tokenizers of this kind put a space before the first word; an answer's first word is not the first."""
    signs = ["<unk>", "<eos>", "▁", "\n", ":", *"abcdefghijklmnopqrstuvwxyz"]
    inner = Tokenizer(models.Unigram([(sign, -1.0) for sign in signs], unk_id=0, byte_fallback=False))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    inner.decoder = decoders.Metaspace(prepend_scheme="always", split=False)
    for file in ("chat_template.jinja", "tokenizer.json", "tokenizer_config.json"):
        (folder / file).unlink()
    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="<eos>").save_pretrained(
        folder
    )
    opened = open_model(folder)
    assert opened.anchor == "assistant:\n"
    word = [signs.index(sign) for sign in "hi"]
    assert opened.tokenizer("hi")["input_ids"] == [2, *word]
    assert opened.words("hi") == (*word, 1)


# Identity


def reopened(opened: Opened, to: Path) -> Opened:
    opened.model.save_pretrained(to)
    opened.tokenizer.save_pretrained(to)
    return open_model(to)


def test_digests_survive_use_and_export(whole: Path, tmp_path: Path) -> None:
    opened = open_model(whole)
    opened.words("a<eos>")
    opened.tokenizer(["a", "bb"], padding=True, truncation=True, max_length=3)
    again = reopened(opened, tmp_path)
    assert again.tokenizer_digest == opened.tokenizer_digest == tokenizer_digest(opened.tokenizer)
    assert again.template_digest == opened.template_digest


def test_digests_tell_tokenizers_and_templates_apart(folder: Path) -> None:
    before = open_model(folder)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert open_model(folder).template_digest != before.template_digest
    assert open_model(folder).tokenizer_digest == before.tokenizer_digest
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["ab"])
    assert tokenizer_digest(tokenizer) != before.tokenizer_digest


def test_manifest_names_every_file_but_hidden_ones_and_the_card(folder: Path) -> None:
    plain = model_manifest(folder)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x").write_text("x")
    (folder / "accord-model.json").write_text("{}")
    assert model_manifest(folder) == plain
    assert plain[WEIGHTS] == hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    assert set(plain) == {p.name for p in folder.iterdir()} - {".cache", "accord-model.json"}
    (folder / "sub").mkdir()
    (folder / "sub" / "x").write_text("x")
    more = model_manifest(folder)
    assert set(more) - set(plain) == {"sub/x"}
    assert manifest_digest(more) != manifest_digest(plain) == manifest_digest(dict(reversed(plain.items())))


def test_names_are_found_without_torch() -> None:
    code = (
        "import sys, accord.doctor, accord.engines.pull as pull, accord.engines.local.models as models\n"
        "models.find_model('someone/model')\n"
        "loaded = {'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
