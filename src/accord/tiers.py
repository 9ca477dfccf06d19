"""Tiers: the rules of a stage whose plan names none and their order (layer 2, beside ``rules``)."""

from __future__ import annotations

from accord.canary import Canary
from accord.pages import Page
from accord.ports import Rule
from accord.rules import default_rules
from accord.signs import signs

__all__ = ["tiers"]


def tiers(delta: float) -> tuple[Rule, ...]:
    """Faults and tolerances, warnings, the canary, and pages with this part of the pipeline's δ."""
    return (*default_rules(), *signs(), Canary(), Page(delta=delta))
