"""Asks: what is asked about which answers, and how verdicts become numbers (layer 2).

``each.py`` is the example to follow.

Here: two pure functions per file. Not here: who answers (``accord.overseers``) or what is done with the
numbers (``accord.methods``).
"""
