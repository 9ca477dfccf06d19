"""Packed = padded = shared: log-probabilities, and gradients of a whole update, for every fast family.

The padded way is the model's own forward pass, one call per micro-batch; the packed way may differ from it by
rounding alone. Mutants: a bias left out, heads grouped the other way round, positions that do not restart.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import FAST, save_family
from torch import Tensor

from accord.engines.local import Local
from accord.engines.local import forward as module
from accord.engines.local.forward import Forward
from accord.engines.local.learner import LocalLearner
from accord.engines.local.llama import PackedLlama
from accord.engines.local.models import open_model
from accord.maths.batches import likelihood_batch
from accord.methods.sft import SFT
from accord.ports import How, Needs, Task
from accord.records import Episode
from accord.records import Sequence as Masked
from accord.records.rows import Batch, Row

REL = 1e-5


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = save_family(tmp_path_factory.mktemp("family"), name)
        return made[name]

    return folder


def learner(folder: Path, **told: Any) -> LocalLearner:
    settings = {"adapter": "full", "precision": "float32", "decode": "float32", "device": "cpu", "rank": 4}
    made: Any = Local(**(settings | told)).learner(str(folder), Task("run/stage", 0))
    return made


def padded(made: LocalLearner) -> LocalLearner:
    """The same learner through the model's own forward pass."""
    made._forward._path = made._forward._plain
    made._forward._checked = True
    return made


def moved(made: LocalLearner) -> LocalLearner:
    """Adapters away from their start, where half of every gradient is 0."""
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for _, p in sorted(made._policy.items()):
            p.add_(0.05 * torch.randn(p.shape, generator=draw))
    made._forward.refresh()
    return made


PROMPTS = [
    (257, 260, *b"Why?", 258, 261),
    (257, 260, *b"A longer question " * 3, 258, 261),
    (257,),
]
SAID = [b"yes", b"a longer answer than the others", b"no", b"", b"so it is", b"x"]
ALLOWED = (*range(97, 123), 32, 258)


def episodes(told: bool) -> list[Episode]:
    """Two answers to each prompt; where ``told`` each with a temperature and some with allowed tokens."""
    made: list[Episode] = []
    for i, said in enumerate(SAID):
        prompt = PROMPTS[i % len(PROMPTS)]
        more: dict[str, Any] = (
            {"temperature": 0.5 + i / 4, "allowed": ALLOWED if i % 2 else None} if told else {}
        )
        words = (*said, 258)
        made.append(
            Episode(prompt=f"p{i}", responses=("r",), prompt_tokens=(prompt,), tokens=(words,), **more)
        )
    return made


def a_batch(unit: str, told: bool) -> Batch:
    """Rows of one answer each; of pairs with one prompt; or of a conversation of two turns beside them."""
    found = episodes(told)
    if unit == "pairs":
        rows = [Row((found[i], found[i + 3])) for i in range(3)]
    elif unit == "turns":
        first, second = PROMPTS[0], (*PROMPTS[0], *b"ab", 258, 260, *b"and", 258, 261)
        talk = Episode(
            prompt="t",
            responses=("a", "b"),
            prompt_tokens=(first, second),
            tokens=((*b"ab", 258), (*b"cde", 258)),
        )
        rows = [Row((e,)) for e in (talk, *found)]
    else:
        rows = [Row((e,)) for e in found]
    return likelihood_batch(rows, 1, len(rows), np.random.default_rng(0), {})


def weighed(out: Any, batch: Batch) -> dict[str, Tensor]:
    """A loss that pulls some tokens up and others down, so that nothing cancels by symmetry."""
    sign = torch.cos(torch.arange(len(out.logp_T), dtype=torch.float32) + out.sequence_T)
    place = torch.as_tensor(batch.tokens["place"]) if "place" in batch.tokens else None
    if place is not None:
        sign = torch.cos(place.float())
    return {"nll": (sign * torch.sigmoid(out.logp_T)).sum()}


def close(one: dict[str, Tensor], two: dict[str, Tensor], rel: float) -> None:
    """Each tensor against its own size: one layer's error must not hide behind another's gradient."""
    assert one.keys() == two.keys()
    whole = max(float(t.abs().max()) for t in two.values())
    for name in two:
        size = max(float(two[name].abs().max()), 1e-3 * whole)
        assert float((one[name] - two[name]).abs().max()) <= rel * size, name


def gradients(made: LocalLearner, batch: Batch) -> dict[str, Tensor]:
    return made.gradients(batch, 0, weighed)


def columns(made: LocalLearner, batch: Batch) -> np.ndarray:
    want = frozenset({"logp"})
    return made._forward.columns(batch.sequences, want)["logp"].numpy()


@pytest.mark.parametrize("adapter", ["full", "lora"])
@pytest.mark.parametrize("name", FAST)
def test_packed_is_padded_for_every_family(folders: Any, name: str, adapter: str) -> None:
    ours = moved(learner(folders(name), adapter=adapter))
    plain = padded(moved(learner(folders(name), adapter=adapter)))
    batch = a_batch("answers", True)
    assert np.abs(columns(ours, batch) - columns(plain, batch)).max() <= 1e-4
    assert ours._forward.note.startswith("packed, shared prompts"), ours._forward.note
    close(gradients(ours, batch), gradients(plain, batch), 2e-5 if adapter == "lora" else REL)


@pytest.mark.parametrize("adapter", ["full", "lora"])
@pytest.mark.parametrize("unit", ["answers", "pairs", "turns"])
@pytest.mark.parametrize("budget", [16, 90, 4096])
def test_shared_is_packed_alone_is_padded(
    folders: Any, monkeypatch: pytest.MonkeyPatch, adapter: str, unit: str, budget: int
) -> None:
    batch = a_batch(unit, False)
    plain = padded(moved(learner(folders("llama"), adapter=adapter, tokens_per_pass=budget)))
    wanted = gradients(plain, batch)
    shared = moved(learner(folders("llama"), adapter=adapter, tokens_per_pass=budget))
    close(gradients(shared, batch), wanted, REL)
    packed = module.packed
    monkeypatch.setattr(module, "packed", lambda sequences, share, device: packed(sequences, False, device))
    close(gradients(shared, batch), wanted, REL)


def test_a_step_moves_all_weights_alike(folders: Any) -> None:
    """After three AdamW steps with full weights, head and embeddings tied: views and copies stayed one."""
    found: list[dict[str, Tensor]] = []
    for way in (lambda made: made, padded):
        made = way(learner(folders("llama tied"), lr=1e-3))
        batch = a_batch("pairs", False)
        for _ in range(3):
            assert made.update(batch, 0, SFT().loss).applied
        found.append({n: p.detach().clone() for n, p in made._trained.items()})
    gap = torch.cat([(found[0][n] - found[1][n]).abs().flatten() for n in found[0]])
    # AdamW divides by the root of the second moment: where a gradient is next to nothing, rounding decides.
    assert float(gap.max()) <= 3e-4
    assert float(gap.mean()) <= 2e-6


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gpt2", "GPT2LMHeadModel is not of the Llama family"),
        ("qwen3", "Qwen3ForCausalLM is not of the Llama family"),
        ("gemma", "GemmaForCausalLM is not of the Llama family"),
        ("mistral window", "it attends within a sliding window"),
        ("llama gelu", "its gate is gelu, not silu"),
    ],
)
def test_another_model_goes_the_padded_way_and_says_why(folders: Any, name: str, why: str) -> None:
    """Measured before it is trained, as a run does; against the model's own logits, one row at a time."""
    made = learner(folders(name))
    assert any(why in note for note in made.notes), made.notes
    batch = a_batch("pairs", True)
    rows = [Row((e,)) for e in episodes(True)]
    before = made.measure(rows, Needs(frozenset({"old_logp", "ref_logp"})))
    for k, row in enumerate(rows):
        (sequence,) = row.episodes[0].sequences()
        assert before["old_logp"][k] == pytest.approx(alone(made, sequence), abs=1e-4)
        assert before["ref_logp"][k] == pytest.approx(before["old_logp"][k], abs=1e-5)
    assert made.update(batch, 0, weighed).applied
    after = made.measure(rows, Needs(frozenset({"old_logp"})))["old_logp"]
    for k, row in enumerate(rows):
        (sequence,) = row.episodes[0].sequences()
        assert after[k] == pytest.approx(alone(made, sequence), abs=1e-4)
    assert max(np.abs(a - b).max() for a, b in zip(after, before["old_logp"], strict=True)) > 1e-4
    (group,) = asyncio.run(made.sampler().sample([_prompt()], 2, How("k", 1.0, 5)))
    assert all(1 <= len(r.tokens) <= 5 for r in group.responses)


def _prompt() -> Any:
    from accord.records import Prompt

    return Prompt.of("Why?")


def alone(made: LocalLearner, sequence: Masked) -> np.ndarray:
    """transformers' logits for one unpadded row."""
    model: Any = made._model
    with torch.no_grad():
        logits = model(torch.tensor([sequence.tokens])).logits[0].double() / sequence.temperature
    if sequence.allowed is not None:
        keep = torch.zeros(logits.shape[1], dtype=torch.bool)
        keep[list(sequence.allowed)] = True
        logits[:, ~keep] = -torch.inf
    logp = torch.log_softmax(logits, 1)
    said = [p for p, chosen in enumerate(sequence.answer) if chosen]
    return np.array([float(logp[p - 1, sequence.tokens[p]]) for p in said])


def test_a_lora_on_gpt2_trains(folders: Any) -> None:
    """Its layers are transformers' own Conv1D, not torch's Linear."""
    made = learner(folders("gpt2"), adapter="lora")
    assert made.update(a_batch("pairs", False), 0, weighed).applied


def test_a_model_whose_packed_logits_differ_falls_back_and_says_so(
    folders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = a_batch("answers", False)
    plain = padded(learner(folders("llama")))
    right = PackedLlama.last_norm
    monkeypatch.setattr(PackedLlama, "last_norm", lambda body, x: 1.01 * right(body, x))
    made = learner(folders("llama"))
    assert columns(made, batch) == pytest.approx(columns(plain, batch), abs=1e-6)
    assert "padded rows" in made._forward.note
    assert "differs from the model's own logits by" in made._forward.note
    assert not made._forward.share
    close(gradients(made, batch), gradients(plain, batch), 1e-6)
    assert made.update(batch, 0, weighed).applied


def test_float64_is_computed_in_float64(folders: Any) -> None:
    model = open_model(folders("llama"), dtype="float64").model
    ours, plain = Forward(model), Forward(model)
    plain._path, plain._checked = plain._plain, True
    sequences = a_batch("answers", True).sequences
    states = [way.read(sequences) for way in (ours, plain)]
    a, b = (read.states(read.at_A) for read in states)
    assert a.dtype == torch.float64
    assert "float64" in ours.note
    # The norms of transformers are float32 whatever the model is.
    assert (a - b).detach().abs().max().item() < 5e-6


def test_bfloat16_stays_near(folders: Any) -> None:
    """8 bits of mantissa: log-probabilities within 0.1 of float32's, gradients within 5 % of their norm."""
    for adapter in ("full", "lora"):
        near = moved(learner(folders("llama"), adapter=adapter, precision="bfloat16"))
        exact = moved(learner(folders("llama"), adapter=adapter))
        batch = a_batch("pairs", False)
        assert np.abs(columns(near, batch) - columns(exact, batch)).max() < 0.1
        assert "bfloat16" in near._forward.note
        one, two = gradients(near, batch), gradients(exact, batch)
        assert all(g.dtype == torch.float32 for g in one.values()), "masters are float32"
        flat = [torch.cat([found[n].flatten() for n in sorted(found)]) for found in (one, two)]
        assert float((flat[0] - flat[1]).norm()) < 0.05 * float(flat[1].norm())
        assert near.update(batch, 0, weighed).applied
        assert {p.dtype for p in near._trained.values()} == {torch.float32}


def test_the_first_check_bears_rows_without_an_answer(folders: Any) -> None:
    silent = Episode(prompt="p", responses=("r",), prompt_tokens=((257,),), tokens=((),))
    spoken = Episode(prompt="p", responses=("r",), prompt_tokens=((257, 97),), tokens=((98, 258),))
    made = learner(folders("llama"))
    batch = likelihood_batch([Row((silent,)), Row((spoken,))], 1, 2, np.random.default_rng(0), {})
    assert made.update(batch, 0, SFT().loss).applied


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("name", FAST)
def test_a_reading_tree_tells_what_padded_rows_tell(folders: Any, name: str, told: bool) -> None:
    """Kills: one distribution for tokens at different temperatures, columns in the order of their places."""
    ours, plain = moved(learner(folders(name))), padded(moved(learner(folders(name))))
    system = (257, 260, *b"Be brief, be right.", 258)
    texts = [
        Masked((*system, *b"Q%d" % q, *said, 258), (*[False] * (len(system) + 2), *[True] * (len(said) + 1)))
        for q in range(3)
        for said in (b"A", b"B", b"Both of them")
    ]
    if told:
        texts = [one._replace(temperature=0.5 + k / 4) for k, one in enumerate(texts)]
    want = frozenset({"logp", "rank", "entropy", "support"})
    tree, rows = ours._forward.scored(texts, want), plain._forward.columns(texts, want)
    for column in ("logp", "entropy"):
        assert float((tree[column] - rows[column]).abs().max()) <= 1e-4
    for column in ("rank", "support"):
        assert float((tree[column] == rows[column]).double().mean()) >= 0.97  # ties may fall either way
