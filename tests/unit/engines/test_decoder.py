"""The decoder of the Llama family, against transformers' own: the same tokens and log-probabilities, float32.

Mutants: a slot that keeps the keys of the prompt before it, a row that reads its neighbour's answer, a
position that does not restart, draws that go by place instead of by seed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from families import FAST, save_family

from accord.engines.local import Local
from accord.engines.local import llama_decode as module
from accord.engines.local.adapters import add_lora
from accord.engines.local.decode import Drawn, Wanted, decode, seed_of
from accord.engines.local.decoder import DecodeCopy, Decoder
from accord.engines.local.forward import Forward
from accord.engines.local.llama import refusal
from accord.engines.local.models import open_model
from accord.engines.local.picking import Picker
from accord.engines.local.threads import side_by_side
from accord.progress import Silent

STOP = frozenset({258, *range(100, 140)})  # so that answers end early and late


@pytest.fixture(autouse=True)
def _one_core() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return open_model(save_family(tmp_path_factory.mktemp("model"), "llama")).model


def asked(prompts: int = 5, n: int = 3, **told: Any) -> list[Wanted]:
    """Prompts of 1 to 60 tokens, in no order of length."""
    lengths = [7, 1, 60, 12, 3, 31, 12, 2, 44]
    return [
        Wanted(
            (257, *((i * 31 + k * 7) % 250 for k in range(lengths[i % 9] - 1))),
            tuple(seed_of("decoder", f"p{i}", s) for s in range(n)),
            **told,
        )
        for i in range(prompts)
    ]


def own(model: Any) -> Decoder:
    return Decoder(Forward(model), torch.float32, None)


def drawn(way: Any, wanted: list[Wanted], most: int = 30, heat: float = 1.0) -> dict[tuple[int, int], Drawn]:
    """Each answer once, by prompt and sample."""
    batches = (
        way.decode("v1", wanted, most, heat, STOP)
        if isinstance(way, Decoder)
        else decode(way, wanted, most, heat, STOP)
    )
    found: dict[tuple[int, int], Drawn] = {}
    for one in (d for done in batches for d in done):
        assert (one.prompt, one.sample) not in found
        found[one.prompt, one.sample] = one
    assert set(found) == {(p, s) for p, w in enumerate(wanted) for s in range(len(w.seeds))}
    return found


def same(ours: dict[tuple[int, int], Drawn], plain: dict[tuple[int, int], Drawn]) -> None:
    assert ours.keys() == plain.keys()
    for key, one in ours.items():
        assert one.tokens == plain[key].tokens, key
        assert one.logp == pytest.approx(plain[key].logp, abs=1e-4)
        assert one.stopped == plain[key].stopped


@pytest.mark.parametrize("name", FAST)
def test_every_fast_family_draws_what_transformers_draws(tmp_path: Path, name: str) -> None:
    model = open_model(save_family(tmp_path, name)).model
    way = own(model)
    ours, plain = drawn(way, asked()), drawn(model, asked())
    assert way.note.startswith("decoding in float32"), way.note
    assert len({len(d.tokens) for d in plain.values()}) > 5, "answers of many lengths"
    same(ours, plain)


@pytest.mark.parametrize("told", [{"heat": 0.5}, {"heat": 2.0}, {"most": 1}, {"most": 70}])
def test_temperature_and_length(model: Any, told: dict[str, Any]) -> None:
    """70 goes past the places that are allocated at first."""
    wanted = asked(4)
    ours = drawn(own(model), wanted, **told)
    same(ours, drawn(model, wanted, **told))
    assert all(len(d.tokens) <= told.get("most", 30) for d in ours.values())


def test_allowed_tokens_differ_from_prompt_to_prompt(model: Any) -> None:
    wanted = [
        w._replace(allowed=a) for w, a in zip(asked(4), [(97, 98, 258), None, (5,), (7, 258)], strict=True)
    ]
    ours = drawn(own(model), wanted)
    same(ours, drawn(model, wanted))
    for (prompt, _), one in ours.items():
        allowed = wanted[prompt].allowed
        assert allowed is None or set(one.tokens) <= set(allowed)
    assert ours[2, 0].tokens == (5,) * 30
    assert ours[2, 0].logp == pytest.approx([0.0] * 30, abs=1e-6)


def test_answers_of_forced_lengths(model: Any) -> None:
    wanted = [w._replace(lengths=(1, 4 + i, 19)) for i, w in enumerate(asked(5))]
    ours = drawn(own(model), wanted)
    same(ours, drawn(model, wanted))
    assert {key: len(d.tokens) for key, d in ours.items()} == {
        (p, s): w.lengths[s] for p, w in enumerate(wanted) for s in range(3) if w.lengths
    }


@pytest.mark.parametrize("rows", [1, 3, 6, 10])
def test_slots_are_filled_again(model: Any, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """27 answers where at most ``rows`` (but at least one prompt's) fit side by side."""
    wanted = asked(9)
    plain = drawn(model, wanted)
    seen = counted(monkeypatch)
    monkeypatch.setattr(module, "_ROWS", rows)
    same(drawn(own(model), wanted), plain)
    assert max(seen) <= max(rows, 3)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each call of the picker sees."""
    seen: list[int] = []
    plain = Picker.pick

    def pick(self: Picker, logits: Any, *rest: Any) -> Any:
        seen.append(len(logits))
        return plain(self, logits, *rest)

    monkeypatch.setattr(Picker, "pick", pick)
    return seen


def test_finished_rows_leave(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows go through the model as tokens come out: none is computed and thrown away."""
    seen = counted(monkeypatch)
    found = drawn(own(model), asked(9))
    assert sum(seen) == sum(len(d.tokens) for d in found.values())
    assert len(seen) < 60


def test_prompts_with_different_numbers_of_answers(model: Any) -> None:
    wanted = [w._replace(seeds=w.seeds[: 1 + i % 3]) for i, w in enumerate(asked(6))]
    same(drawn(own(model), wanted), drawn(model, wanted))


@pytest.mark.parametrize("prompts", [1, 2, 7])
def test_two_cores_draw_what_one_draws(model: Any, prompts: int) -> None:
    one = drawn(own(model), asked(prompts))
    torch.set_num_threads(2)
    two = drawn(own(model), asked(prompts))
    assert torch.get_num_threads() == 2
    same(two, one)


def test_a_lora_is_merged_and_moves_with_its_version(tmp_path: Path) -> None:
    """Against a plain decode copy, which merges by peft's own arithmetic."""
    for name in ("llama tied", "qwen2"):
        folder = save_family(tmp_path / name, name)
        model, merged = open_model(folder).model, DecodeCopy(open_model(folder).model, torch.float32)
        add_lora(model, 4, 8, 0)
        forward = Forward(model)
        way = Decoder(forward, torch.float32, None)
        found = []
        for version in ("v1", "v2"):
            ours = {
                (d.prompt, d.sample): d for done in way.decode(version, asked(), 20, 1.0, STOP) for d in done
            }
            same(ours, drawn(merged.refresh(model, version), asked(), 20))
            found.append([d.tokens for _, d in sorted(ours.items())])
            with torch.no_grad():
                for p in model.parameters():
                    if p.requires_grad:
                        p.add_(0.1)
            forward.refresh()
        assert found[0] != found[1], "else this shows nothing"


def test_bfloat16_draws_answers_whose_log_probabilities_are_near(model: Any) -> None:
    """On the draws of bfloat16, float32 gives log-probabilities within 0.1 on average."""
    way = Decoder(Forward(model), torch.bfloat16, None)
    found = drawn(way, asked())
    assert "bfloat16" in way.note
    gaps: list[float] = []
    for (prompt, _), one in found.items():
        tokens = (*asked()[prompt].tokens, *one.tokens)
        with torch.no_grad():
            logp = torch.log_softmax(model(torch.tensor([tokens])).logits[0], 1)
        at = len(tokens) - len(one.tokens) - 1
        gaps += [abs(float(logp[at + t, word]) - one.logp[t]) for t, word in enumerate(one.tokens)]
    assert sum(gaps) / len(gaps) < 0.1


@pytest.mark.parametrize("cores", [1, 2])
def test_an_error_on_the_way_reaches_the_caller(
    model: Any, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    torch.set_num_threads(cores)
    threads, calls = threading.active_count(), []
    plain = Picker.pick

    def pick(self: Picker, *told: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:
            raise RuntimeError("the sixth pick")
        return plain(self, *told)

    monkeypatch.setattr(Picker, "pick", pick)
    with pytest.raises(RuntimeError, match="the sixth pick"):
        drawn(own(model), asked())
    assert threading.active_count() == threads
    assert torch.get_num_threads() == cores
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("cores", [1, 2])
def test_who_stops_reading_stops_the_work(model: Any, monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    torch.set_num_threads(cores)
    seen = counted(monkeypatch)
    threads = threading.active_count()
    batches = own(model).decode("v1", asked(9), 400, 1.0, frozenset())
    for _ in range(4):
        next(batches)
    batches.close()
    after = len(seen)
    assert threading.active_count() == threads
    assert after < 300, "far from the end"
    assert torch.get_num_threads() == cores
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("way", ["own", "transformers"])
def test_between_two_tokens_the_caller_computes_as_before(model: Any, way: str) -> None:
    """Two answers drawn in turns, as two coroutines do it, and a gradient taken between two tokens."""
    made = own(model)
    ways = [
        made.decode("v1", asked(1, 2), 12, 1.0, frozenset())
        if way == "own"
        else decode(model, asked(1, 2), 12, 1.0, frozenset())
        for _ in range(2)
    ]
    found: list[list[Drawn]] = [[], []]
    with ExitStack() as open_ways:
        for batches in ways:
            open_ways.callback(batches.close)
        for step in range(14):
            for i, batches in enumerate(ways):
                found[i] += next(batches, [])
                assert not torch.is_inference_mode_enabled(), step
                x = torch.ones(2, requires_grad=True)
                (x * x).sum().backward()
                assert x.grad is not None
    assert [d.tokens for d in found[0]] == [d.tokens for d in found[1]]
    assert len(found[0]) == 2


def test_parts_side_by_side_give_all_they_have_and_raise_what_they_raise() -> None:
    def count(upto: int) -> Iterator[int]:
        yield from range(upto)

    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    assert sorted(side_by_side([count(3), count(5)], 1)) == [0, 0, 1, 1, 2, 2, 3, 4]
    with pytest.raises(KeyError, match="broken"):
        list(side_by_side([count(10_000), broken()], 1))


def test_another_family_decodes_by_transformers_and_says_so(tmp_path: Path) -> None:
    folder = save_family(tmp_path, "qwen3")
    model = open_model(folder).model
    assert refusal(model)
    way = Decoder(Forward(model), torch.float32, DecodeCopy(model, torch.float32))
    same(drawn(way, asked()), drawn(model, asked()))
    assert "decoding with transformers in float32" in way.note
    sampler: Any = Local(precision="float32", decode="bfloat16", device="cpu").sampler(str(folder), Silent())
    assert "transformers in bfloat16" in sampler._decoder.note
