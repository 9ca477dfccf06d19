"""Logs that Inspect 0.3.285 wrote: what its scorers said, what nobody scored, and logs that are none.

``capitals.eval`` is as it was written (Zstandard; four samples in two epochs, a grader that refused, a scorer
of NaN, one of an object). ``capitals.json`` is the second epoch of another run, without events and traces.

Mutants: what was not scored left out, or counted 0; a grader's failure taken for a wrong answer; NaN taken
for a number; bounds of scores beyond 1; the answer in the prompt; epochs taken for one answer.
"""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest

from accord.errors import Unreadable
from accord.records import Graded, Judgment, Prompt, Response
from accord.stores.foreign.imports.brought import Brought
from accord.stores.foreign.imports.inspect_log import bounds, bring_inspect
from accord.stores.foreign.inspect_files import is_log, packed, read

LOGS = Path(__file__).parents[1] / "inspect_logs"
EVAL, JSON = LOGS / "capitals.eval", LOGS / "capitals.json"


def said(brought: Brought, scorer: str) -> dict[tuple[str, int], Judgment]:
    """What a scorer said, by the sample's id and the answer's index."""
    texts = {one.id: one for one in brought.records}
    asked = {one.id: one for one in brought.questions}
    found: dict[tuple[str, int], Judgment] = {}
    for judgment in (one.judgment for one in brought.kept):
        if judgment.by.name == f"inspect:{scorer}":
            answer = cast(Response, texts[asked[judgment.question].responses[0]])
            sample = cast(Prompt, texts[answer.prompt]).columns["sample"]
            found[str(sample), answer.index] = judgment
    return found


def changed(tmp_path: Path, **fields: Any) -> Path:
    """The JSON log with other fields in its first sample, or above it (``top``)."""
    log = json.loads(JSON.read_text("utf-8"))
    log |= fields.pop("top", {})
    log["samples"][0] |= fields
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(log), "utf-8")
    return file


def test_every_score_is_a_judgment_of_its_answer_and_every_missing_one_an_abstention() -> None:
    brought = bring_inspect(EVAL)
    assert (brought.read, len(brought.kept)) == (8, 8 * 4)
    match, graded = said(brought, "match"), said(brought, "model_graded_qa")
    assert len(match) == 8, "an answer for each epoch"
    scores = {key: cast(Graded, one.verdict).scores for key, one in match.items()}
    assert scores["fr", 0] == {"score": 1.0} and scores["no", 0] == {"score": 0.0}
    refused = graded["no", 1]
    assert refused.verdict is None and refused.abstention == "unparsable" and refused.note == "grader_failed"
    assert refused.rationale == "Grade not found in model output: I refuse"
    several = [one.verdict for one in said(brought, "refuses").values() if one.verdict]
    assert [cast(Graded, one).scores for one in several] == [{"rude": 0.25, "sure": 1.0}]
    assert all(one.abstention == "error" for one in said(brought, "refuses").values() if not one.verdict)
    assert {one.judgment.by.type for one in brought.kept} == {"program"}, "nobody is taken for a person"


def test_prompt_and_answer_are_what_the_model_read_and_said() -> None:
    brought = bring_inspect(EVAL)
    texts = {one.id: one for one in brought.records}
    answer = next(one for one in texts.values() if isinstance(one, Response) and "Wien" in one.text)
    prompt = cast(Prompt, texts[answer.prompt])
    assert [(one.role, one.content) for one in prompt.messages] == [
        ("system", "Be brief."),
        ("user", "Wo? 🌍"),
    ]
    assert prompt.columns == {"sample": "ö/1", "target": "Wien"}
    assert (answer.text, answer.policy, answer.index) == ("Über Wien – ja", "mockllm/model", 0)


def test_what_nobody_scored_widens_the_mean_to_its_worst_and_best() -> None:
    found = {one.scorer: one for one in bounds(bring_inspect(EVAL))}
    match, graded = found["match"], found["model_graded_qa"]
    assert (match.mean, match.low, match.high) == (0.375, 0.375, 0.375), "as Inspect's own accuracy"
    assert (graded.scored, graded.asked, graded.mean) == (4, 8, 0.5)
    assert (graded.low, graded.high) == (2 / 8, 6 / 8)
    assert str(graded).endswith("with the others at their worst and best 0.250 to 0.750")
    assert (found["refuses.rude"].low, found["refuses.rude"].high) == (0.25 / 8, 7.25 / 8)


def test_scores_beyond_one_have_no_bound_and_none_at_all_has_no_mean(tmp_path: Path) -> None:
    scores = {"match": {"value": 7}, "brief": {"value": math.nan}, "own": {"value": [1, 0]}}
    brought = bring_inspect(changed(tmp_path, scores=scores))
    found = {one.scorer: one for one in bounds(brought)}
    assert found["match"].low is None and str(found["match"]) == "match: 2.000 of 4 scored, 4 asked"
    few = found["match"]._replace(scored=3)
    assert str(few).endswith("the others have no bound: scores are not within 0 and 1")
    assert found["own"].scored == 0 and str(found["own"]).startswith("own: none scored, 1 asked")
    assert brought.lost["scores that are texts or lists"] == 1
    first = next(key for key in said(brought, "own"))
    assert said(brought, "own")[first].abstention == "unparsable"
    assert said(brought, "brief")[first].abstention == "error"
    assert said(brought, "model_graded_qa")[first].abstention == "error", "listed above, and said nothing"


def test_parts_attachments_and_samples_without_an_answer(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "attachment://ab"}, {"type": "image", "image": "data:"}]
    turns = [{"role": "user", "content": parts}, {"role": "assistant", "content": "Rom"}]
    brought = bring_inspect(changed(tmp_path, messages=turns, attachments={"ab": "A long text"}))
    prompts = [one for one in brought.records if isinstance(one, Prompt)]
    assert "A long text" in {one.text for one in prompts}
    assert brought.lost["parts of messages: image"] == 1
    brought = bring_inspect(changed(tmp_path, messages=turns[:1]))
    assert brought.lost["samples without an answer"] == 1
    assert len(said(brought, "match")) == 3


def test_a_file_brings_the_same_judgments_twice_and_options_make_another_judge(tmp_path: Path) -> None:
    one, two = bring_inspect(JSON), bring_inspect(JSON)
    assert [k.judgment.id for k in one.kept] == [k.judgment.id for k in two.kept]
    log = json.loads(JSON.read_text("utf-8"))
    log["eval"]["scorers"][0]["options"] = {"ignore_case": False}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(log), "utf-8")
    configs = [{k.judgment.by.config for k in b.kept} for b in (one, bring_inspect(other))]
    assert len(configs[0]) == 4 and len(configs[0] & configs[1]) == 3


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ({"top": {"version": 3}}, "version 2 of Inspect's log"),
        ({"top": {"eval": []}}, '"eval" as an object'),
        ({"messages": 7}, '"messages" as a list'),
        ({"messages": [{"role": "user", "content": "?"}, {"role": "god", "content": "x"}] * 2}, None),
        ({"scores": 5}, '"scores" as an object'),
        ({"epoch": 0}, '"epoch" as a number'),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, broken: dict[str, Any], expected: str | None) -> None:
    file = changed(tmp_path, **broken)
    if expected is None:
        assert bring_inspect(file).lost["samples without an answer"] == 1
        return
    with pytest.raises(Unreadable, match=expected) as caught:
        bring_inspect(file)
    if "top" not in broken:
        assert caught.value.line == 1
        assert len(bring_inspect(file, rejecting=True).rejects) == 1


def test_archives_that_were_broken_off_damaged_or_of_another_kind(tmp_path: Path) -> None:
    log = read(EVAL)
    assert len(log.samples) == 8 and log.header["status"] == "success"
    file = tmp_path / "log.eval"
    file.write_bytes(packed(log.header, {f"{n}": one for n, one in log.samples}, zipped=True))
    # As text: NaN is not equal to itself.
    assert json.dumps(read(file).samples) == json.dumps(log.samples)
    with zipfile.ZipFile(file) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name != "header.json"}
    off = tmp_path / "off.eval"
    with zipfile.ZipFile(off, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)
    assert read(off).header["eval"] == log.header["eval"], "broken off, it has no header yet"
    raw = bytearray(EVAL.read_bytes())
    raw[2000] ^= 1
    file.write_bytes(bytes(raw))
    with pytest.raises(Unreadable, match="as it was written"):
        read(file)
    for content in (EVAL.read_bytes()[:5000], b"PK", b"\x00\xff", b"[1]", b""):
        file.write_bytes(content)
        with pytest.raises(Unreadable):
            read(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("header.json", b"{}" * 500)
    with pytest.raises(Unreadable, match="Deflate or Zstandard"):
        read(file)
    assert is_log(EVAL) and is_log(JSON) and not is_log(tmp_path / "none.json")
