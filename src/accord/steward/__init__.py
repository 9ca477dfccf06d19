"""The steward: what a model already holds of what it is to be aligned to, and the least that does the rest.

- ``standing.py``: one principle in one slice of its prompts: figures with their intervals, and the verdict.
- ``judges.py``: who says whether an answer keeps a principle, and whether that may be believed.
- ``contrasts.py``: which of two continuations a model finds likelier.
- ``portrait.py``: what a model is asked, once and kept; ``finished.py``: portraits read back;
  ``targets.py``: the table of what it came to.
- ``amplify.py``: what is within reach; ``variants.py`` the plans, ``mixing.py`` their source, ``anchored.py``
  their method, ``approved.py`` their score. ``constitution.py``: answers revised under a principle,
  ``reviser.py`` a model that does it, ``ledger.py`` the records of it.
- ``dialogue.py``: a divergence put to the model; ``sitting.py`` its course, ``own.py`` what it does already,
  ``talk.py`` and ``choices.py`` what is asked, ``conversed.py`` what it came to, ``resolutions.py`` the ways
  out and what a person answers.
- ``trial.py``: a plan of the steward's, run by its name, and what its result then does; ``drift.py`` how far
  that came; ``effort.py`` how much is spent.
- ``requirements.py``: the evidence gate as a whole; ``guarded.py``, ``provenance.py``, ``succession.py``:
  what it asks of the guard, the base, what is superseded; ``tried.py``: what was tried on a divergence.
- ``path.py``: what ``accord run`` does without a method; ``steps.py``: one call of a part each; ``asked.py``,
  ``answers.py``: what it was asked, and says; ``moved.py``: before and now; ``harder.py``: what a push would
  take; ``gentler.py``: what presses less than a halted run did; ``revised.py``: learning revised answers.

``standing.py`` is the example to follow: pure, from verdicts to figures. Not here: the checks before the
first update (``accord.gating``), whether a run may begin (``accord.permitted``), and what training changes in
a model (``accord.auditing``).
"""
