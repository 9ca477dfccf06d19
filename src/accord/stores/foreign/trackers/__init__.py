"""Live trackers: what a run's log says, sent on by another process while the run writes it (layer 3).

- ``rows.py``: the vocabulary. A Row is what one line of the log becomes; a Tracker takes Rows.
- ``tail.py``: reads the segments of a live run from where it stopped, open ones too.
- ``follow.py``: tail → tracker, with the position on disk, outages waited out, an end of its own.
- ``start.py``: names → trackers, and the process that follows.
- ``tensorboard.py``, ``mlflow.py``, ``trackio.py``, ``wandb.py``: one tracker each. The first is the example.

What is sent: figures of events and readings, decisions, faults and what could not be measured as text, the
plan as configuration. Not sent: prompts, answers, judgments, and the names of people. Training does not know
that it is followed: nothing here runs in its process but the start of another one.
"""

from __future__ import annotations

from accord.stores.foreign.trackers.follow import Watch, follow
from accord.stores.foreign.trackers.rows import About, Outage, Row, Tracker
from accord.stores.foreign.trackers.start import TRACKERS, check, start, tracker

__all__ = [
    "TRACKERS",
    "About",
    "Outage",
    "Row",
    "Tracker",
    "Watch",
    "check",
    "follow",
    "start",
    "tracker",
]
