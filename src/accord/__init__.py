"""Accord: train language models from feedback, and watch what the training does to them.

The same nouns as in a plan, in Python: ``Plan`` and ``Stage`` say what is to be done, ``run`` does it,
``resume`` goes on with it. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accord.auditing import audit
    from accord.pipeline import resume, run
    from accord.plan import Plan, Stage, read_plan

__version__ = "0.1.0"
__all__ = ["Plan", "Stage", "__version__", "audit", "read_plan", "resume", "run"]

_WHERE = {
    "Plan": "accord.plan",
    "Stage": "accord.plan",
    "read_plan": "accord.plan",
    "run": "accord.pipeline",
    "resume": "accord.pipeline",
    "audit": "accord.auditing",
}


def __getattr__(name: str) -> object:
    """Names are imported on first use, so that ``import accord`` stays light."""
    if name not in _WHERE:
        raise AttributeError(f"module 'accord' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
