"""The steward: what a model already holds of what it is to be aligned to, and the least that does the rest.

- ``standing.py``: one principle in one slice of its prompts: figures with their intervals, and the verdict.
- ``judges.py``: who says whether an answer keeps a principle, and whether that may be believed.
- ``contrasts.py``: which of two continuations a model finds likelier.
- ``portrait.py``: what a model is asked, once and kept; ``finished.py``: portraits read back;
  ``targets.py``: the table of what it came to.

``standing.py`` is the example to follow: pure, from verdicts to figures. Not here: whether a plan may push a
model (``accord.gating``), what training changes in one (``accord.auditing``), and anything that trains.
"""
