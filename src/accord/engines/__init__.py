"""Engines: what computes. Each gives a Learner, a Sampler or both, and knows no algorithm.

- ``scripted``: the public fake; answers and updates are written down beforehand, so tests run without torch.
- ``local``: torch and transformers in this process.
- ``ranks``: the same in several processes, each with its share of the rows.
- ``pull``: how a known model gets into the user's cache; runs without torch up to the conversion.

Not here: algorithms (``accord.methods``), what decides which rows are trained on (``accord.sources``), and
when training stops (``accord.guard``). Nothing is imported until a plan names it.
"""
