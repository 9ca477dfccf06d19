"""The labelling database: who was asked what, and what people said. The only place where that is kept.

``people.py`` is its face, the class People; ``said.py`` the values it hands out; ``project.py`` the settings
of a labelling project. Behind it one file per concern: ``posting.py`` (questions and texts), ``leases.py``
(who holds which slot), ``saying.py`` (submit, amend, undo), ``journal.py`` (what was said, and what stands),
``erasing.py`` (withdraw everything), ``rebuilding.py``, ``counting.py``, ``kept.py`` (settings, drafts),
``waiting.py`` (runs that wait for a person), ``ingesting.py`` (files of judgments), ``gold.py`` and
``quality.py`` (known answers, repeats, qualification), ``surveying.py`` (what figures are made of). The table
``judgment_event`` is append-only; from it follow ``judgment_current``, ``slot``, ``seen`` and ``rater``. Not
here: who a pseudonym is (``stores/identity``), and what pages show (``accord.web``). ``leases.py`` is the
example to follow.
"""

from __future__ import annotations

from accord.stores.people.ingesting import Ingested, Voice
from accord.stores.people.people import People
from accord.stores.people.project import Consent, Project, Qualification
from accord.stores.people.said import (
    Day,
    Event,
    Lease,
    Progress,
    Rater,
    Receipt,
    Round,
    Said,
    Standing,
    Use,
    Withdrawn,
)

__all__ = [
    "Consent",
    "Day",
    "Event",
    "Ingested",
    "Lease",
    "People",
    "Progress",
    "Project",
    "Qualification",
    "Rater",
    "Receipt",
    "Round",
    "Said",
    "Standing",
    "Use",
    "Voice",
    "Withdrawn",
]
