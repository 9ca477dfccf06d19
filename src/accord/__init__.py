"""Accord: train language models from feedback, and watch what the training does to them."""

from __future__ import annotations

__version__ = "0.1.0"
