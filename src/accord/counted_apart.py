"""Groups of raters, for an ask that counts them apart: who said of themselves that they belong where.

Who is in which group is in the database of accounts, and nowhere else: a run keeps a digest of it, so that a
resume can say that somebody joined, left or took their consent back. It is one of the accounts' own random
ids, which that database alone knows: of pseudonyms, which exports name, all groupings could be tried out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import cast

from accord import catalog
from accord.errors import PlanError, beneath
from accord.frozen import file_of
from accord.plan import Stage
from accord.plan_tables import AskTable, RatersTable
from accord.ports import Ask, Grouped
from accord.records import digest
from accord.stores.identity import Identity

__all__ = ["apart", "ask_of", "groups_now"]


def apart(table: RatersTable) -> dict[str, str]:
    """The group of each rater by pseudonym. PlanError: no accounts, or fewer than two groups."""
    file = file_of(table.accounts)
    if file is not None and not file.is_file():
        allowed = "the path or URL of the accounts beside a labelling database"
        raise PlanError("accounts", table.accounts, allowed, "accord serve keeps them; see its --accounts")
    with Identity.open(table.accounts) as identity:
        members = identity.consents.members()
    own = {rater: said[table.by] for rater, said in members.items() if table.by in said}
    if not own:
        known = ", ".join(sorted({name for said in members.values() for name in said})) or "nothing"
        raise PlanError("by", table.by, f"what raters said of themselves: {known}")
    sizes = Counter(own.values())
    kept = {rater: group for rater, group in own.items() if sizes[group] >= table.k}
    if len(set(kept.values())) < 2:
        allowed = f"two groups or more with {table.k} raters each"
        raise PlanError("by", table.by, allowed, "smaller ones are not counted: they could be told apart")
    return kept


def ask_of(table: AskTable) -> Ask:
    """The ask of a plan, told who is in which group where it counts them apart."""
    ask = cast(Ask, catalog.build("asks", table))
    if table.raters is None or not isinstance(ask, Grouped):
        return ask
    with beneath("raters"):
        return ask.grouped(apart(table.raters))


def groups_now(stage: Stage) -> Mapping[str, str]:
    """A digest for each ask that counts raters apart, for the environment that a resume compares."""
    found: dict[str, str] = {}
    for index, table in enumerate(stage.ask):
        if table.raters is not None:
            with beneath(f"ask[{index}].raters"):
                found[f"raters of ask {index}"] = _digest_of(table.raters)
    return found


def _digest_of(table: RatersTable) -> str:
    group_of = apart(table)
    with Identity.open(table.accounts) as identity:
        ids = {one.pseudonym: one.id for one in identity.accounts.every()}
    return digest({ids[rater]: group for rater, group in group_of.items()})[:16]
