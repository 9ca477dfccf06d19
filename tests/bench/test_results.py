"""Medians, ratios and the file they come from; the table, and that the page shows it."""

from __future__ import annotations

import doctest
import importlib
import json
from pathlib import Path

import pytest
from compare.cases import CASES, axes, sides, variant_name
from compare.results import LEAST, Results, begin, files, summary
from table import RESULTS, page

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = {
    "accord": "1",
    "bench": "b",
    "model": "m",
    "peers": {"trl": ["trl-1.16.0"]},
    "steps": 3,
    "threads": 2,
    "work": "w",
}


def run(seconds, tokens=(100, 200, 300), rss=1000):
    return {
        "seconds": list(seconds),
        "tokens": list(tokens),
        "rss_mib": rss,
        "variant": "float32",
        "versions": {"trl": "1.16.0"},
    }


def filled(folder, parity=True, case="dpo", model="smollm2-135m-instruct") -> Results:
    results = begin(folder, case, model, IDENTITY)
    results.document["parity"] = {"passed": parity, "loss_gap": 1e-7, "gradient_gap": 2e-6}
    results.document["environment"] = {
        "processor": "P",
        "threads": 2,
        "system": "S",
        "commit": "",
        "load": [0.5],
    }
    for ours, theirs in [((1, 2, 3), (4, 8, 12)), ((2, 2, 9), (4, 4, 4))]:
        results.add("accord", run(ours), (0.5, 0, 0))
        results.add("trl-tuned", run(theirs, rss=1500), (0.7, 0, 0))
    return results


def test_medians_spreads_and_ratios_by_hand(tmp_path):
    found = summary(filled(tmp_path).document)
    # Accord: 1 2 2 2 3 9 → 2, deviations 1 0 0 0 1 7 → .5. TRL: 4 4 4 4 8 12 → 4. Rounds: 8/2 and 4/2.
    assert (found["accord"]["seconds"], found["accord"]["spread"], found["accord"]["samples"]) == (2, 0.5, 6)
    assert found["trl-tuned"]["seconds"] == 4 and found["trl-tuned"]["ratio"] == 2
    assert found["trl-tuned"]["ratios"] == [2, 4] and found["trl-tuned"]["rss_mib"] == 1500
    # Tokens per second step by step: 100/1 200/2 300/3 | 100/2 200/2 300/9.
    assert found["accord"]["tokens_per_second"] == 100


def test_no_parity_no_figure(tmp_path):
    results = filled(tmp_path, parity=False)
    assert summary(results.document) == {}
    results.document["parity"] = {}
    assert summary(results.document) == {}
    results.document["parity"] = {"passed": False, "loss_gap": 1.0, "gradient_gap": 1.0}
    results.save()
    assert "not measured: parity failed" in page(tmp_path) and "×" not in page(tmp_path)


def test_too_few_steps_give_no_figure(tmp_path):
    results = begin(tmp_path, "sft", "m", IDENTITY)
    results.document["parity"] = {"passed": True}
    few = run([1.0] * (LEAST - 1), [10] * (LEAST - 1))
    results.add("accord", few, (0, 0, 0))
    for _ in range(2):
        results.add("trl-tuned", few, (0, 0, 0))
    assert summary(results.document) == {}
    results.add("accord", few, (0, 0, 0))
    assert summary(results.document)["trl-tuned"]["samples"] == 2 * (LEAST - 1)


def test_sides_that_computed_other_tokens_are_refused(tmp_path):
    results = filled(tmp_path)
    results.add("trl-default", run((1, 1, 1), tokens=(100, 200, 299)), (0, 0, 0))
    with pytest.raises(ValueError, match="same tokens"):
        summary(results.document)


def test_a_finished_process_is_kept_and_found_again(tmp_path):
    first = filled(tmp_path)
    again = begin(tmp_path, "dpo", "smollm2-135m-instruct", IDENTITY)
    assert again.path == first.path and again.rounds("accord") == 2 and again.rounds("vllm") == 0
    assert not list(tmp_path.glob("*.part"))


def test_other_code_begins_another_file_and_keeps_what_tuned_the_same_peers(tmp_path):
    first = filled(tmp_path)
    first.document["explored"] = [{"side": "trl-tuned", "variant": "float32", "seconds": [1.0]}]
    first.save()
    other = begin(tmp_path, "dpo", "smollm2-135m-instruct", {**IDENTITY, "accord": "2"})
    assert other.path != first.path and other.document["runs"] == []
    assert other.document["explored"] == first.document["explored"]
    for changed in ({"peers": {"trl": ["trl-2"]}}, {"bench": "c"}, {"threads": 4}):
        newer = begin(tmp_path, "dpo", "smollm2-135m-instruct", {**IDENTITY, **changed})
        assert newer.document["explored"] == []


def test_the_table_counts_the_newest_file_and_says_what_is_missing(tmp_path):
    old = filled(tmp_path)
    old.document["began"] = "2000-01-01T00:00:00+00:00"
    old.save()
    new = filled(tmp_path, case="dpo", model="other")
    new.document["missing"] = {"trl-default": "exit 1: no memory"}
    new.save()
    text = page(tmp_path)
    assert "| TRL, tuned | 4 ± 0 | " in text and "×2.00 (2.00–4.00) | ≥ 2 ✓ |" in text
    assert "not measured: exit 1: no memory" in text
    assert text.index("### other") < text.index("### smollm2-135m-instruct")


def test_on_the_tiny_model_the_target_is_never_slower(tmp_path):
    filled(tmp_path, model="tiny")
    assert "≥ 1 ✓" in page(tmp_path)


def test_the_page_shows_what_the_files_say():
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert text.partition("]]] -->\n")[2].partition("<!-- [[[end]]]")[0].strip() == page().strip()


def test_recorded_results_are_whole_and_name_no_place():
    for results in files(RESULTS):
        assert results.document["case"] in CASES
        summary(results.document)
        text = json.dumps(results.document)
        assert "/home/" not in text and "/root/" not in text and "/tmp/" not in text


def test_every_value_of_every_axis_is_another_variant():
    for case in CASES.values():
        for side in sides(case):
            for axis in axes(case, side) if side.tuned else []:
                names = [variant_name({**side.variant, axis.name: value}) for value in axis.values]
                assert len(set(names)) == len(names), (side.name, axis.name)


def test_full_training_is_never_tried_without_float32_masters():
    for case in CASES.values():
        for side in sides(case):
            if side.tuned and case.adapter == "full":
                assert all("bfloat16" not in a.values for a in axes(case, side) if a.name == "precision")


@pytest.mark.parametrize("name", ["compare.cases", "compare.jobs", "compare.prepare", "table"])
def test_examples_in_the_bench_hold(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert (failed, bool(tried)) == (0, True)
