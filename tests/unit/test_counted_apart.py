"""Groups of raters: from consented accounts only, none too small, and a resume sees that they changed."""

import pytest

from accord.counted_apart import apart, ask_of, groups_now
from accord.errors import PlanError
from accord.plan import Plan
from accord.plan_tables import RatersTable
from accord.records import digest
from accord.stores.identity import Identity


@pytest.fixture
def accounts(tmp_path):
    """Three raters of the north, two of the south, one of the west; the last did not agree."""
    url = str(tmp_path / "accounts.db")
    identity = Identity.open(url)
    for number, region in enumerate(["north"] * 3 + ["south"] * 2 + ["west", "north"]):
        one = identity.accounts.make(f"rater {number}", "rater")
        if number < 6:
            identity.consents.agree(one.id, "1", {"region": region})
    identity.close()
    return url


def regions(url: str, k: int = 2) -> RatersTable:
    return RatersTable(accounts=url, by="region", k=k)


def test_only_groups_that_are_large_enough_are_counted(accounts):
    assert sorted(apart(regions(accounts)).values()) == ["north"] * 3 + ["south"] * 2
    assert all(rater.startswith("r-") for rater in apart(regions(accounts)))


@pytest.mark.parametrize(("k", "says"), [(3, "two groups or more with 3 raters"), (10, "10 raters")])
def test_fewer_than_two_such_groups_are_refused(accounts, k, says):
    with pytest.raises(PlanError, match=says):
        apart(regions(accounts, k))


def test_what_nobody_said_of_themselves_is_named(accounts):
    with pytest.raises(PlanError, match="region"):
        apart(RatersTable(accounts=accounts, by="age"))


def test_no_accounts_are_made_by_looking_for_them(tmp_path):
    with pytest.raises(PlanError, match="accord serve"):
        apart(regions(str(tmp_path / "none.db")))
    assert not (tmp_path / "none.db").exists()


def plan(url: str, collapse: str = "per_group") -> Plan:
    ask = {
        "name": "pairs",
        "column": "p",
        "collapse": collapse,
        "raters": {"accounts": url, "by": "region", "k": 2},
        "overseer": {"name": "human", "queue": "labels.db"},
    }
    stage = {
        "name": "rm",
        "windows": 1,
        "source": {"name": "labelled", "queue": "labels.db"},
        "ask": [ask],
        "method": {"name": "reward_model"},
    }
    return Plan.model_validate({"name": "people", "model": "m", "stage": [stage]})


def test_the_ask_is_told_who_is_where(accounts):
    table = plan(accounts).stage[0].ask[0]
    assert not ask_of(table).lacks_groups
    assert ask_of(table.model_copy(update={"raters": None})).lacks_groups


def test_groups_without_a_way_that_counts_them_are_refused(accounts):
    with pytest.raises(PlanError, match="per_group"):
        plan(accounts, "distribution")


def test_a_resume_sees_that_somebody_left(accounts):
    stage = plan(accounts).stage[0]
    before = groups_now(stage)
    assert before == groups_now(stage)
    identity = Identity.open(accounts)
    identity.consents.take_back(identity.accounts.named("rater 0").id)
    identity.close()
    assert before != groups_now(stage)


def test_who_knows_the_pseudonyms_cannot_try_out_who_is_where(accounts):
    """Kills: a digest of pseudonyms and groups, which a run that is published would give away."""
    told = groups_now(plan(accounts).stage[0])
    assert digest(apart(regions(accounts)))[:16] not in told.values()


def test_a_plan_with_groups_is_written_and_read_back(accounts):
    tree = plan(accounts)
    from accord.plan import read_plan

    assert read_plan(tree.toml()) == tree
