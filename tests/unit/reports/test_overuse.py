"""How far the reward was used: the section says where the peak lies, draws the fit, and claims no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from unit.reports.test_page import ATTRIBUTES, page_of
from unit.reports.written import Script, finished, make_run, plan_of

from accord.maths.overuse import value_at
from accord.records import StepEvent
from accord.reports import gather
from accord.reports.charts import draw_use
from accord.reports.document import Use
from accord.reports.overuse import MOST, _points

D = [float(d) for d in np.linspace(0.0, 4.0, 9)]
Reward = Callable[[float], float]


def turning(d: float) -> float:
    """Highest at d = 3."""
    return 1.0 + float(value_at("best_of_n", np.array([d]), 3.0, 0.5)[0])


def a_run(
    folder: Path,
    gold: Reward | None = turning,
    ds: list[float] = D,
    since: str = "kl_start",
    stage: str = "amplify",
) -> Path:
    run = make_run(folder, plan_of(windows=len(ds), held_out=False, stages=("first", "amplify")))
    with Script(run, stage) as script:
        for k, d in enumerate(ds):
            told = {"d": d, since: d * d, "proxy": 0.5 + d, "spread": 0.1 + d / 10}
            script.window(k, **told, **({"gold": gold(d)} if gold else {}))
            script.update(k)
    return run


def use_in(run: Path, stage: int = 1) -> Use:
    use = gather(run).stages[stage].use
    assert use is not None
    return use


def test_the_peak_is_set_against_where_the_run_stopped(tmp_path: Path) -> None:
    use = use_in(a_run(tmp_path / "r"))
    bon, rl = use.fits
    assert (use.since, use.of) == ("start", "gold")
    assert bon.a is not None
    assert bon.b is not None
    assert bon.peak is not None
    assert [bon.start, bon.a.value, bon.b.value, bon.peak.value] == pytest.approx([1.0, 3.0, 0.5, 3.0])
    assert bon.says.startswith("Best-of-n form (residuals: standard deviation ")
    assert (
        "over 9 windows): gold is highest at d = 3 (95 % interval 3 to 3); the last window stood at 4,"
        in bon.says
    )
    assert bon.says.endswith("beyond the whole interval: further from the start, gold was less.")
    assert rl.says.startswith("Reinforcement form (")
    text = " ".join(use.says)
    assert "Between windows 1 and 9, d went from 0 to 4, the score that is trained on from 0.5 to 4.5" in text
    assert "the spread of the reward models’ heads from 0.1 to 0.5 and gold from 1 to 5." in text
    assert "Gold was judged: it was read and never trained on." in text
    assert "No gold" not in text


def test_a_run_that_stopped_before_the_peak_says_so(tmp_path: Path) -> None:
    """The windows came back: the largest d is 4, the last 1."""
    use = use_in(a_run(tmp_path / "r", ds=[*D, 1.0]))
    assert use.fits[0].says.endswith("the last window stood at 1, before it.")


def test_what_still_rises_is_not_given_a_peak(tmp_path: Path) -> None:
    bent = use_in(a_run(tmp_path / "bent", gold=lambda d: d + 0.1 * d * d)).fits[0].says
    assert bent.endswith("no turn was seen up to d = 4; if gold has a peak, it lies beyond the data.")
    late = use_in(a_run(tmp_path / "late", gold=lambda d: d * (6 - 0.5 * d))).fits[0].says
    assert "would be highest at d = 6" in late
    assert "beyond the largest d of 4: no turn was seen" in late
    fell = use_in(a_run(tmp_path / "fell", gold=lambda d: -d)).fits[0].says
    assert fell.endswith("gold only fell; it was highest at the start.")


def test_without_gold_the_curve_is_of_the_proxy_and_shows_nothing_by_itself(tmp_path: Path) -> None:
    use = use_in(a_run(tmp_path / "r", gold=None))
    assert use.of == "proxy"
    assert (
        "No gold was measured: this curve is of the reward that was trained on, and cannot show overuse by "
        "itself." in use.says
    )
    assert {fit.windows for fit in use.fits} == {9}
    assert all(point.gold is None for point in use.points)


def test_few_windows_are_shown_and_not_fitted(tmp_path: Path) -> None:
    use = use_in(a_run(tmp_path / "r", ds=D[:3]))
    assert [fit.a for fit in use.fits] == [None, None]
    assert use.fits[0].says == "Best-of-n form: no fit (3 windows with d and a reward; a fit needs 6)."
    assert len(use.points) == 3
    assert len(draw_use(use)) == 2


def test_d_from_the_base_is_fitted_only_where_the_stage_starts_there(tmp_path: Path) -> None:
    """Kills: a stage that starts elsewhere fitted as if its reward at d = 0 were known."""
    later = use_in(a_run(tmp_path / "later", since="kl_base"))
    assert (later.since, later.fits) == ("base", ())
    assert any("this stage starts elsewhere" in said for said in later.says)
    first = use_in(a_run(tmp_path / "first", since="kl_base", stage="first"), 0)
    assert first.fits[0].a is not None
    assert "from the base, as the guard read it" in first.says[0]


def test_points_of_two_scales_are_not_mixed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r", plan_of(windows=3, held_out=False))
    with Script(run) as script:
        script.window(0, d=0.0, kl_start=0.0, proxy=1.0)
        script.window(1, d=9.0, kl_base=81.0, proxy=1.0)
        script.window(2, d=1.0, kl_start=1.0, proxy=2.0)
    assert [point.d for point in use_in(run, 0).points] == [0.0, 1.0]


def test_a_run_that_knows_no_d_has_no_such_section(tmp_path: Path) -> None:
    run = finished(tmp_path / "brevity-1")
    assert gather(run).stages[0].use is None
    assert "How far the reward was used" not in "".join(page_of(run).said)


def test_many_windows_are_joined_for_drawing() -> None:
    scalars = [{"d": float(k), "kl_start": 0.0, "proxy": 1.0} for k in range(1000)]
    events = [StepEvent(run="r/s", name="window", step=k, window=k, scalars=s) for k, s in enumerate(scalars)]
    points = _points(events)
    assert len(points) == MOST // 2
    assert {point.n for point in points} == {5}
    assert (points[0].window, points[0].d, points[0].gold) == (3.0, 2.0, None)
    assert len(_points(events[:MOST])) == MOST


def test_both_curves_run_through_the_points_on_both_scales(tmp_path: Path) -> None:
    """The planted form passes over every gold point, by d and by KL. Kills: an axis not squared, curves of a
    score that was not fitted, points of gold and score exchanged.
    """
    both = draw_use(use_in(a_run(tmp_path / "r")))
    for drawn, middle in zip(both, (0.5, 0.25), strict=True):
        root = ElementTree.fromstring(drawn.svg)
        lines = {line.get("class"): _pixels(line) for line in root.findall("polyline")}
        assert lines.keys() == {"base", "curve"}
        dots = [(float(c.get("cx", "")), float(c.get("cy", ""))) for c in root.findall("circle")]
        gold, proxy = dots[9:], dots[:9]
        assert max(_off(lines["base"], dot) for dot in gold) < 1.0
        assert (gold[4][0] - gold[0][0]) / (gold[8][0] - gold[0][0]) == pytest.approx(middle, abs=0.01)
        assert max(_off(lines["base"], dot) for dot in proxy) > 10
        names = [text.text for text in root.findall("text") if text.get("class") == "note"]
        assert sorted(name or "" for name in names) == ["best of n", "reinforcement"]
        label = root.get("aria-label") or ""
        assert label.startswith("gold against ")
        assert "gold is highest at d = 3" in label
    by_d, by_kl = both
    assert by_d.head[:3] == ("window", "d", "KL")
    assert by_d.rows[-1][1:6] == ("4", "16", "4.5", "0.5", "5")
    assert by_kl.rows[0][:5] == ("best of n", "1", "3 (3 to 3)", "0.5 (0.5 to 0.5)", "3 (3 to 3)")


def _pixels(line: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in line.get("points", "").split())
    return [(float(x), float(y)) for x, y in pairs]


def _off(line: list[tuple[float, float]], dot: tuple[float, float]) -> float:
    """How far above or below a line a dot lies."""
    xs, ys = zip(*line, strict=True)
    return abs(float(np.interp(dot[0], xs, ys)) - dot[1])


def test_the_page_is_sound_and_the_figures_stand_in_the_json(tmp_path: Path) -> None:
    run = a_run(tmp_path / "r")
    page = page_of(run)
    assert page.attributes <= ATTRIBUTES
    assert len(page.ids) == len(set(page.ids))
    assert "s2-use" in page.ids
    assert "How far the reward was used" in page.said
    assert any(label.startswith("gold against d = √KL: 9 points, from 0 to 4.") for label in page.labels)
    use = gather(run).json()["stages"][1]["use"]  # type: ignore[index, call-overload]
    assert use["fits"][0]["a"]["value"] == pytest.approx(3.0)  # type: ignore[index, call-overload]
