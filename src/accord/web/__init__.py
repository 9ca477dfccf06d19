"""The labelling app (layer 5): pages and an API over the labelling database. It never calls a model.

- ``app.py``: ``build(people, identity, settings)``; its routers, one per file, each ``router(state)``.
- ``security.py``: what stands before every route; ``policy.py``: who may do what, in one table;
  ``sessions.py``: who is asking; ``problems.py``: refusals as pages.
- ``state.py``: the databases, the settings and the clock; ``serving.py``: addresses, and how a server ends;
  ``posting.py``: rows of a file as questions.
- ``pages.py``: templates and forms; ``showing.py``: hostile text made inert.
- ``entry.py``: coming in, consent, one's own account; ``accounts.py``: other people's; ``api.py``: programs.
- ``labelling.py``: a rater's turn; ``seat.py``, ``sitting.py``, ``asked.py``, ``verdicts.py``: from a
  question to a judgment; ``ways.py``: keys and layout; ``mine.py``: one's own work, and the way out.
- ``runs.py``: runs and reports, read-only; ``shelf.py`` finds and reads them, ``drawn.py`` draws them.
- ``managing.py``: a manager's pages; ``board.py`` and ``measured.py``: their figures, kept and in words;
  ``adjudicating.py``; ``checking.py``: a rater's questions with a known answer.
- ``listening.py``: the door of ``accord judge --listen``, an app of its own.

Forms work without script; scripts are ES modules in ``static/``, and nothing comes from another host.
``entry.py`` is the example to follow.
"""
