"""Figures of a labelling project, each with its n. Pages, the API and the terminal print the same ones.

``figures.py`` puts them together from one Survey: ``covering.py`` (what is done, pace, who gave up what),
``agreeing.py`` (α), ``leaning.py`` (position bias, self-consistency, gold, and what a person should look at),
``rating.py`` (ratings, and whether choosing questions helped). Nothing here reads a database or asks a model.
``leaning.py`` is the example to follow.
"""

from __future__ import annotations

from accord.reports.labelling.figures import Figures, figures

__all__ = ["Figures", "figures"]
