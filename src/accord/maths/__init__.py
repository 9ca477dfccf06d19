"""Pure arithmetic: arrays and numbers in, numbers out (layer 0, numpy and scipy only).

Here: divergences between models, diversity of answers, intervals and permutation tests; losses that methods
share, which need torch, lie in ``maths/tensor``. Not here: records, samplers, files, thresholds. Every source
of chance is a ``numpy.random.Generator`` argument. ``divergences.py`` is the example to follow.
"""
