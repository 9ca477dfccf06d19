"""Where Accord keeps what several runs share: models and downloads, in one folder of the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder", "models_folder"]


def cache_folder() -> Path:
    """``$ACCORD_CACHE``, else ``$XDG_CACHE_HOME/accord``, else ``~/.cache/accord``. Not created here.

    An empty variable counts as unset; a relative ``XDG_CACHE_HOME`` is ignored, as its specification demands.
    """
    if own := os.environ.get("ACCORD_CACHE"):
        return Path(own).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path("~/.cache").expanduser()) / "accord"


def models_folder() -> Path:
    """The folder that holds one folder for each pulled model. Not created here."""
    return cache_folder() / "models"
