"""Methods: one algorithm, one file (layer 2). ``sft.py`` is the example to follow.

Here: frozen configs that decide what a window teaches (``batch``) and how (``loss``). Not here: weights,
devices, optimizers (``accord.engines``), sampling (``accord.sources``) or judging (``accord.overseers``).
"""
