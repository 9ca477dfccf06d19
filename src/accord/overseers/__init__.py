"""Overseers: who answers a Question (layer 2). ``program.py`` is the example to follow.

Here: leaves and combinators, one file each; they touch nothing but their Desk. Not here: what is asked and
how answers become numbers (``accord.asks``), or the bookkeeping around an answer (``accord.desk``).
"""
