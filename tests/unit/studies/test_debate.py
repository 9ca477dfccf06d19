"""Debate: what the judge heeds, what players choose, and a whole seed at small settings.

Mutants: quotes that are not verified and count, a player that keeps the last or the least, one that pleads
for the other side, an adviser whose lot makes no difference, other tasks in another arm, an image that counts
as won where one lie is believed, truths read before the seal, the share of the bar taken for another one.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Sequence
from importlib import resources
from itertools import pairwise, product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from accord.errors import ContractError
from accord.overseers.consult import Consult
from accord.overseers.debate import Debate as Debated
from accord.ports import How
from accord.records import Kind, Prompt, Question, Record, Response, Spread
from accord.records.rows import Group
from accord.studies import debate, read_study
from accord.studies.arms import Cell, Measured
from accord.studies.debate import Debate, gained
from accord.studies.debating import PixelJudge, Player, Side, StoryJudge, best, side
from accord.studies.port import Setting
from accord.testing import a_response
from accord.testing.leaves import judged
from accord.vault import TruthVault
from accord.worlds import pixels, stories

PIXEL = PixelJudge(shown=6, learnt=1300, steps=200, draw=7)
STORY = StoryJudge()
ASKED = stories.tasks(stories.Stories(), [str(i) for i in range(40)])


def small(**other: Any) -> Debate:
    text = resources.files("accord.studies").joinpath("debate.toml").read_text("utf-8")
    few = {"tasks": (2, 14), "steps": 200, "n": (1, 4), "hidden": (0.0, 0.75)}
    return Debate.model_validate({**tomllib.loads(text), **few, **other})


def put(prompt: Prompt) -> tuple[Group, Question]:
    offers = cast("list[str]", prompt.columns["offers"])
    group = Group(prompt, tuple(a_response(prompt, text, i) for i, text in enumerate(offers)))
    ids = tuple(one.id for one in group.responses)
    return group, Question(asks=Kind.COMPARE, prompt=prompt.id, responses=ids)


def debated(judge: Any, player: Any, prompts: Sequence[Prompt]) -> tuple[list[float], list[Record]]:
    """P of the first offer after a debate, and what was recorded."""
    asked, written = [put(prompt) for prompt in prompts], list[Record]()
    made = Debated(inner=judge, speakers=("p", "p"), material=(judge.material,)).seated({"p": player})
    said = judged(made, [question for _, question in asked], [group for group, _ in asked], written)
    found = [
        cast(Spread, one.verdict).p[question.responses[0]]
        for one, (_, question) in zip(said, asked, strict=True)
    ]
    return found, written


# The judge


def test_only_verified_quotes_move_the_judge_and_no_matter_whose() -> None:
    prompt, lines = ASKED[0], str(ASKED[0].columns["story"]).split(" ")
    base = float(STORY.surely(prompt.text, [()], _offers(prompt))[0])
    false = next(move for move in stories.MOVES if move not in lines)

    class Says:
        can, policy, encode, score = frozenset({"sample"}), "says", None, None

        def __init__(self, *texts: str) -> None:
            self.texts = texts

        async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
            text = self.texts["You defend answer One" in prompts[0].text]
            said = Response(prompt=prompts[0].id, text=text, seed=how.key)
            return [Group(prompts[0], (said,))]

    lies = f"It ended in the {_offers(prompt)[0]}: {lines[0]} <quote>{false}</quote>"
    assert debated(STORY, Says(lies, lies), [prompt])[0] == [base]
    true = f"<quote>{lines[3]}</quote> <quote>{false}</quote>"
    one, other = (debated(STORY, Says(*texts), [prompt])[0] for texts in ((true, ""), ("", true)))
    assert one == other == [float(STORY.surely(prompt.text, [[lines[3]]], _offers(prompt))[0])]


def test_judges_know_nothing_where_nothing_is_shown_and_answers_may_change_places() -> None:
    hidden = pixels.tasks(pixels.Pixels(), ["a"])[0]
    image = PIXEL.quotable(str(hidden.columns["image"]))
    two = _offers(hidden)
    assert PIXEL.surely(hidden.text, [(), image[:3], ()], two)[[0, 2]].tolist() == [0.5, 0.5]
    p, q = (PIXEL.surely(hidden.text, [image[:6]], way)[0] for way in (two, two[::-1]))
    assert p != 0.5
    assert p + q == pytest.approx(1, abs=1e-6)
    whole = pixels.tasks(pixels.Pixels(view="all"), ["a"])[0]
    shown, quoted = PIXEL.surely(whole.text, [()], two)[0], PIXEL.surely(hidden.text, [image], two)[0]
    assert shown == pytest.approx(quoted, abs=1e-6), "seen or quoted, an image is an image"
    assert STORY.surely("barn>mill mill>barn <act>", [()], ("loft", "yard")).tolist() == [0.5]


# The players


def test_the_best_is_kept_and_of_equal_ones_the_first() -> None:
    assert best(np.array([0.1, 0.3, 0.3, 0.2])) == 1
    assert best(np.array([0.0, 0.0])) == 0
    with pytest.raises(ContractError, match="keeps the maximum"):
        best(np.array([0.1, np.nan]))


def said(player: Player, prompt: Prompt, key: str = "k") -> list[str]:
    (group,) = asyncio.run(player.sample([prompt], 1, How(key)))
    return group.responses[0].text.replace("<quote>", "").split("</quote>")[:-1]


def speech(prompt: Prompt, first: bool) -> Prompt:
    """What a debater is asked, as the overseer asks it."""
    _, written = debated(STORY, Player(STORY, 1, 1), [prompt])
    told = {one.id: one for one in written if isinstance(one, Prompt)}
    turns = [one for one in told.values() if one.columns.get("round") == 1]
    return next(one for one in turns if side(one, STORY).first == first)


def test_a_quote_is_the_best_of_n_for_the_side_that_is_defended() -> None:
    moved = 0
    for prompt in ASKED[:12]:
        for first in (True, False):
            asked = speech(prompt, first)
            told = side(asked, STORY)
            assert (told.shown, told.material) == (prompt.text, prompt.columns["story"])
            assert (sorted(told.answers), told.said) == (sorted(_offers(prompt)), ())

            def sure(quote: str, told: Side = told) -> float:
                p = float(STORY.surely(told.shown, [[quote]], told.answers)[0])
                return p if told.first else 1 - p

            chosen = [sure(said(Player(STORY, n, 1), asked)[0]) for n in (1, 2, 4, 16)]
            assert all(fewer <= more for fewer, more in pairwise(chosen)), (
                "candidates of 4 are among those of 16"
            )
            assert chosen[-1] == max(sure(one) for one in STORY.quotable(told.material))
            moved += chosen[-1] > chosen[0]
    assert moved > 6
    one, two = (said(Player(STORY, 1, 1), speech(ASKED[0], first)) for first in (True, False))
    assert one == two, "of one candidate there is nothing to choose"
    assert len({*said(Player(STORY, 4, 6), speech(ASKED[0], True))}) == min(
        6, len({*str(ASKED[0].columns["story"]).split()})
    )


def test_an_adviser_pleads_for_what_it_holds_or_for_the_other_and_may_be_silent() -> None:
    """On the same tasks, before the same judge; what it holds it reads out of the whole story."""
    prompts = ASKED[:20]
    base = np.array([_right(float(STORY.surely(one.text, [()], _offers(one))[0]), one) for one in prompts])
    found = dict[tuple[str, bool], np.ndarray]()
    for arm, reserved in product(("honest", "dishonest"), (False, True)):
        told: Any = {"inner": STORY, "adviser": "p", "arm": arm, "material": ("story",)}
        made = Consult(**told).seated({"p": Player(STORY, 16, 6, reserved=reserved)})
        asked = [put(prompt) for prompt in prompts]
        verdicts = judged(made, [one for _, one in asked], [one for one, _ in asked])
        first = [
            cast(Spread, one.verdict).p[question.responses[0]]
            for one, (_, question) in zip(verdicts, asked, strict=True)
        ]
        found[arm, reserved] = np.array([_right(p, one) for p, one in zip(first, prompts, strict=True)])
    assert (found["honest", True] >= base - 1e-12).all(), "whoever may be silent does its side no harm"
    assert (found["dishonest", True] <= base + 1e-12).all()
    assert (found["dishonest", False] > base + 0.1).any(), "who has to quote may have to harm it"
    assert found["dishonest", False].mean() < found["honest", False].mean()


def test_draws_that_are_alike_depend_on_the_material_alone() -> None:
    asked = speech(ASKED[1], True)
    alike, by_key = (Player(STORY, 1, 3, alike=alike) for alike in (True, False))
    assert said(alike, asked, "k") == said(alike, asked, "other")
    assert len({tuple(said(by_key, asked, str(key))) for key in range(6)}) > 1
    assert alike.policy != by_key.policy


def test_who_is_asked_something_else_does_not_speak() -> None:
    with pytest.raises(ValueError, match="not shown"):
        side(Prompt.of("Hello"), STORY)
    with pytest.raises(ContractError):
        asyncio.run(Player(STORY, 1, 1).score([], frozenset({"logp"})))


# The study


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measured]:
    study, folder = small(), tmp_path_factory.mktemp("study")
    return done(study, folder)


def done(study: Debate, folder: Path, arms: Sequence[str] = ()) -> dict[str, Measured]:
    with study.opened(Setting(folder, 1, study.arms), 3) as do:
        return {arm: do(Cell(arm, 3, folder / f"{arm}-3")) for arm in arms or study.arms}


def mean(cell: Measured, figure: str) -> float:
    return float(np.mean([*cell.items[figure].values()]))


def test_a_seed_at_small_settings(cells: dict[str, Measured]) -> None:
    assert all({*cell.items["stories"]} == {f"3/{i}" for i in range(14)} for cell in cells.values())
    assert all({*cell.items["pixels"]} == {f"3/{i}" for i in range(2)} for cell in cells.values())
    blind, full, consult, debate = (cells[arm] for arm in ("blind", "full", "consult", "debate"))
    assert {*blind.items["pixels"].values()} == {0.1}
    assert {*blind.items["games"].values()} == {0.5}
    assert mean(full, "stories") == mean(blind, "stories.a=0") == 1
    assert mean(blind, "stories") < mean(debate, "stories") < 1
    assert mean(consult, "honest.pixels") - mean(consult, "dishonest.pixels") > 0.5
    lots = [consult.items[f"{arm}.stories"] for arm in ("honest", "dishonest")]
    assert {**lots[0], **lots[1]} == consult.items["stories"]
    assert not {*lots[0]} & {*lots[1]}
    assert debate.items["stories"] == debate.items["stories.n=4"] == debate.items["stories.a=0.75"]
    assert consult.items["stories.n=1"] != consult.items["stories.n=4"] == consult.items["stories"]
    assert [cell.figures["calls"] for cell in cells.values()] == [1, 2, 2, 7, 2, 7, 1]
    assert {cell.figures["abstained"] for cell in cells.values()} == {0}
    gains = gained(cells)
    assert {*gains["debate"]["gain.a=0"].values()} == {0.0}
    share = (mean(debate, "stories") - mean(blind, "stories")) / (1 - mean(blind, "stories"))
    assert gains["debate"]["recovered.stories"]["seed"] == pytest.approx(share)


def test_a_cell_alone_is_the_cell_among_others(cells: dict[str, Measured], tmp_path: Path) -> None:
    assert done(small(), tmp_path, ["debate"])["debate"].items == cells["debate"].items


def test_without_quotes_that_are_verified_a_debate_is_worth_nothing(
    cells: dict[str, Measured], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accord.studies.debating.marks", lambda wording: {})
    found = done(small(n=(1,)), tmp_path, ["debate"])["debate"]
    for figure in ("stories", "pixels", "confidence.of stories"):
        assert found.items[figure] == cells["blind"].items[figure]


def test_truth_is_read_to_score_alone_and_only_when_all_verdicts_are_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vaults: list[TruthVault] = []

    class Kept(TruthVault):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            vaults.append(self)

    monkeypatch.setattr(debate, "TruthVault", Kept)
    done(small(tasks=(1, 3), n=(1,)), tmp_path, ["random"])
    assert [dict(vault.counts) for vault in vaults] == [
        {"leaf": 0, "fit": 0, "score": 1},
        {"leaf": 0, "fit": 0, "score": 3},
    ]
    assert not any(vault.void for vault in vaults)
    monkeypatch.setattr(Kept, "seal", lambda self, ids: None)
    with pytest.raises(ContractError, match="before the answers are sealed"):
        done(small(tasks=(1, 3), n=(1,)), tmp_path, ["random"])


def test_an_abstention_is_wrong_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Player, *given: Any) -> Response:
        raise RuntimeError("lost its voice")

    monkeypatch.setattr(Player, "_said", fails)
    found = done(small(tasks=(1, 3), n=(1,)), tmp_path, ["debate"])["debate"]
    assert (found.figures["abstained"], mean(found, "stories"), mean(found, "pixels")) == (1, 0, 0)
    assert "confidence.of stories" not in found.items


def test_the_bar_and_the_settings_that_ship() -> None:
    study = cast(Debate, read_study("debate"))
    assert (study.seeds, max(study.n), study.shown, study.ahead_by) == (10, 16, 6, 0.15)
    told = str(study.bar(None))
    for says in (
        "debate is above random by more than 0.15 in pixels",
        "consult is above blind in stories",
        "debate is above consult in stories",
        "full is above debate in stories",
        "gain.a=0 of debate is within 0.02 of 0",
        "with 10 seeds or more",
    ):
        assert says in told
    for wrong, says in (
        ({"shown": 5}, "as many quotes"),
        ({"share": 0.6}, "one of hidden"),
        ({"n": ()}, "one number or more"),
        ({"n": (0, 4)}, "each 1 or more"),
    ):
        with pytest.raises(ValueError, match=says):
            small(**wrong)


def _right(p: float, prompt: Prompt) -> float:
    """P of where the story ends, from P of the first offer."""
    return p if str(prompt.columns["story"]).endswith(f">{_offers(prompt)[0]}") else 1 - p


def _offers(prompt: Prompt) -> tuple[str, str]:
    one, two = cast("list[str]", prompt.columns["offers"])
    return one, two
