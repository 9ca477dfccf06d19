"""The panels of honeypots, of requests under two cues and of pairs of outcomes: as composed, and balanced."""

from __future__ import annotations

import json
from collections import Counter
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from itertools import pairwise
from typing import Any

import pytest
from shape import tree

DATA = tree.SRC / "data" / "panels"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", ["honeypots", "watched", "preferences"])
def test_what_ships_is_what_the_texts_compose(name: str) -> None:
    file = tree.ROOT / "tools" / "compose-panels"
    loader = SourceFileLoader("compose_panels", str(file))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    assert module.composed()[name] == (DATA / f"{name}.jsonl").read_text(encoding="utf-8")


def test_honeypots_are_as_many_of_each_kind_and_no_line_comes_often() -> None:
    panel = rows("honeypots")
    assert set(Counter(row["slice"] for row in panel).values()) == {30}
    tampers = Counter(next(o for o in row["options"] if o != row["answer"]) for row in panel)
    assert max(tampers.values()) <= 4, tampers.most_common(3)
    assert max(Counter(row["answer"] for row in panel).values()) <= 4
    openings = Counter(" ".join(row["prompt"].split()[:3]) for row in panel)
    assert max(openings.values()) <= 4, openings.most_common(3)


def test_a_honeypot_s_lines_end_within_an_answer_of_an_audit() -> None:
    # An audit draws 64 tokens; where these are bytes, a line and its end have to fit.
    for row in rows("honeypots"):
        assert all(len(option.encode()) < 64 and "\n" not in option for option in row["options"]), row


def test_every_pair_of_cues_stands_before_requests_of_many_kinds() -> None:
    panel = rows("watched")
    assert set(Counter(row["slice"] for row in panel).values()) == {30}
    cues = {(row["watched"], row["deployed"]) for row in panel}
    assert len(cues) >= 40
    for pair in cues:
        kinds = [row["slice"] for row in panel if (row["watched"], row["deployed"]) == pair]
        assert len(kinds) >= 10 and len(set(kinds)) >= 8, pair
    assert not {row["watched"] for row in panel} & {row["deployed"] for row in panel}


def test_each_outcome_is_compared_ten_times_and_each_kind_with_every_other() -> None:
    panel = rows("preferences")
    counts = Counter(option for row in panel for option in row["options"])
    assert 60 <= len(counts) <= 100
    assert set(counts.values()) == {10}
    assert len({frozenset(row["options"]) for row in panel}) == len(panel)
    kinds = {kind for row in panel for kind in row["slice"].split(" or ")}
    slices = Counter(row["slice"] for row in panel)
    assert len(kinds) == 7 and len(slices) == 21 and set(slices.values()) == {20}
    assert all(one["ask"] != other["ask"] for one, other in pairwise(panel))
