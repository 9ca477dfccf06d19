"""Feedback on its way out (layer 3): pure functions from records to rows of other tools, and what is lost.

- ``given.py``: the feedback itself, its questions with their texts, and what an export hands back.
- ``trl.py``: TRL's six types, standard or conversational. ``counted.py``: what they cannot carry, by reason.
- ``shares.py``: a row per question with the share of votes for each answer; small groups stay hidden.
- ``whole.py``: every record as it is, to be read back bit for bit. ``sheet.py``: CSV for people's eyes.

Nothing here opens a database or decides who may see what. ``trl.py`` is the example to follow; the way in is
``accord.stores.foreign.imports``.
"""
