"""Plans: TOML in and out, ``--set``, and every mistake at its place."""

from __future__ import annotations

import copy
import pickle
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.errors import PlanError, Unreadable
from accord.methods.best_of_n import BestOfN
from accord.plan import GuardTable, PartTable, Plan, Stage, read_plan

TEXT = """
name = "brevity"
purpose = "explore"
seed = 7
model = "smollm2-135m-instruct"
[[stage]]
name = "sft"
windows = 1
source = { name = "offline", data = "pairs.jsonl" }
method = { name = "sft" }
[[stage]]
name = "amplify"
windows = 5
model = "stage:sft"
[stage.source]
name = "rollouts"
prompts = "short-questions"
[[stage.ask]]
name = "each"
column = "score"
collapse = "distribution"
overseer = { name = "program", fn = "accord.overseers.program:brief" }
[stage.method]
name = "best_of_n"
n = 8
[stage.guard]
probes = 24
rule = [{ name = "fell", indicator = "diversity", by = 0.5 }]
[stage.held_out]
prompts = "held-out"
"""


@pytest.fixture
def plan() -> Plan:
    return read_plan(TEXT)


def failing(text: str) -> PlanError:
    with pytest.raises(PlanError) as caught:
        read_plan(text)
    return caught.value


def test_a_plan_reads_as_it_is_written(plan: Plan) -> None:
    sft, amplify = plan.stage
    assert (plan.name, plan.purpose, plan.seed, plan.model) == (
        "brevity",
        "explore",
        7,
        "smollm2-135m-instruct",
    )
    assert (amplify.windows, amplify.model, sft.model) == (5, "stage:sft", None)
    assert amplify.method.plain() == {"n": 8}
    assert amplify.ask[0].plain() == {"column": "score", "collapse": "distribution"}
    assert amplify.ask[0].overseer.table() == {"name": "program", "fn": "accord.overseers.program:brief"}
    assert amplify.held_out is not None
    assert (amplify.held_out.prompts, amplify.held_out.n) == ("held-out", 4)


def test_defaults_are_the_documented_ones(plan: Plan) -> None:
    guard = plan.stage[0].guard
    assert (guard.every, guard.probes, guard.answers, guard.max_tokens, guard.prompts) == (1, 16, 4, 64, None)
    looking = ["reverse_kl", "base_rank", "diversity", "compression", "overton_coverage", "shallow_depth"]
    looking += ["entropy", "support_exit", "repetition"]
    asking = ["forward_kl", "contested", "sycophancy", "refusals", "misfire", "calibration", "unsaid"]
    asking += ["watched"]
    assert [part.name for part in guard.indicator] == [*looking, *asking, "capability"]
    assert (guard.items, plan.delta) == (32, 0.01)
    assert guard.rule is None
    assert plan.stage[0].learner == PartTable(name="local")
    assert (plan.stage[0].checkpoint.every, plan.stage[0].checkpoint.keep) == (10, 2)
    assert read_plan(TEXT.replace('purpose = "explore"\n', "")).purpose == "model"


def test_toml_comes_back_as_the_same_plan(plan: Plan) -> None:
    assert read_plan(plan.toml()) == plan
    assert read_plan(plan.toml()).hash == plan.hash
    # The resolved plan hides nothing: what was left out stands in it.
    assert tomllib.loads(plan.toml())["stage"][0]["guard"]["answers"] == 4


scalars = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
)
settings = st.dictionaries(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8).filter(
        lambda key: key not in ("name", "settings", "column", "collapse", "share", "overseer")
    ),
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab."), inner)),
    max_size=4,
)
names = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,9}\Z")
parts = st.builds(lambda name, table: PartTable(name=name, settings=table), names, settings)
asks = st.builds(
    lambda table, overseer, column: (
        table.table() | {"column": column, "collapse": "bt", "overseer": overseer}
    ),
    parts,
    parts,
    st.sampled_from(["score", "p", "cost:harm"]),
)
guards = st.builds(
    GuardTable,
    every=st.integers(1, 9),
    temperature=st.floats(0.1, 2),
    prompts=st.none() | st.text("abc/", min_size=1),
    indicator=st.lists(parts, max_size=2),
    rule=st.none() | st.lists(parts, min_size=1, max_size=2),
)
stages = st.builds(
    Stage,
    name=names,
    windows=st.integers(1, 10**6),
    source=parts,
    ask=st.lists(asks, max_size=1),
    method=parts,
    guard=guards,
    checkpoint=st.just({"every": 3}),
)
plans = st.builds(
    Plan,
    name=names,
    seed=st.integers(0, 2**53),
    model=st.text("abc/.", min_size=1),
    stage=st.lists(stages, min_size=1, max_size=3, unique_by=lambda stage: stage.name.lower()),
)


@given(plans)
def test_any_plan_survives_toml(plan: Plan) -> None:
    again = read_plan(plan.toml())
    assert again == plan
    assert again.hash == plan.hash
    assert again.toml() == plan.toml()


def test_the_hash_sees_every_value_and_no_default(plan: Plan) -> None:
    spelled = TEXT.replace("windows = 1\n", "windows = 1\nlearner = { name = 'local' }\n")
    assert read_plan(spelled).hash == plan.hash
    changed = [
        "seed=8",
        "stage.1.method.n=9",
        "stage.amplify.ask.0.overseer.fn=a:b",
        "stage.sft.checkpoint.keep=3",
    ]
    assert len({plan.hash, *(plan.set([one]).hash for one in changed)}) == 5


def test_code_writes_the_same_plan_as_toml(plan: Plan) -> None:
    first = Stage(
        name="sft", windows=1, source={"name": "offline", "data": "pairs.jsonl"}, method=PartTable(name="sft")
    )
    assert (
        Plan(name="brevity", purpose="explore", seed=7, model=plan.model, stage=[first, plan.stage[1]])
        == plan
    )


def test_a_part_itself_may_stand_for_its_table() -> None:
    stage = Stage(name="a", windows=1, source={"name": "rollouts"}, method=BestOfN(n=3))
    assert stage.method == PartTable(name="accord.methods.best_of_n:BestOfN", settings={"n": 3})


def test_settings_cannot_be_changed_behind_the_hash(plan: Plan) -> None:
    given = {"list": [1, {"deep": 2}]}
    table = PartTable(name="x", settings=given)
    given["list"].append(3)
    assert table.plain() == {"list": [1, {"deep": 2}]}
    with pytest.raises(TypeError):
        table.settings["list"] = 1  # type: ignore[index]
    table.plain()["list"].append(4)  # type: ignore[union-attr]
    assert table.plain() == {"list": [1, {"deep": 2}]}


def test_a_plan_can_be_copied_and_sent(plan: Plan) -> None:
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert copy.deepcopy(plan) == plan


@pytest.mark.parametrize(
    ("old", "new", "path", "value", "allowed", "advice"),
    [
        ("windows = 5", "windos = 5", "stage[1].windos", 5, "windows", 'did you mean "windows"?'),
        ("seed = 7", "sed = 7", "sed", 7, "seed", 'did you mean "seed"?'),
        ("windows = 5", "windows = 0", "stage[1].windows", 0, "a whole number, more than 0", ""),
        ("windows = 5", "windows = true", "stage[1].windows", True, "a whole number", ""),
        ("windows = 5", "windows = '5'", "stage[1].windows", "5", "a whole number", ""),
        ("windows = 5", "windows = 5.5", "stage[1].windows", 5.5, "a whole number", ""),
        ("windows = 5\n", "", "stage[1].windows", None, "a whole number", "no default"),
        ("seed = 7", "seed = -1", "seed", -1, "at least 0", ""),
        ('"explore"', '"explor"', "purpose", "explor", '"explore" or "model"', 'did you mean "explore"?'),
        ('collapse = "distribution"\n', "", "stage[1].ask[0].collapse", None, '"majority"', "no default"),
        ('column = "score"', 'column = "scor"', "stage[1].ask[0].column", "scor", '"cost:<id>"', ""),
        ('name = "program", ', "", "stage[1].ask[0].overseer.name", None, "text", "no default"),
        ("probes = 24", "probs = 16", "stage[1].guard.probs", 16, "probes", 'did you mean "probes"?'),
        ('rule = [{ name = "fell",', "rule = [{", "stage[1].guard.rule[0].name", None, "text", "no default"),
        ('"amplify"', '"../x"', "stage[1].name", "../x", "it names a directory", ""),
        ('"amplify"', '"a/b"', "stage[1].name", "a/b", "it names a directory", ""),
        ('"amplify"', '""', "stage[1].name", "", "it names a directory", ""),
        ('"amplify"', '"12"', "stage[1].name", "12", "a letter", "stage's number"),
        ('"brevity"', '".hidden"', "name", ".hidden", "it names a directory", ""),
        ('"amplify"', '"SFT"', "stage[1].name", "SFT", "no other stage", ""),
        ('"stage:sft"', '"stage:sfd"', "stage[1].model", "stage:sfd", "stage:sft", 'did you mean "sft"?'),
        ('"stage:sft"', '"stage:amplify"', "stage[1].model", "stage:amplify", "stage:sft", "before it"),
        ('"smollm2-135m-instruct"', '"stage:sft"', "model", "stage:sft", "a hub id", "starts"),
        ("n = 8", "limit = nan", "stage[1].method.limit", None, "numbers", "write it as text"),
        ("n = 8", "at = [1, 2024-01-01]", "stage[1].method.at[1]", None, "numbers", "write it as text"),
        ("n = 8", "big = 9007199254740993", "stage[1].method.big", 9007199254740993, "2^53", ""),
        ("n = 8", "settings = 1", "stage[1].method.settings", 1, "another name", "belongs to the table"),
        ("probes = 24", "temperature = 0", "stage[1].guard.temperature", 0, "a number, more than 0", ""),
        ("probes = 24", "temperature = inf", "stage[1].guard.temperature", float("inf"), "a number", ""),
    ],
)
def test_a_mistake_is_told_with_path_value_and_what_is_allowed(
    old: str, new: str, path: str, value: object, allowed: str, advice: str
) -> None:
    assert TEXT.count(old) == 1
    error = failing(TEXT.replace(old, new))
    assert error.path == path
    assert value is None or error.value == value
    assert allowed in error.allowed
    assert advice in error.advice
    assert path in str(error)


@pytest.mark.parametrize(
    ("tail", "path", "allowed"),
    [
        ("rule = []", "stage[0].guard.rule", "default rules"),
        ("indicator = ['x']", "stage[0].guard.indicator[0]", "a table with a name"),
    ],
)
def test_a_guard_has_rules_and_tables(tail: str, path: str, allowed: str) -> None:
    stage = "[[stage]]\nname='a'\nwindows=1\nsource={name='s'}\nmethod={name='m'}\n[stage.guard]\n"
    error = failing(f"name='x'\nmodel='m'\n{stage}{tail}")
    assert error.path == path
    assert allowed in error.allowed


@pytest.mark.parametrize("stage", ["", "stage = []", "stage = 3"])
def test_a_plan_has_stages(stage: str) -> None:
    error = failing(f"name = 'x'\nmodel = 'm'\n{stage}")
    assert error.path == "stage"
    assert "1 or more" in error.allowed


def test_one_column_has_one_ask() -> None:
    ask = TEXT[TEXT.index("[[stage.ask]]") : TEXT.index("[stage.method]")]
    error = failing(TEXT.replace(ask, ask + ask))
    assert (error.path, error.value) == ("stage[1].ask[1].column", "score")


def test_held_out_prompts_need_a_judge() -> None:
    ask = TEXT[TEXT.index("[[stage.ask]]") : TEXT.index("[stage.method]")]
    error = failing(TEXT.replace(ask, ""))
    assert error.path == "stage[1].held_out"
    assert "[[stage.ask]]" in error.advice


def test_several_mistakes_are_counted_and_a_typo_comes_first() -> None:
    error = failing(TEXT.replace("windows = 5", "windos = 5").replace("seed = 7", "seed = -1"))
    assert error.path == "stage[1].windos"
    assert "one of 3 problems" in error.advice


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"a": None}, "a"),
        ({"a": object()}, "a"),
        ({"a": {1: 2}}, "a"),
        ({"a": "\ud800"}, "a"),
        ({"name": 1}, "name"),
    ],
)
def test_what_toml_cannot_hold_is_refused_in_code(settings: dict[str, object], path: str) -> None:
    with pytest.raises(PlanError) as caught:
        PartTable(name="x", settings=settings)  # type: ignore[arg-type]
    assert caught.value.path == path


def test_code_gets_plan_errors_too() -> None:
    with pytest.raises(PlanError) as caught:
        Stage(name="a", windows=1, source={"name": "s"}, method={"name": "m"}, gaurd={})  # type: ignore[call-arg]
    assert caught.value.path == "gaurd"
    # An error inside leaves nothing behind that would change how the next one is told.
    with pytest.raises(PlanError):
        Stage(name="a", windows=0, source={"name": "s"}, method={"name": "m"})  # type: ignore[arg-type]


# --set


def test_set_goes_by_number_and_by_name(plan: Plan) -> None:
    changed = plan.set(
        ["stage.1.method.n=4", "stage.amplify.windows=2", "seed=1", "stage.sft.source.data=a=b"]
    )
    assert changed.stage[1].method.plain() == {"n": 4}
    assert (changed.stage[1].windows, changed.seed) == (2, 1)
    assert changed.stage[0].source.plain() == {"data": "a=b"}
    assert plan.seed == 7


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("0.5", 0.5),
        ("true", True),
        ('"4"', "4"),
        ("[1, 'b']", [1, "b"]),
        ("{ a = 1 }", {"a": 1}),
        ("data/x.jsonl", "data/x.jsonl"),
        ("a b", "a b"),
        ("", ""),
        ("2024-01-01", "2024-01-01"),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_set_reads_toml_and_falls_back_to_text(plan: Plan, text: str, value: object) -> None:
    assert plan.set([f"stage.1.method.x={text}"]).stage[1].method.plain()["x"] == value


def test_set_reaches_defaults_and_tables_that_are_not_there(plan: Plan) -> None:
    changed = plan.set(["stage.sft.guard.indicator.diversity.q=1"])
    assert changed.stage[0].guard.indicator[2].plain() == {"q": 1}
    assert plan.set(["stage.amplify.guard.rule.fell.by=0.7"]).stage[1].guard.rule is not None
    assert plan.set(["stage.amplify.method.deep.er=1"]).stage[1].method.plain()["deep"] == {"er": 1}


@pytest.mark.parametrize(
    ("assignment", "path", "allowed", "advice"),
    [
        ("seed", "--set", "path=value", ""),
        ("=3", "--set", "path=value", ""),
        ("sed=1", "sed", "seed", 'did you mean "seed"?'),
        ("seed.x=1", "seed", "a table or a list", "drop .x"),
        ("stage.7.windows=1", "stage", "0, 1, sft, amplify", ""),
        ("stage.amplfy.windows=1", "stage", "amplify", 'did you mean "amplify"?'),
        ("stage.amplify.gaurd.probes=1", "stage[1].gaurd", "guard", 'did you mean "guard"?'),
        ("stage.amplify.method=sft", "stage[1].method", "a table with a name", ""),
        ("seed=x", "seed", "a whole number", ""),
    ],
)
def test_set_errors_name_the_place(plan: Plan, assignment: str, path: str, allowed: str, advice: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan.set([assignment])
    assert caught.value.path == path
    assert allowed in caught.value.allowed
    assert advice in caught.value.advice


# Files


def test_a_file_and_its_name_are_read(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(TEXT, encoding="utf-8-sig")
    assert read_plan(file) == plan == read_plan(str(file))


@pytest.mark.parametrize(
    ("text", "line"),
    [("name = 'x'\nseed = = 1\n", 2), ("name = 'x'\n\n\nseed = [1,", 4), ("seed = 1\nseed = 2", 2)],
)
def test_bad_toml_names_file_and_line(text: str, line: int, tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(text)
    with pytest.raises(Unreadable) as caught:
        read_plan(file)
    assert (caught.value.file, caught.value.line) == (str(file), line)


def test_what_is_no_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes("name = 'é'".encode("latin-1"))
    for file in (tmp_path / "none.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(Unreadable, match="a plan in TOML"):
            read_plan(file)
