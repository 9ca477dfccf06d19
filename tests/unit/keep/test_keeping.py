"""A model is kept: what goes where, what is signed, what is refused, and that a kill loses nothing.

Mutants killed: a second version after a retry, statements signed twice, the drill left out of the chain, the
reference compared with itself, a weight changed after keeping that still revives, an explore run kept from a
copy, a gate that counts where it did not pass, an import signed as known.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from unit.keep.archives import NOON, Killed, stop_at, validated
from unit.keep.examples import role, signer
from unit.keep.runs import PROMPTS, SAME, archive_of, looked, model, replaying, run, terms

from accord.errors import Refused, Unreadable
from accord.keep.archive import Archive
from accord.keep.cards import ungated
from accord.keep.entries import RECORDS, found_entry
from accord.keep.evidence import Looked, audit_said
from accord.keep.faults import Fault
from accord.keep.intake import Explored, Incoming, Known, model_digest, taken_in
from accord.keep.keeping import Told, drilled, held_entry, keep
from accord.keep.predicates import Audit, Evidence
from accord.keep.retirement import Event, Next, following
from accord.keep.retirement import Known as Sound
from accord.keep.retiring import take
from accord.keep.revival import Asked, Drill, Reference, Replayed, answered, compared, drill
from accord.keep.steps import Steps
from accord.origins import Places, RunsOnDisk, Ungated, imported, told
from accord.permitted import bound
from accord.plan import read_plan
from accord.ports import How, Scored
from accord.progress import Progress, Silent
from accord.records import Decision, Permit, Prompt, Reading, Response
from accord.records.rows import Group, Text
from accord.stores.gates import KEPT, Ruling, add_ruling, of_plan
from accord.values import read_values


def clock() -> float:
    return NOON


def none(digest: str) -> Sequence[Known]:
    del digest
    return ()


def render(template: str, context: object) -> str:
    raise AssertionError((template, context))


def taken(folder: Path, runs: RunsOnDisk | None = None) -> Incoming:
    return taken_in(folder, runs or none, render)


def made(tmp_path: Path) -> Archive:
    return archive_of(tmp_path, signer(), role(signer()), clock)


def test_a_run_is_kept_with_all_that_is_known_of_it_and_drilled(tmp_path: Path) -> None:
    archive, base = made(tmp_path), model(tmp_path / "base")
    one = run(tmp_path / "runs", base, found=looked())
    shutil.copytree(one.folder / "train" / "model", tmp_path / "copy")
    runs = RunsOnDisk([tmp_path / "runs"])
    for folder in (one.folder / "train" / "model", tmp_path / "copy"):
        incoming = taken(folder, runs)
        (found,) = runs.of(model_digest(incoming.manifest))
        known = told(found, incoming, Places(audits=tmp_path), Silent())
        done = keep(archive, incoming, known, terms(signer(), clock, replaying()))
    held = done.held
    assert done.added == () and done.drill is None, "the copy is the same model"
    said = [s.predicate for s in held.chain.statements]
    kinds = [getattr(one, "kind", one.word) for one in said]
    assert kinds == ["bytes", "provenance", "gate", "release", "audit", "drill"] and not held.chain.faults
    origin = said[1].origin if isinstance(said[1], Evidence) else None
    assert origin and origin.run == "sft-model/train" and origin.base and origin.base.name == "base"
    assert [d.name for d in origin.data] == ["data.jsonl"] and origin.plan == read_plan(
        one.folder / "plan.toml"
    ).hash
    audit = said[4]
    assert isinstance(audit, Audit) and audit.delta == 0.01 and audit.indicators[0].name == "refusals"
    assert audit.indicators[0].record in held.records and "bail" in {m.name for m in audit.not_measured}
    assert known.notes == ("no gate was needed: no stage of this run pushes answers down",)
    names = set(archive.state(held.home.family, held.home.version))
    assert {f"accord/{n}" for n in ("plan.toml", "environment.json", "reference.json")} <= names
    assert held.drilled and held.drilled.outcome.result == "revived" and held.state == "kept"
    assert held.drilled.outcome.record in held.records and "1 of" not in held.name
    assert [v.message for v in archive.versions(held.entry)] == ["kept: sft-model/train", "drill 1: revived"]
    # Its base goes into the same family.
    base_in = taken(base)
    kept = keep(archive, base_in, imported("base", base_in, tmp_path), terms(signer(), clock))
    assert kept.held.home.family == held.home.family and kept.held.home.version == 2
    again = keep(archive, incoming, known, terms(signer(), clock, replaying()))
    assert again.added == () and len(archive.versions(held.home.family)) == 2
    assert validated(archive.folder) == 3
    assert found_entry(archive, held.entry[-32:-20]) == found_entry(archive, held.name) == held.entry


def test_what_descends_from_a_run_lies_in_the_family_of_the_first_base(tmp_path: Path) -> None:
    archive, base = made(tmp_path), model(tmp_path / "base")
    one = run(tmp_path / "runs", base)
    two = run(tmp_path / "runs" / "deeper", one.folder / "train" / "model", says=b"\5" * 64)
    runs = RunsOnDisk([tmp_path / "runs"])
    homes: list[str] = []
    for each in (one, two):
        incoming = taken(each.folder / "train" / "model", runs)
        known = told(each, incoming, Places(audits=tmp_path, runs=runs), Silent())
        homes.append(keep(archive, incoming, known, terms(signer(), clock)).held.home.family)
    assert homes[0] == homes[1] and len(archive.versions(homes[0])) == 2
    assert known.base is not None and known.base.digest == one.model.digest, "its own base is the first run's"


def test_what_explored_or_passed_no_gate_is_refused_under_any_path(tmp_path: Path) -> None:
    base = model(tmp_path / "base")
    explored = run(tmp_path / "runs", base, "dpo", "explore")
    shutil.copytree(explored.folder / "train" / "model", tmp_path / "copy")
    runs = RunsOnDisk([tmp_path / "runs"])
    with pytest.raises(Explored) as refused:
        taken(tmp_path / "copy", runs)
    assert any("accord keep" in line or "gate" in line for line in refused.value.run.lacks)
    assert refused.value.decision.parents == (explored.entry.id,)
    one = run(tmp_path / "runs", base, "dpo", says=b"\3" * 64)
    incoming = taken(one.folder / "train" / "model", RunsOnDisk([tmp_path / "runs"]))
    tell = partial(told, one, incoming, Places(audits=tmp_path), Silent())
    with pytest.raises(Ungated, match=r"train \(dpo\) pushes answers down"):
        tell()
    plan = read_plan(one.folder / "plan.toml").hash
    permit = Permit(plan=plan)
    for action in ("pause", "continue"):
        decision = Decision.model_validate(
            {"run": of_plan(plan), "step": 0, "action": action, "rule": "gate", "parents": (permit.id,)}
        )
        add_ruling(one.folder / KEPT, Ruling(decision, permit))
        if action == "pause":
            with pytest.raises(Ungated):
                tell()
    (gate,) = tell().said
    assert isinstance(gate, Evidence) and gate.outcome and gate.outcome.record == decision.id
    assert gate.outcome.result == "passed" and gate.outcome.rests_on == (permit.id,)
    permit = bound(read_plan(one.folder / "plan.toml"), read_values("hhh"), "", {})
    decision = decision.model_copy(update={"parents": (permit.id,)})
    add_ruling(one.folder / KEPT, Ruling(decision, permit))
    assert tell().values == read_values("hhh").digest
    for named, fits in (("hhh", True), ("minimal", False)):
        tell = partial(told, one, incoming, Places(values=named, audits=tmp_path), Silent())
        if fits:
            assert tell().values == read_values("hhh").digest
        else:
            with pytest.raises(Refused, match="the gate passed this run with"):
                tell()
    said = Response(prompt="p", text="", policy=f"base:{'0' * 16}")
    other = run(tmp_path / "more", base, says=b"\4" * 64, found=(said,))
    with pytest.raises(Refused, match="is not the base that this run began with"):
        told(other, incoming, Places(audits=tmp_path), Silent())


def test_what_pushes_nothing_needs_no_gate_unless_its_base_was_pushed_without_one(tmp_path: Path) -> None:
    archive, base = made(tmp_path), model(tmp_path / "base")
    one, runs = run(tmp_path / "runs", base), RunsOnDisk([tmp_path / "runs"])
    incoming = taken(one.folder / "train" / "model", runs)
    assert not any("UNGATED" in note for note in incoming.notes)
    known = told(one, incoming, Places(audits=tmp_path, runs=runs), Silent())
    done = keep(archive, incoming, known, terms(signer(), clock, replaying()))
    (gate,) = [s.predicate for s in done.held.chain.statements if getattr(s.predicate, "kind", "") == "gate"]
    assert isinstance(gate, Evidence) and gate.outcome and gate.outcome.result == "not needed"
    assert gate.outcome.record == one.entry.id and ungated(done.held.chain) == ""
    for purpose in ("explore", "model"):  # laundering: sft on what was pushed is no push of its own
        pushed = run(tmp_path / purpose, base, "dpo", purpose, says=b"\3" * 64)
        after = run(tmp_path / purpose / "later", pushed.folder / "train" / "model", says=b"\4" * 64)
        runs = RunsOnDisk([tmp_path / purpose])
        incoming = taken(after.folder / "train" / "model", runs)
        with pytest.raises(Ungated, match=r"dpo-\w+/train: train \(dpo\) pushes answers down"):
            told(after, incoming, Places(audits=tmp_path, runs=runs), Silent())


def test_a_clock_set_back_or_a_closed_copy_is_told_and_shows_nothing_half(tmp_path: Path) -> None:
    archive = made(tmp_path)
    incoming = taken(model(tmp_path / "base"))
    held = keep(archive, incoming, Told("base"), terms(signer(), clock, replaying())).held
    again = Told("base", beside={"plan.toml": b""})
    with pytest.raises(Refused, match="the clock was set back"):
        keep(archive, incoming, again, terms(signer(), lambda: NOON - 60, replaying()))
    with pytest.raises(Refused, match="its training unknown"):
        _ = keep(archive, incoming, again._replace(run="r"), terms(signer(), clock))
    assert len(archive.versions(held.home.family)) == 1
    (archive.folder / "keys" / "copies.toml").write_text('[[copy]]\npath = "../gone"\n')
    done = keep(archive, incoming, Told("base"), terms(signer(), clock))
    assert [one.kind for one in done.faults] == ["cannot be checked"] and done.copies.places == ()


def test_who_may_not_sign_keeps_nothing(tmp_path: Path) -> None:
    incoming = taken(model(tmp_path / "base"))
    told_of = Told("base")
    no_role = Archive.make(tmp_path / "none", clock)
    with pytest.raises(Refused, match="accord keep key --by NAME"):
        keep(no_role, incoming, told_of, terms(signer(), clock))
    curve = signer("edwards", "ed25519")
    edwards = archive_of(tmp_path, curve, role(curve), clock)
    with pytest.raises(Refused, match="P-256"):
        keep(edwards, incoming, told_of, terms(curve, clock))
    assert no_role.objects() == edwards.objects() == []


def test_a_kill_at_any_step_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    incoming = taken(model(tmp_path / "base"))
    fresh = archive_of(tmp_path, signer(), role(signer()), clock).folder

    def kept(folder: Path, steps: Steps) -> None:
        archive = Archive.open(folder, clock, steps=steps)
        keep(archive, incoming, Told("base"), terms(signer(), clock, replaying()))

    done: list[str] = []
    kept(shutil.copytree(fresh, tmp_path / "whole"), Steps(lambda step, _: done.append(step)))
    whole = len(done)
    for step in {round(whole * part / 5) for part in range(5)}:
        folder = shutil.copytree(fresh, tmp_path / f"killed-{step}")
        with pytest.raises(Killed):
            kept(folder, Steps(stop_at(step)))
        kept(folder, Steps())
        archive = Archive.open(folder, clock)
        entry, family = archive.objects()
        held = held_entry(archive, entry)
        assert len(archive.versions(family)) == 1 and len(archive.versions(entry)) == 2
        assert len(held.chain.statements) == 3 and not held.chain.faults and held.drilled
        assert validated(folder) == 2
        shutil.rmtree(folder)


def test_without_an_engine_the_drill_waits_and_then_makes_its_own_reference(tmp_path: Path) -> None:
    archive, seen = made(tmp_path), list[Path]()
    incoming = taken(model(tmp_path / "base"))
    done = keep(archive, incoming, Told("base"), terms(signer(), clock))
    assert done.drill is None and done.held.drilled is None and done.held.state == "kept"
    with pytest.raises(Refused, match=r"accord\[train\]"):
        drilled(archive, done.held, terms(signer(), clock))
    first, held = drilled(archive, done.held, terms(signer(), clock, replaying(seen=seen)))
    assert first.verdict == "revived" and "was made in this drill" in first.says[-1] and len(seen) == 2
    again, held = drilled(archive, held, terms(signer(), clock, replaying(moved=0.5)))
    assert again.verdict == "drifted" and again.fresh is None and held.drilled
    assert (
        held.drilled.outcome.result == "drifted"
        and len({n for n in held.names if n.startswith(RECORDS)}) == 2
    )
    assert not held.drilled.due(NOON) and held.drilled.due(NOON + 366 * 86400)


def test_a_changed_weight_fails_the_drill(tmp_path: Path) -> None:
    archive = made(tmp_path)
    incoming = taken(model(tmp_path / "base"))
    held = keep(archive, incoming, Told("base"), terms(signer(), clock, replaying())).held
    piece = archive.state(held.home.family)["model.safetensors/00000"].path
    data = bytearray(piece.read_bytes())
    data[0] ^= 1
    piece.write_bytes(bytes(data))
    seen: list[Path] = []
    done, held = drilled(archive, held, terms(signer(), clock, replaying(seen=seen)))
    assert done.verdict == "failed" and seen == [], "what is damaged is never loaded"
    assert held.drilled and held.drilled.outcome.result == "failed" and "00000" in done.says[0]
    wrong = held._replace(chain=held.chain._replace(faults=(Fault("contradicted", "a", "b"),)))
    told_of = drill(made(tmp_path / "other"), wrong, replaying(seen=seen), Asked(PROMPTS))
    assert told_of.verdict == "failed" and "a: contradicted: b" in told_of.says[0] and seen == []


def test_the_verdict_of_a_comparison() -> None:
    asked = Asked(PROMPTS, 4)

    def replayed(move: float = 0.0, tokens: tuple[int, ...] = (1, 2), env: str = "1") -> Replayed:
        found = replaying_of(tokens, move, env)
        assert isinstance(found, Replayed)
        return found

    reference = Reference.of(asked, replayed())
    assert Reference.read(reference.encode(), "x") == reference
    for odd in (b"", b"[]", b'{"form": 1}', b'{"form": ' * 100_000):
        with pytest.raises(Unreadable, match="x: expected a reference set"):
            Reference.read(odd, "x")

    def verdict(found: Replayed) -> Drill:
        return compared(reference, found)

    assert verdict(replayed(0.9e-4)).verdict == "revived"
    assert verdict(replayed(1.1e-4)).verdict == "drifted"
    other = verdict(replayed(tokens=(1, 3)))
    assert other.verdict == "drifted" and "first other token: 2 of the answer to prompt 1" in other.says
    # Elsewhere: p = e^-1 and e^-2 moved by δ change by .25·δ on average; .01 is reached near δ = .04.
    assert verdict(replayed(0.039, (1, 3), "2")).verdict == "revived"
    assert verdict(replayed(0.042, env="2")).verdict == "drifted"
    assert "threads 1 → 2" in verdict(replayed(env="2")).says[0]
    assert verdict(replayed(float("nan"))).verdict == "failed"
    assert "largest difference of 4 log-probabilities" in verdict(replayed()).says[1]
    assert "4 probabilities of tokens differ by" in verdict(replayed(env="2")).says[1]
    silent = verdict(replayed()._replace(said=()))
    assert silent.verdict == "failed" and "0 answers to 2 prompts" in silent.says[-1]
    nothing = replayed(tokens=())._replace(read=((), ()))
    assert compared(Reference.of(asked, nothing), nothing).verdict == "failed", "nothing was compared"
    assert compared(Reference.of(asked, replayed(float("nan"))), replayed()).verdict == "failed"


def replaying_of(tokens: tuple[int, ...], move: float, env: str) -> Replayed:
    said = tuple(Response(prompt=p.id, text="", tokens=tokens, prompt_tokens=(7,)) for p in PROMPTS)
    return Replayed({**SAME, "threads": env}, said, ((-1.0 - move, -2.0 - move),) * 2)


def test_a_reward_model_is_asked_to_score() -> None:
    class Scores:
        can, policy = frozenset({"score"}), "base:1"

        def encode(self, prompt: Prompt, text: str) -> Response:
            return Response(prompt=prompt.id, text=text, tokens=(1, 2), finish="data")

        async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
            raise AssertionError((prompts, n, how))

        async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
            assert want == {"score"}
            return [Scored({"score": np.array([len(t.prompt.text), 9.0])}, "t") for t in texts]

    asked = Asked(PROMPTS)
    first = asyncio.run(answered(Scores(), asked, SAME))
    reference = Reference.of(asked, first)
    assert reference.column == "score" and first.read == ((4.0, 9.0), (4.0, 9.0))
    again = asyncio.run(answered(Scores(), reference.asked, SAME))
    done = compared(reference, again)
    assert done.verdict == "revived" and "difference of 4 scores 0" in done.says[1]
    moved = again._replace(read=((4.0, 9.2), (4.0, 9.0)), environment={})
    assert (
        compared(reference, moved).mean == pytest.approx(0.05)
        and compared(reference, moved).verdict == "drifted"
    )


def test_what_others_sign_during_a_drill_stays_in_its_place(tmp_path: Path) -> None:
    """Kills: a statement signed onto the chain as it was read before a drill of minutes: two histories."""
    archive, again = made(tmp_path), replaying()
    incoming = taken(model(tmp_path / "base"))
    held = keep(archive, incoming, Told("base"), terms(signer(), clock)).held

    def meanwhile(folder: Path, asked: Asked, progress: Progress) -> Replayed | str:
        if len(held_entry(archive, held.entry).chain.statements) == 2:
            drilled(archive, held, terms(signer(), clock, again))
        return again(folder, asked, progress)

    with pytest.raises(Refused, match="made its reference set meanwhile"):
        drilled(archive, held, terms(signer(), clock, meanwhile))
    event = Event("activate", "A. Person", "it serves")
    sound = Sound(date(2027, 1, 15), "steward", True, "revived", ())

    def activated(folder: Path, asked: Asked, progress: Progress) -> Replayed | str:
        now = held_entry(archive, held.entry)
        if now.state == "kept":
            step = following("kept", event, sound)
            assert isinstance(step, Next) and take(archive, now, step, signer(), clock) == ()
            with pytest.raises(Refused, match="was added to it meanwhile"):
                take(archive, held, step, signer(), clock)
            with pytest.raises(Refused, match="none is skipped"):
                take(archive, held_entry(archive, held.entry), step, signer(), clock)
        return again(folder, asked, progress)

    _, after = drilled(archive, held_entry(archive, held.entry), terms(signer(), clock, activated))
    kinds = [getattr(one.predicate, "kind", one.predicate.word) for one in after.chain.statements]
    assert kinds == ["bytes", "provenance", "drill", "retirement", "drill"] and not after.chain.faults


def test_a_figure_for_bail_stands_where_it_is_signed() -> None:
    """Kills: a statement that cannot be made because somebody measured what Accord does not."""
    reading = Reading(
        run="r", name="bail", step=0, instrument="theirs", value=0.1, low=0.0, high=0.2, n=40, unit="share"
    )
    audit = audit_said(Looked("accord audit, quick", None, [reading]), "unknown")
    assert audit.bail is not None and (audit.bail.value, audit.bail.n) == (0.1, 40)
    assert audit.indicators == audit.not_measured == ()
