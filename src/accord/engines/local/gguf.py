"""A GGUF file becomes a safetensors folder whose model computes the same logits."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sized
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from accord.engines.local.quiet import quiet
from accord.engines.local.templates import CHATML
from accord.errors import Refused, Unreadable
from accord.progress import Progress

__all__ = ["convert_gguf"]


def convert_gguf(gguf: Path, to: Path, progress: Progress) -> None:
    """Write model, tokenizer and chat template of ``gguf`` into the folder ``to``, as float32.

    transformers expands the quantised blocks to float32 when it reads them; keeping all 32 bits keeps the
    logits exactly. Refused when the disk fills up, Unreadable when transformers does not know the file.
    """
    import torch
    import transformers
    from safetensors import SafetensorError
    from transformers import modeling_gguf_pytorch_utils

    hf = cast(Any, transformers)
    where = {"gguf_file": gguf.name, "local_files_only": True, "trust_remote_code": False}
    progress.begin("reading the GGUF file")
    try:
        with quiet(), _bar_of(modeling_gguf_pytorch_utils, progress):
            model = hf.AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **where)
            tokenizer = hf.AutoTokenizer.from_pretrained(gguf.parent, **where)
    except (ValueError, KeyError, RuntimeError) as error:
        raise Unreadable(
            gguf, "a GGUF file that transformers can read", str(error).splitlines()[0]
        ) from error
    finally:
        progress.end()
    # The weights are plain float32 now; left in place, these marks make save_pretrained refuse and would tell
    # the next loader that the folder is quantised.
    for mark in ("hf_quantizer", "is_quantized", "quantization_method"):
        if mark in vars(model):
            delattr(model, mark)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    if tokenizer.chat_template is None:
        tokenizer.chat_template = CHATML
    progress.begin("writing the converted model")
    try:
        with quiet():
            model.save_pretrained(to)
            tokenizer.save_pretrained(to)
    except SafetensorError as error:
        raise Refused(
            f"cannot write the model into {to}: {error}\n  Free some disk space and repeat."
        ) from error
    finally:
        progress.end()


@contextmanager
def _bar_of(module: ModuleType, progress: Progress) -> Generator[None]:
    """The one bar that transformers' own switch misses, turned into Accord's progress."""

    def counted(items: Iterable[object], **_: object) -> Generator[object]:
        progress.end()
        progress.begin("expanding the weights", len(items) if isinstance(items, Sized) else None)
        for item in items:
            yield item
            progress.advance()

    theirs = getattr(module, "tqdm", None)
    if theirs is None:
        yield
        return
    module.__dict__["tqdm"] = counted
    try:
        yield
    finally:
        module.__dict__["tqdm"] = theirs
