"""A cloud of points with curves over it: on a scale from 0, in fractions, each curve by its name."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from accord.reports.svg import HEIGHT, WIDTH, Cloud, Trail, scatter
from accord.reports.words import number

DOTS = Trail("gold", "", ((0.0, 1.0), (0.25, 3.0), (0.5, 2.0)))


def drawn(*curves: Trail, measured: tuple[Trail, ...] = (DOTS,)) -> ElementTree.Element:
    return ElementTree.fromstring(scatter(Cloud('a "label"', "d", "gold", measured, curves, number)))


def texts(root: ElementTree.Element, kind: str) -> list[str]:
    return [text.text or "" for text in root.findall("text") if text.get("class") == kind]


def test_points_lie_where_their_numbers_are_and_are_not_joined() -> None:
    root = drawn()
    (x1, y1), (x2, y2), (x3, y3) = (
        (float(c.get("cx", "")), float(c.get("cy", ""))) for c in root.findall("circle")
    )
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.02)
    assert y3 == pytest.approx((y1 + y2) / 2, abs=0.02)
    assert not root.findall("polyline")
    assert root.get("aria-label") == 'a "label"'


def test_the_scale_begins_at_zero_and_has_fractions() -> None:
    assert {"0", "0.1", "0.5"} <= set(texts(drawn(), "tick"))
    assert texts(drawn(), "axis") == ["d", "gold"]


@pytest.mark.parametrize("ends", [(1.0, 1.0), (1.0, 1.01), (3.0, 3.0), (1.0, 3.0)])
def test_the_names_of_two_curves_never_meet(ends: tuple[float, float]) -> None:
    curves = [Trail(f"curve {k}", "curve", ((0.0, 1.0), (0.5, y))) for k, y in enumerate(ends)]
    root = drawn(*curves)
    heights = sorted(float(t.get("y", "")) for t in root.findall("text") if t.get("class") == "note")
    assert len(heights) == 2
    assert heights[1] - heights[0] >= 11
    assert all(0 < y < HEIGHT for y in heights)
    points = [p.split(",") for line in root.findall("polyline") for p in line.get("points", "").split()]
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in points)


@pytest.mark.parametrize("points", [(), ((0.0, 0.0),)])
def test_little_to_draw_is_drawn(points: tuple[tuple[float, float], ...]) -> None:
    root = drawn(measured=(Trail("gold", "", points),))
    assert len(root.findall("circle")) == len(points)


def test_a_name_is_text() -> None:
    root = drawn(Trail("<script>", "curve", ((0.0, 1.0), (0.5, 2.0))))
    assert texts(root, "note") == ["<script>"]
