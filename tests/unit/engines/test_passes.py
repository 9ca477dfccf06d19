"""Each autograd function of a packed pass, against autograd's own derivative of the plain formula, float64.

Mutants: the mean that a norm takes off left out, silu without its second term, adapters' scale dropped from a
gradient, keys of a shared prefix counted once instead of once per reader, a padded query that reaches a key,
the temperature on one side only, a chunk's first row taken for the whole's.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from accord.engines.local import head as head_module
from accord.engines.local.fused import Fused
from accord.engines.local.head import Choices, Head, WholeLogits
from accord.engines.local.layout import packed
from accord.engines.local.passes import attend, gated, normed, product, turned
from accord.records import Sequence as Masked

CPU = torch.device("cpu")
F64 = torch.float64


def drawn(*shape: int, seed: int = 0, grad: bool = True) -> Tensor:
    made = torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))
    return made.requires_grad_(grad)


def grads(out: Tensor, of: list[Tensor]) -> list[Tensor]:
    """∂Σ(w·out) for fixed random w, so that no derivative is hidden by a sum."""
    weight = drawn(*out.shape, seed=99, grad=False).to(out.dtype)
    return list(torch.autograd.grad((weight * out).sum(), of))


def same(ours: list[Tensor], plain: list[Tensor], rel: float = 1e-12) -> None:
    for a, b in zip(ours, plain, strict=True):
        assert a.shape == b.shape
        assert (a - b).detach().abs().max().item() <= rel * b.detach().abs().max().item()


# Norm, gate, positions


def test_normed_is_rms_norm_with_its_derivative() -> None:
    x, weight = drawn(5, 8), drawn(8, seed=1)
    assert torch.autograd.gradcheck(lambda a, w: normed(a, w, 1e-3, F64), (x, weight))
    out = normed(x, weight, 1e-3, F64)
    plain = nn.functional.rms_norm(x, (8,), weight, 1e-3)
    same([out, *grads(out, [x, weight])], [plain, *grads(plain, [x, weight])])


def test_normed_leaves_out_what_is_not_trained() -> None:
    x, weight = drawn(5, 8), drawn(8, seed=1, grad=False)
    normed(x, weight, 1e-5, F64).sum().backward()
    assert weight.grad is None
    assert x.grad is not None


def test_gated_is_silu_times_the_other_half() -> None:
    x = drawn(4, 10)
    assert torch.autograd.gradcheck(gated, (x,))
    first, second = x.chunk(2, 1)
    same([gated(x)], [nn.functional.silu(first) * second])


Turn = tuple[Tensor, Tensor]


def turns(angle: Tensor) -> tuple[Turn, Turn]:
    """As a pass takes it, with the sign of the halves in the sine; and plain."""
    cos, sin = angle.cos(), angle.sin()
    half = sin.shape[2] // 2
    return (cos, torch.cat([-sin[..., :half], sin[..., half:]], 2)), (cos, sin)


def spun(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """As transformers writes it."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


def test_turned_backwards_is_its_transpose() -> None:
    x, y = drawn(6, 3, 4, grad=False), drawn(6, 3, 4, seed=1, grad=False)
    turn, plain = turns(torch.linspace(0, 3, 12, dtype=F64).view(6, 1, 2).repeat(1, 1, 2))
    same([turned(x, turn)], [spun(x, *plain)])
    left, right = (turned(x, turn) * y).sum(), (x * turned(y, turn, back=True)).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-12)
    same([turned(turned(x, turn), turn, back=True)], [x])


# Products


class Two(nn.Module):
    """Two linear layers that read one input, of different widths."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 4, bias=bias, dtype=F64), nn.Linear(6, 3, bias=bias, dtype=F64)
        with torch.no_grad():
            for i, p in enumerate(self.parameters()):
                p.copy_(drawn(*p.shape, seed=i + 5, grad=False))


def with_adapters(bias: bool) -> Two:
    made = Two(bias)
    inject_adapter_in_model(LoraConfig(r=2, lora_alpha=6, target_modules=["a", "b"]), made)
    with torch.no_grad():
        for i, (name, p) in enumerate(made.named_parameters()):
            if ".lora_" in name:
                p.data = drawn(*p.shape, seed=i + 50, grad=False)
    for name, p in made.named_parameters():
        p.requires_grad_(".lora_" in name)
    return made


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("lead", [True, False])
def test_product_of_trained_layers(bias: bool, lead: bool) -> None:
    """With and without a gradient for the input: the first layer of a model needs none."""
    layers = Two(bias)
    x = drawn(7, 6, grad=lead)
    wanted = [*([x] if lead else []), *(p for p in layers.parameters())]
    plain = torch.cat([layers.a(x), layers.b(x)], 1)
    expected = [plain.detach(), *grads(plain, wanted)]
    linear = Fused([layers.a, layers.b], F64)
    out = product(x, linear, True)
    same([out.detach(), *grads(out, wanted)], expected)
    assert layers.a.weight.data_ptr() == linear.weight.data_ptr(), "nothing is held twice"


@pytest.mark.parametrize("bias", [False, True])
def test_product_with_adapters(bias: bool) -> None:
    layers = with_adapters(bias)
    x = drawn(7, 6)
    wanted = [x, *(p for p in layers.parameters() if p.requires_grad)]
    assert len(wanted) == 5
    plain = torch.cat([layers.a(x), layers.b(x)], 1)
    expected = [plain.detach(), *grads(plain, wanted)]
    linear = Fused([layers.a, layers.b], F64)
    out = product(x, linear, True)
    same([out.detach(), *grads(out, wanted)], expected)
    merged = nn.functional.linear(x, linear.merged(F64), linear.bias)
    same([merged], [plain])


def test_product_without_adapters_is_the_base() -> None:
    layers = with_adapters(True)
    x = drawn(7, 6)
    linear = Fused([layers.a, layers.b], F64)
    base: Any = layers
    plain = torch.cat([base.a.base_layer(x), base.b.base_layer(x)], 1)
    out = product(x, linear, False)
    same([out.detach(), *grads(out, [x])], [plain.detach(), *grads(plain, [x])])
    assert float((out - product(x, linear, True)).abs().max()) > 0.1


@pytest.mark.parametrize("adapters", [False, True])
def test_refresh_takes_over_what_was_trained(adapters: bool) -> None:
    """In the masters' dtype and in another, where a copy is made."""
    for dtype in (F64, torch.float32):
        layers = with_adapters(True) if adapters else Two(True)
        x = drawn(7, 6, grad=False)
        linear = Fused([layers.a, layers.b], dtype)
        with torch.no_grad():
            for p in layers.parameters():
                if p.requires_grad:
                    p.add_(0.5)
        linear.refresh()
        plain = torch.cat([layers.a(x), layers.b(x)], 1)
        same([product(x.to(dtype), linear, True).detach()], [plain.detach()], 1e-12 if dtype == F64 else 1e-5)


def test_a_product_with_an_adapter_on_some_layers_only_is_refused() -> None:
    made = Two(False)
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["a"]), made)
    with pytest.raises(ValueError, match="all layers"):
        Fused([made.a, made.b], F64)


# Attention


def texts() -> list[Masked]:
    """Three with one prompt, two alone, one that is all prompt; lengths far apart."""

    def text(prompt: tuple[int, ...], *said: int) -> Masked:
        return Masked((*prompt, *said), (*(False for _ in prompt), *(True for _ in said)))

    one, two, three = (1, 2, 3, 4), (5,), tuple(range(20, 31))
    return [
        text(one, 7),
        text(two, 6, 7),
        text(one, 8, 9, 10),
        text(three, *range(40, 60)),
        text(one),
        text(two),
    ]


def causal(qkv: Tensor, turn: tuple[Tensor, Tensor], shape: tuple[int, int, int], see: Tensor) -> Tensor:
    """The plain formula over all tokens at once, ``see[q, k]`` telling who looks at whom."""
    heads, shared, size = shape
    wide = qkv.view(len(qkv), heads + 2 * shared, size)
    turned = spun(wide, *turn)
    q, k, v = turned[:, :heads], turned[:, heads : heads + shared], wide[:, heads + shared :]
    k, v = (x.repeat_interleave(heads // shared, 1) for x in (k, v))
    scores = torch.einsum("qhd,khd->hqk", q, k) / size**0.5
    weights = torch.softmax(scores.masked_fill(~see, -torch.inf), 2)
    return torch.einsum("hqk,khd->qhd", weights, v).flatten(1)


def visible(jobs: Any, count: int) -> Tensor:
    see = torch.zeros(count, count, dtype=torch.bool)
    for job in jobs:
        for n, q in job.real_NQ.nonzero().tolist():
            seen = job.look_NK[n][job.bar_NQK[n, q] == 0]
            see[job.ask_NQ[n, q], seen] = True
    return see


@pytest.mark.parametrize("shape", [(2, 2, 4), (4, 2, 4), (6, 1, 2)])
@pytest.mark.parametrize("share", [True, False])
def test_attend_is_softmax_attention_with_its_derivative(shape: tuple[int, int, int], share: bool) -> None:
    layout = packed(texts(), share, CPU)
    count = len(layout.tokens_T)
    assert len(layout.jobs) > 1, "else this shows little"
    heads, shared, size = shape
    qkv = drawn(count, (heads + 2 * shared) * size)
    angle = layout.position_T[:, None, None].to(F64) * torch.linspace(0.1, 1, size // 2, dtype=F64).repeat(2)
    turn, plain_turn = turns(angle)
    see = visible(layout.jobs, count)
    assert int(see.any(1).sum()) == count
    out, plain = attend(qkv, turn, shape, layout.jobs), causal(qkv, plain_turn, shape, see)
    same([out.detach(), *grads(out, [qkv])], [plain.detach(), *grads(plain, [qkv])])


# The head


def choices(temperature: bool, allowed: bool) -> Choices:
    heat = torch.tensor([1.0, 0.5, 2.0, 1.0, 3.0, 0.7, 1.0]) if temperature else torch.ones(7)
    lists = {1: (0, 3, 4), 5: (2, 8), 6: (1, 2, 3)} if allowed else {}
    return Choices(torch.tensor([0, 3, 5, 10, 7, 8, 1]), heat, lists)


def plain_logp(state: Tensor, weight: Tensor, told: Choices) -> Tensor:
    logits = state @ weight.t() / told.temperature_A[:, None].double()
    for t, tokens in told.allowed.items():
        barred = torch.ones(logits.shape[1], dtype=torch.bool)
        barred[list(tokens)] = False
        logits = logits.masked_fill((torch.arange(len(logits)) == t)[:, None] & barred, -torch.inf)
    return torch.log_softmax(logits, 1).gather(1, told.chosen_A[:, None])[:, 0]


@pytest.mark.parametrize("temperature", [False, True])
@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("trained", ["head", "frozen head", "head only"])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("rows", [256, 3, 1])
def test_log_probabilities_and_their_derivative(
    monkeypatch: pytest.MonkeyPatch, temperature: bool, allowed: bool, trained: str, kept: bool, rows: int
) -> None:
    """One chunk and several, probabilities kept and made again. Logits are float32: hence 1e-5."""
    monkeypatch.setattr(head_module, "_ROWS", rows)
    if not kept:
        monkeypatch.setattr(head_module, "_KEPT", 0)
    told = choices(temperature, allowed)
    linear = nn.Linear(6, 11, bias=False, dtype=F64)
    with torch.no_grad():
        linear.weight.copy_(drawn(11, 6, seed=3, grad=False))
    linear.weight.requires_grad_(trained != "frozen head")
    state = drawn(7, 6, grad=trained != "head only")
    of = [t for t in (state, linear.weight) if t.requires_grad]
    out, plain = Head(linear, F64).logp(state, told), plain_logp(state, linear.weight, told)
    same([out.detach(), *grads(out, of)], [plain.detach(), *grads(plain, of)], 1e-5)
    with torch.no_grad():
        same([Head(linear, F64).logp(state, told)], [plain], 1e-5)


def test_a_head_in_another_dtype_gives_its_gradient_to_the_master() -> None:
    told = choices(True, True)
    linear = nn.Linear(6, 11, bias=False)
    head = Head(linear, torch.bfloat16)
    state = drawn(7, 6).detach().to(torch.bfloat16).requires_grad_(True)
    out = head.logp(state, told)
    assert out.dtype == torch.float32
    plain = plain_logp(state.double(), linear.weight.double(), told)
    of = [state, linear.weight]
    # bfloat16 keeps 8 bits: the weights alone are rounded by up to 2^-9 of themselves.
    same([out.detach(), *grads(out, of)], [plain.detach(), *grads(plain.float(), of)], 2e-2)
    before = head.weight.clone()
    with torch.no_grad():
        linear.weight.add_(1.0)
    head.refresh()
    assert torch.equal(head.weight, linear.weight.detach().to(torch.bfloat16))
    assert not torch.equal(head.weight, before)


def test_a_head_with_a_trained_bias_and_whole_logits_go_the_plain_way() -> None:
    told = choices(True, True)
    linear = nn.Linear(6, 11, dtype=F64)
    state = drawn(7, 6)
    of = [state, linear.weight, linear.bias]
    out = Head(linear, F64).logp(state, told)
    logits = linear(state)
    eye = torch.eye(11, dtype=F64)
    plain = plain_logp(logits, eye, told)
    same([out.detach(), *grads(out, of)], [plain.detach(), *grads(plain, of)], 1e-5)
    linear.bias.requires_grad_(False)
    out = Head(linear, F64).logp(state, told)
    same(
        [out.detach(), *grads(out, of[:2])],
        [plain.detach(), *grads(plain_logp(linear(state), eye, told), of[:2])],
        1e-5,
    )
    whole = WholeLogits("a test").logp(logits.detach(), told)
    same([whole], [plain.detach()], 1e-5)


def test_nothing_to_score_gives_nothing() -> None:
    none = Choices(torch.zeros(0, dtype=torch.long), torch.zeros(0), {})
    linear = nn.Linear(6, 11, bias=False)
    state = torch.zeros(0, 6, requires_grad=True)
    assert Head(linear, torch.float32).logp(state, none).shape == (0,)
    assert WholeLogits("a test").logp(torch.zeros(0, 11), none).shape == (0,)
