"""Feedback on its way in (layer 3): files of other tools, and our own, as questions and judgments.

- ``brought.py``: what a file brings, who is said to have judged, and rows that were rejected.
- ``trl.py``: rows of TRL's six types. ``potato.py``: what Potato's annotators said. ``inspect_log.py``: what
  the scorers of an Inspect log said. ``whole.py``: the lossless file of ``accord export data --as jsonl``,
  read back bit for bit.

Who judged is never made up: see ``brought.py``. Here nothing is stored; ``accord.stores.people`` does that,
in one transaction. ``trl.py`` is the example to follow.
"""
