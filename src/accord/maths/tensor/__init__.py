"""Torch arithmetic that methods and engines share; the only maths that may import torch (layer 0)."""
