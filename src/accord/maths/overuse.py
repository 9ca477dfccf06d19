"""How far a reward was used: its worth against d = √KL, and the two curves of overuse (2210.10760).

    best of n        R(d) = R(0) + d·(a − b·d)        highest at d = a / 2b
    reinforcement    R(d) = R(0) + d·(a − b·ln d)     highest at d = e^(a/b − 1)

R is the reward at distance d from the start, as a gold reward that nobody trains on sees it. Beyond the peak
more of the reward that is trained on is less of what it stands for. Deliberate differences from the paper:

1. R(0) is fitted with a and b: the mean score of one window is noise, and taken as exact it bends the curve.
2. Intervals come from the linear model, whose a and b follow a t distribution of n − 3 degrees; the peak's is
   that of the peaks of pairs drawn from it. d counts as known and windows as independent: where they are
   not, the intervals are too narrow.
3. A curve that does not turn (b ≤ 0) has its peak at ∞; where it was highest within the data is told apart
   from that, so that a reward that only fell is not said to rise yet.
4. d is measured on the answers of each window, before its updates, or read by the guard; never a bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from accord.maths.divergences import k1
from accord.maths.intervals import Interval
from accord.maths.rollouts import Spoken
from accord.records.rows import Floats, Window

__all__ = ["FORMS", "GOLD", "LEAST", "Fit", "Form", "fitted", "peak", "use_of", "value_at", "withheld"]

Form = Literal["best_of_n", "rl"]
FORMS: tuple[Form, ...] = ("best_of_n", "rl")

GOLD = "gold"  # the column of verdicts that are read and never trained on
LEAST = 6  # windows: three numbers are fitted, and what is left over says how well
_RANGE = 0.1  # of d: up to 0.01 nats nothing has been spent that a curve could be seen of
_LARGEST = 700.0  # e to more than that is no float


class Fit(NamedTuple):
    """A fitted curve. ``start`` is R(0), ``residual`` the standard deviation around the curve (n − 3).

    ``highest``: where it was highest between 0 and the largest d; before the first point after 0 is "start".
    """

    form: Form
    start: float
    a: Interval
    b: Interval
    peak: Interval
    highest: Literal["start", "inside", "end"]
    residual: float
    windows: int

    def at(self, d: Floats) -> Floats:
        """The reward at each distance."""
        return self.start + value_at(self.form, d, self.a.value, self.b.value)


def value_at(form: Form, d: Floats, a: float, b: float) -> Floats:
    """R(d) − R(0); 0 at d = 0 in either form.

    At d = 2 with a = 3, b = .5: 2·(3 − 1) = 4. At d = e with a = 3, b = 1.5: e·(3 − 1.5) = 4.0774.

    >>> value_at("best_of_n", np.array([0.0, 2.0]), 3.0, 0.5).tolist()
    [0.0, 4.0]
    >>> round(float(value_at("rl", np.array([math.e]), 3.0, 1.5)[0]), 4)
    4.0774
    """
    slope, bend = _basis(form, d)
    return a * slope + b * bend


def peak(form: Form, a: float, b: float) -> float:
    """The d of the highest reward, at least 0; ∞ where the curve does not turn (b ≤ 0).

    a = 3, b = .5: 3/1 = 3. a = 3, b = 1.5: e^(2 − 1) = 2.7183.

    >>> peak("best_of_n", 3.0, 0.5), round(peak("rl", 3.0, 1.5), 4), peak("rl", 3.0, -1.0)
    (3.0, 2.7183, inf)
    """
    if b <= 0:
        return math.inf
    if form == "best_of_n":
        return max(0.0, a / (2 * b))
    return math.exp(a / b - 1) if a / b - 1 < _LARGEST else math.inf


def fitted(
    form: Form, d_W: Floats, reward_W: Floats, rng: np.random.Generator, draws: int = 4000
) -> Fit | str:
    """The least-squares curve over windows, with 95 % intervals; or, in words, why there is none.

    >>> d = np.linspace(0, 4, 9)
    >>> found = fitted("best_of_n", d, 1 + d * (3 - 0.5 * d), np.random.default_rng(0))
    >>> assert not isinstance(found, str)
    >>> [round(x, 4) for x in (found.start, found.a.value, found.b.value, found.peak.value)]
    [1.0, 3.0, 0.5, 3.0]
    >>> fitted("rl", d[:3], d[:3], np.random.default_rng(0))
    '3 windows with d and a reward; a fit needs 6'
    """
    if d_W.shape != reward_W.shape or not np.isfinite([d_W, reward_W]).all() or (d_W < 0).any():
        raise ValueError("a fit takes one finite d, not negative, and one finite reward for each window")
    if d_W.size < LEAST:
        return f"{d_W.size} windows with d and a reward; a fit needs {LEAST}"
    low, high = float(d_W.min()), float(d_W.max())
    if high - low < _RANGE or len(np.unique(d_W)) < 4:
        return f"d went only from {low:.3g} to {high:.3g}; there is no range to see a curve in"
    design = np.stack([np.ones(d_W.size), *_basis(form, d_W)], axis=1)
    inverse = np.linalg.pinv(design)
    start, a, b = (float(x) for x in inverse @ reward_W)
    left_W = reward_W - design @ np.array([start, a, b])
    spare = d_W.size - 3
    residual = math.sqrt(float((left_W**2).sum()) / spare)
    root = np.linalg.cholesky(inverse[1:] @ inverse[1:].T)
    scale_D = residual * np.sqrt(spare / rng.chisquare(spare, draws))
    a_D, b_D = np.array([[a], [b]]) + scale_D * (root @ rng.standard_normal((2, draws)))
    peaks = np.array([peak(form, x, y) for x, y in zip(a_D.tolist(), b_D.tolist(), strict=True)])
    return Fit(
        form=form,
        start=start,
        a=_spanned(a, a_D),
        b=_spanned(b, b_D),
        peak=_spanned(peak(form, a, b), peaks),
        highest=_highest(form, d_W, a, b),
        residual=residual,
        windows=d_W.size,
    )


def use_of(measured: Window, drawn: Window, kl_base: float | None) -> dict[str, float]:
    """What a window of the policy's own answers says of how far the reward was used; unknown ones left out.

    ``kl_start``: nats per answer from the start of the stage, by k1 of these answers, where the method had
    both log-probabilities ``measured``; else ``kl_base``, what was read of these weights against the base.
    ``d``: the root of it, 0 where the estimate is negative. ``proxy``, ``spread``: the means of the score and
    of the ensemble's standard deviation over rows that were judged. ``gold``: that of the rows ``drawn`` for
    which it is known, ``gold_missing`` how many are without.
    """
    kl_start = _nats(measured)
    found: dict[str, float] = {}
    if kl_start is not None:
        found["kl_start"] = kl_start
    elif kl_base is not None:
        found["kl_base"] = kl_base
    if found:
        (nats,) = found.values()
        found["d"] = math.sqrt(max(0.0, nats))
    judged = [row.columns for row in drawn.rows if not row.missing]
    seen = {
        "proxy": _known([columns.get("score") for columns in judged]),
        "spread": _known([columns.get("spread") for columns in judged]),
        "gold": _known([row.columns.get(GOLD) for row in drawn.rows]),
    }
    found |= {name: float(values.mean()) for name, values in seen.items() if values.size}
    if any(GOLD in row.columns for row in drawn.rows):
        found["gold_missing"] = float(len(drawn.rows) - seen["gold"].size)
    return found


def withheld(window: Window) -> Window:
    """The window as its method may see it: without what is only read."""
    if not any(GOLD in row.columns for row in window.rows):
        return window
    rows = (replace(row, columns=_without(row.columns)) for row in window.rows)
    return replace(window, rows=tuple(rows))


def _nats(window: Window) -> float | None:
    """The mean over answers of Σ k1 over their tokens; an episode of several turns is one answer."""
    answers = sum(any(episode.tokens) for row in window.rows for episode in row.episodes)
    if not {"old_logp", "ref_logp"} <= window.measured.keys() or not answers:
        return None
    spoken = Spoken.of(window)
    now_T, ref_T = (spoken.measured_T(window, name) for name in ("old_logp", "ref_logp"))
    return float(k1(now_T, ref_T).sum()) / answers


def _basis(form: Form, d: Floats) -> tuple[Floats, Floats]:
    """What a and b multiply: d, and −d² or −d·ln d."""
    if form == "best_of_n":
        return d, -(d**2)
    return d, -d * np.log(np.where(d > 0, d, 1.0))


def _highest(form: Form, d_W: Floats, a: float, b: float) -> Literal["start", "inside", "end"]:
    most, turn = float(d_W.max()), peak(form, a, b)
    if turn >= most or b <= 0:
        return "end" if value_at(form, np.array([most]), a, b)[0] > 0 else "start"
    return "inside" if turn >= d_W[d_W > 0].min() else "start"


def _spanned(value: float, seen: Floats) -> Interval:
    # A peak may be infinite; between it and another nothing can be interpolated.
    ordered, last = np.sort(seen), len(seen) - 1
    return Interval(value, float(ordered[math.floor(0.025 * last)]), float(ordered[math.ceil(0.975 * last)]))


def _known(values: list[float | None]) -> Floats:
    found = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    return found[np.isfinite(found)]


def _without(columns: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in columns.items() if name != GOLD}
