"""Silence while transformers loads or saves: its bars and warnings would tear through Accord's own."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

__all__ = ["quiet"]


@contextmanager
def quiet() -> Generator[None]:
    """Progress bars and messages below an error of transformers and its hub are off inside, as found after.

    What matters of those messages (missing weights, leftover weights) ``open_model`` reads from the loading
    report and says itself. The switches are the libraries' own and hold for the process.
    """
    import huggingface_hub.utils
    from transformers.utils import logging

    hub = cast(Any, huggingface_hub.utils)
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_bars = not hub.are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if hub_bars:
        hub.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
        if hub_bars:
            hub.enable_progress_bars()
