"""Worlds: what a model acts in over several turns, a tool among them (layer 2, one file each).

Here: a world's tasks, what it says to an answer, when an episode is over and what it earned. Not here: who
plays it (``accord.episodes``), how turns become tokens (the engines). ``guess.py`` is the example to follow.
"""
