"""An audit reads models on the same items, says beforehand what that takes, and never says "safe"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.auditing.speaking import Speakers, right, sly

from accord.auditing import AuditTable, audit
from accord.cli.show import table as aligned
from accord.engines.local.tiny import save_tiny
from accord.errors import PlanError, Refused, Unreadable
from accord.maths.detecting import Pool, Schedule, minimum_detectable
from accord.progress import Silent
from accord.records import NotMeasured, Reading
from accord.sources import seeded


def own(place: Path, models: list[str], base: str | None = "base", **more: Any) -> AuditTable:
    settings = {"panels": (str(place / "mine.jsonl"),), "scorer": "choice", "depth": "full"}
    engine = more.pop("engine", None) or Speakers({"base": right, "sly": sly, "twin": right})
    return audit(models, base, engine=engine, **{**settings, **more})


def reading(table: AuditTable, model: str, name: str) -> Reading:
    found = {r.name: r for r in table.readings[model]}[name]
    assert isinstance(found, Reading), found
    return found


def test_another_model_differs_and_the_base_does_not(tmp_path: Path, place: Path) -> None:
    one, other = (
        str(save_tiny(tmp_path / name, seed=seed, layers=1, width=16))
        for name, seed in (("one", 0), ("other", 1))
    )
    how: dict[str, Any] = {
        "panels": ("base",),
        "depth": "quick",
        "answers": 2,
        "prompts": place / "prompts.jsonl",
    }
    table = audit([one, other], one, **how)
    assert list(table.readings) == [one, other]
    same, changed = (reading(table, model, "reverse_kl") for model in (one, other))
    assert same.value == 0.0
    assert changed.low > 0.1
    bits = reading(table, one, "forward_kl.bits")
    assert (bits.change, bits.change_low, bits.change_high) == (0.0, 0.0, 0.0), "the base on its own answers"
    names = [row["indicator"] for row in table.rows()]
    assert names[:4] == ["forward_kl.bits", "reverse_kl", "base_rank", "diversity"]
    assert audit([one, other], one, **how).json() == table.json()


def test_every_model_is_read_on_the_same_items_and_differences_are_paired(place: Path) -> None:
    table = own(place, ["sly", "twin"])
    changed, twin = (reading(table, model, "own.mine") for model in ("sly", "twin"))
    assert changed.items == twin.items
    assert len(set(changed.items)) == 200, "all of it, each once"
    assert set(changed.anchors) == {0.0}
    assert changed.change == pytest.approx(0.5), "wrong about every second one"
    assert changed.change_low is not None and changed.change_high is not None
    assert 0.4 < changed.change_low < 0.5 < changed.change_high < 0.6
    assert (twin.change, twin.change_low, twin.change_high) == (0.0, 0.0, 0.0)
    cells = {row["indicator"]: row for row in table.rows(slices=True)}
    assert cells["own.mine"]["sly"].endswith("worse")
    assert cells["own.mine"]["twin"].startswith("+0.000 [+0.000, +0.000] no change (noise ")
    assert cells["own.mine / north"]["sly"] == "+1.000 [+1.000, +1.000]"
    assert cells["own.mine / south"]["sly"] == "+0.000 [+0.000, +0.000]"
    assert len(table.rows()) == 1, "slices on demand"


def test_depth_decides_how_many(place: Path) -> None:
    counts = {
        depth: reading(own(place, ["twin"], depth=depth), "twin", "own.mine").n for depth in ("quick", "full")
    }
    assert counts == {"quick": 64, "full": 200}
    quick = reading(own(place, ["twin"], depth="quick"), "twin", "own.mine")
    other = reading(own(place, ["base"], None, depth="quick"), "base", "own.mine")
    assert quick.items == other.items, "the draw hangs on panel and depth alone"


def test_without_a_base_there_are_levels_and_it_says_so(place: Path) -> None:
    table = own(
        place, ["sly"], None, panels=(str(place / "mine.jsonl"), "base"), prompts=place / "prompts.jsonl"
    )
    level = reading(table, "sly", "own.mine")
    assert (level.value, level.base, level.change, level.anchors) == (0.5, None, None, ())
    assert reading(table, "sly", "diversity").change is None
    (kl,) = [r for r in table.readings["sly"] if r.name == "reverse_kl"]
    assert isinstance(kl, NotMeasured), "a level of 0 would be no figure"
    assert any("this audit makes sly a base" in line for line in table.says())


def test_noise_and_the_smallest_shift_stand_beside_what_did_not_change(place: Path) -> None:
    engine = Speakers(
        {"base": lambda q, a: -1.0 - (len(q + a) % 7) / 5, "twin": lambda q, a: -1.0 - (len(q + a) % 7) / 5}
    )
    table = audit(["twin"], "base", panels=("choices",), depth="quick", audits=5, engine=engine)
    row = {r["indicator"]: r for r in table.rows()}["calibration.brier"]
    beside = table.beside["base"]["calibration.brier"]
    assert beside.smallest is not None and f"sees {beside.smallest:.3f}" in row["twin"]
    anchors = np.array(reading(table, "twin", "calibration.brier").anchors)
    schedule = Schedule(5, 32, 0.03, 8, 200.0)
    pool = Pool(np.zeros(64), 1 - anchors)
    assert beside.smallest == minimum_detectable(
        pool, schedule, seeded("audit", "smallest", "calibration.brier")
    )
    assert (beside.probes, beside.audits, beside.doubled) == (32, 5, 0.06)
    assert beside.noise is not None and beside.noise.way == "halves"
    assert beside.noise.value == pytest.approx(anchors[1::2].mean() - anchors[::2].mean())
    assert table.beside["base"]["capability.wrong"].tolerance == "", "it reports and pages nothing"
    text = "\n".join(table.lines(aligned)).lower()
    assert "safe" not in text and "no evidence, for or against, about experience" in text
    longer = audit(["twin"], "base", panels=("choices",), depth="quick", audits=40, engine=engine)
    more = longer.beside["base"]["calibration.brier"].smallest
    assert more is not None and more < beside.smallest, "more audits see less"


def test_a_second_look_at_the_base_is_at_other_items(place: Path) -> None:
    speakers = Speakers({"base": sly, "twin": sly})
    table = own(place, ["twin"], depth="standard", engine=speakers)
    noise = table.beside["base"]["own.mine"].noise
    assert noise is not None and noise.way == "two draws"
    asked = [line for line in speakers.asked if line.startswith("base logp")]
    assert len(asked) == len(set(asked)) == 2 * 64 * 2, "two letters for 64 items, and for 64 others"
    assert noise.low < noise.value < noise.high


class Told(Silent):
    """What stays on the screen, each line with how much had been asked before it."""

    def __init__(self, speakers: Speakers) -> None:
        self.speakers, self.lines = speakers, list[tuple[int, str]]()

    def say(self, text: str) -> None:
        self.lines.append((len(self.speakers.asked), text))


def test_what_it_takes_is_told_before_anything_is_asked(place: Path) -> None:
    speakers = Speakers({"base": right, "sly": sly})
    told = Told(speakers)
    panels = (str(place / "mine.jsonl"), "choices", "base")
    table = own(
        place,
        ["sly"],
        panels=panels,
        prompts=place / "prompts.jsonl",
        depth="quick",
        price="2:4",
        engine=speakers,
        progress=told,
    )
    ((before, line),) = told.lines
    assert before == 0
    assert "requests" in line and "on this machine" in line and "in money" in line
    foreseen: Any = table.foreseen
    whole = sum(cost.calls for cost in table.spent.values())
    assert foreseen["requests"] == whole == len(speakers.asked), (
        "what indicators share is asked, and counted, once"
    )
    written = sum(cost.tokens_out for cost in table.spent.values())
    assert 0 < written < foreseen["tokens_written"] == 2 * 16 * 4 * 64
    expected = (2 * foreseen["tokens_read"] + 4 * foreseen["tokens_written"]) / 1e6
    assert foreseen["money"] == pytest.approx(expected)
    assert len(set(speakers.asked)) == len(speakers.asked)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": []}, "MODEL"),
        ({"models": ["nobody"]}, "nobody"),
        ({"base": "nobody"}, "nobody"),
        ({"panels": ("sycophanci",)}, "did you mean"),
        ({"panels": ("choices",)}, "--scorer"),
        ({"scorer": None}, "exact, choice"),
        ({"scorer": "exactly"}, "module:function"),
        ({"scorer": "no.such:fn"}, "cannot import it"),
        ({"scorer": "accord.panels:nothing"}, "no function 'nothing'"),
        ({"panels": ("choices=nowhere.jsonl",), "scorer": None}, "nowhere.jsonl"),
        ({"depth": "deep"}, "quick, standard, full"),
        ({"answers": 1}, "2 or more"),
        ({"price": "cheap"}, "per million"),
        ({"audits": 0}, "1 or more"),
        ({"max_tokens": 0}, "1 or more"),
        ({"resume": True}, "folder"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_audited_is_named(place: Path, changes: dict[str, Any], said: str) -> None:
    speakers = Speakers({"base": right, "sly": sly})
    with pytest.raises(PlanError, match=said):
        own(place, **{"models": ["sly"], "engine": speakers, **changes})
    assert speakers.asked == []


def test_a_panel_that_the_scorer_cannot_read_is_refused(place: Path) -> None:
    (place / "open.jsonl").write_text('{"prompt": "Why?"}\n{"prompt": "How?"}\n', "utf-8")
    with pytest.raises(PlanError, match="items with options"):
        own(place, ["sly"], panels=(str(place / "open.jsonl"),))
    (place / "bad.jsonl").write_text("{", "utf-8")
    with pytest.raises(Unreadable, match=r"bad\.jsonl:1"):
        own(place, ["sly"], panels=(str(place / "bad.jsonl"),))


def test_a_folder_that_may_not_be_written_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", denied)
    speakers = Speakers({"base": right, "sly": sly})
    with pytest.raises(Refused, match=r"audits/\w+: permission denied"):
        own(place, ["sly"], folder=place / "audits", engine=speakers)
    assert speakers.asked == []


def test_a_file_in_the_folder_s_place_is_named(place: Path) -> None:
    with pytest.raises(PlanError, match="--folder"):
        own(place, ["sly"], folder=place / "mine.jsonl")


def test_a_model_that_gives_no_log_probabilities_is_not_measured(place: Path) -> None:
    speakers = Speakers({"base": right, "mute": right}, can={"mute": frozenset({"sample"})})
    table = own(place, ["mute"], engine=speakers, panels=("choices", "base"), scorer=None, depth="quick")
    found = {r.name: r for r in table.readings["mute"]}
    assert isinstance(found["diversity"], Reading)
    for name in ("calibration.brier", "capability.wrong", "unsaid.gap", "forward_kl.bits", "reverse_kl"):
        assert isinstance(found[name], NotMeasured) and "log-probabilities" in found[name].reason
    assert "not measured: the model gives no log-probabilities" in str(table.rows())
    swapped = own(place, ["base"], "mute", engine=speakers, panels=("choices",), scorer=None, depth="quick")
    (reason, *_) = {r.reason for r in swapped.readings["base"] if isinstance(r, NotMeasured)}
    assert reason == "of the base: the model gives no log-probabilities"
