"""How a name becomes weights and a tokenizer: a folder, a pulled model, a hub id; checked before torch loads.

``find_model`` runs without torch, so that a plan can be refused early. ``open_model`` never runs code that
comes with a model, never unpickles, and never lets transformers invent weights that a folder lacks.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from accord.engines.local.quiet import quiet
from accord.engines.local.tokens import (
    anchor_of,
    end_of_answer,
    ids_of,
    open_tokenizer,
    rendered,
    rendered_behind,
    template_digest,
    tokenizer_digest,
)
from accord.engines.local.weights import check_weights, read_object
from accord.engines.pull import CARD, KNOWN, file_digest, installed
from accord.errors import PlanError, Refused, Unreadable, nearest
from accord.folders import models_folder
from accord.progress import Progress, Silent
from accord.records import Prompt, Response, digest

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "Opened",
    "find_model",
    "manifest_digest",
    "model_manifest",
    "open_model",
    "open_scorer",
    "stops_of",
]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_HUB_FILES = ["model.safetensors", "model-*-of-*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]
_HUB_SECONDS = 5.0
_PACKAGES = ("torch", "transformers", "safetensors", "huggingface_hub")
_DTYPES = ("float32", "bfloat16", "float64")


class Opened(NamedTuple):
    """A model in eval mode with its tokenizer, and how the two speak.

    ``stop``: tokens that end an answer. ``end``: the one that training data end with. ``anchor``: text to cut
    an answer behind (``tokens.anchor_of``). ``notes``: what a person should know about how it was opened.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    template_digest: str
    tokenizer_digest: str
    notes: tuple[str, ...]
    folder: Path
    stop: frozenset[int]
    end: int
    anchor: str

    def render(self, prompt: Prompt) -> tuple[int, ...]:
        """The prompt's tokens, up to where the answer begins. PlanError when the template cannot write it.

        What of it has begun in tokens of this tokenizer stays these tokens; only what follows is rendered.
        """
        messages, begun = [m.model_dump() for m in prompt.messages], prompt.begun
        try:
            if begun is not None and begun.tokenizer == self.tokenizer_digest:
                text = rendered_behind(self.tokenizer, messages, prompt.answered)
                return (*begun.tokens, *self._behind(text, ended=begun.tokens[-1] in self.stop))
            text = rendered(self.tokenizer, messages)
        except ValueError as error:
            roles = [m.role for m in prompt.messages]
            raise PlanError(
                "prompt", roles, "messages the model's chat template takes", str(error)
            ) from error
        return tuple(ids_of(self.tokenizer, text))

    def _behind(self, text: str, ended: bool) -> list[int]:
        """``text`` behind an answer. The end it begins with is for answers that were cut before their own."""
        ids = ids_of(self.tokenizer, text.lstrip())
        if ids[:1] != [self.end]:
            raise ValueError("the chat template writes no end behind an earlier answer: nothing can follow")
        return ids[1:] if ended else ids

    def words(self, text: str) -> tuple[int, ...]:
        """The tokens of ``text`` as an answer that stops: cut apart from the prompt, ``end`` once behind it.

        The name of a special token inside ``text`` stays plain text, so no answer can forge its own end.
        """
        ids = ids_of(self.tokenizer, self.anchor + text, split=True)
        if self.anchor:
            before = ids_of(self.tokenizer, self.anchor, split=True)
            ids = (
                ids[len(before) :]
                if ids[: len(before)] == before
                else ids_of(self.tokenizer, text, split=True)
            )
        return (*ids, self.end)

    def encoded(self, prompt: Prompt, text: str, ended: bool = True) -> Response:
        """``text`` as the model's answer to ``prompt``, with the end token unless it was cut off."""
        words = self.words(text)
        return Response(
            prompt=prompt.id,
            text=text,
            prompt_tokens=self.render(prompt),
            tokens=words if ended else words[:-1],
            finish="data",
            tokenizer=self.tokenizer_digest,
            template=self.template_digest,
            parents=(prompt.id,),
        )

    def text(self, tokens: tuple[int, ...]) -> str:
        """What a person reads of an answer's tokens: no special tokens."""
        return cast(Any, self.tokenizer).decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )


def find_model(name: str) -> str | Path:
    """A folder, or a hub id ``org/name`` that ``open_model`` fetches. Asks no network.

    In this order: an existing folder, a pulled model (Refused when it is known but not pulled), a hub id.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise Refused(
            f"{name} is a file; a model is a folder as save_pretrained writes it\n"
            "  A GGUF file: load it in transformers with gguf_file= and save it into a folder."
        )
    if name in KNOWN:
        folder = installed(name)
        if folder is None:
            damaged = (models_folder() / name).exists()
            state = "is damaged in the cache" if damaged else "is not in the cache yet"
            raise Refused(f"the model {name} {state}\n  Run:  accord pull {name}")
        return folder
    if _HUB_ID.fullmatch(name) and not Path(name).parent.is_dir():
        return name
    siblings = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
    close = nearest(path.name, siblings) or nearest(name, KNOWN)
    allowed = f"the folder of a model, a hub id org/name, or {', '.join(KNOWN)}"
    raise PlanError("model", name, allowed, close or "no such folder")


def open_model(name: str | Path, *, dtype: str = "float32", progress: Progress | None = None) -> Opened:
    """The model and tokenizer called ``name``, checked, in eval mode, dropout off.

    ``dtype``: float32, bfloat16 or float64. Unreadable names the file that is not whole; Refused what Accord
    will not load.
    """
    if dtype not in _DTYPES:
        raise PlanError("dtype", dtype, ", ".join(_DTYPES), nearest(dtype, _DTYPES))
    return _open(str(name), dtype, 0, progress)


def open_scorer(name: str | Path, heads: int, *, progress: Progress | None = None) -> Opened:
    """The body of the model called ``name`` under ``heads`` score heads; a reward model keeps its own.

    The heads of a model that had none are transformers' own start: whoever trains them sets them.
    """
    return _open(str(name), "float32", heads, progress)


def _open(name: str, dtype: str, heads: int, progress: Progress | None) -> Opened:
    lacking = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if lacking:
        raise Refused(f"opening a model needs {', '.join(lacking)}\n  Run:  pip install 'accord[train]'")
    found = find_model(name)
    folder = found if isinstance(found, Path) else _fetch(found, progress or Silent())
    try:
        _check_config(folder)
        check_weights(folder)
        tokenizer, notes = open_tokenizer(folder)
        model, more = _load(folder, dtype, heads)
    except OSError as error:
        raise Unreadable(
            error.filename or folder, "a model that can be read", error.strerror or str(error)
        ) from error
    rows = cast(Any, model).get_input_embeddings().weight.shape[0]
    size = max(cast(Any, tokenizer).get_vocab().values()) + 1
    if size > rows:
        raise Unreadable(folder, f"a tokenizer of at most {rows:,} ids, as the model embeds", f"{size:,} ids")
    stop = stops_of(model, tokenizer)
    return Opened(
        model=model,
        tokenizer=tokenizer,
        template_digest=template_digest(tokenizer),
        tokenizer_digest=tokenizer_digest(tokenizer),
        notes=(*notes, *more),
        folder=folder,
        stop=stop,
        end=end_of_answer(tokenizer, stop),
        anchor=anchor_of(tokenizer),
    )


def model_manifest(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under ``folder`` by its path there; not hidden files, not Accord's card."""
    return {
        file.relative_to(folder).as_posix(): file_digest(file) for file in _files(folder) if file.name != CARD
    }


def manifest_digest(manifest: dict[str, str]) -> str:
    """One digest for a whole model."""
    return digest(manifest)


def _files(folder: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (Path(at) / f for f in sorted(files) if not f.startswith("."))


def _check_config(folder: Path) -> None:
    file = folder / "config.json"
    if not file.is_file():
        if (folder / "adapter_config.json").is_file():
            raise Refused(
                f"{folder} holds a LoRA adapter, not a model\n  Merge it into its base and save that."
            )
        raise Unreadable(folder, "a model's folder with config.json", "no config.json")
    config = read_object(file)
    if not isinstance(config.get("model_type"), str):
        raise Unreadable(file, '"model_type"', "none")
    if config.get("quantization_config"):
        raise Refused(f"{folder} holds quantised weights, which cannot be trained\n  Name their original.")


def _load(folder: Path, dtype: str, heads: int) -> tuple[PreTrainedModel, list[str]]:
    import torch
    import transformers
    from safetensors import SafetensorError

    from accord.engines.local.window import WindowModel

    assert WindowModel.config_class  # its file makes its type known to transformers
    kind = "AutoModelForSequenceClassification" if heads else "AutoModelForCausalLM"
    labels = {"num_labels": heads} if heads and not _classifies(folder) else {}
    try:
        with quiet():
            model, report = getattr(transformers, kind).from_pretrained(
                folder,
                **labels,
                dtype=getattr(torch, dtype),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
        ImportError,
        SafetensorError,
    ) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise Unreadable(
            folder, "a language model that transformers can load", " ".join(lines[:2])
        ) from error
    missing = sorted(set(report["missing_keys"]) - ({"score.weight"} if labels else set()))
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise Unreadable(folder, "all weights of the model that config.json describes", f"no {shown}")
    notes: list[str] = []
    if heads and not isinstance(getattr(model, "score", None), torch.nn.Linear):
        raise Unreadable(
            folder, "a model whose classifier is one linear layer called score", type(model).__name__
        )
    unused = sorted(set(report["unexpected_keys"]) - ({"lm_head.weight"} if heads else set()))
    if unused:
        notes.append(f"{len(unused)} weights in {folder} belong to no part of the model: {unused[0]}, …")
    _silence_dropout(model)
    return model.eval(), notes


def _classifies(folder: Path) -> bool:
    names = cast("list[str]", read_object(folder / "config.json").get("architectures") or [])
    return any(name.endswith("ForSequenceClassification") for name in names)


def _silence_dropout(model: object) -> None:
    """Dropout off in train mode too. On the modules, not in the config, which an export writes as it was."""
    for module in cast("Iterable[object]", cast(Any, model).modules()):
        settings = cast("dict[str, object]", vars(module))
        for name, value in list(settings.items()):
            if isinstance(value, float) and (
                "dropout" in name or (name == "p" and "Dropout" in type(module).__name__)
            ):
                setattr(module, name, 0.0)


def stops_of(model: object, tokenizer: object) -> frozenset[int]:
    """The tokenizer's end and every end that generation_config names."""
    stops = {cast(int, cast(Any, tokenizer).eos_token_id)}
    named: int | list[int] | None = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    if named is not None:
        stops.update([named] if isinstance(named, int) else named)
    return frozenset(stops)


def _fetch(name: str, progress: Progress) -> Path:
    """The snapshot of a hub model: the newest where the hub answers in seconds, else the cached one."""
    import huggingface_hub
    from huggingface_hub import errors

    hub = cast(Any, huggingface_hub)
    unreachable = (cast("type[Exception]", cast(Any, errors).HTTPError), OSError)
    try:
        info = hub.HfApi().model_info(name, timeout=_HUB_SECONDS)
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        # A gated model answers as this too, so say both.
        raise Refused(
            f"the hub has no model {name} that you may read, and there is no such folder\n"
            "  Look for a typo; for a private or gated model, run `hf auth login` first."
        ) from error
    except unreachable as error:
        return _cached(name, error)
    names = [str(cast(Any, file).rfilename) for file in cast("list[object]", info.siblings or [])]
    if not any(file.endswith(".safetensors") for file in names):
        raise Refused(f"the hub's {name} offers no safetensors, and Accord opens no pickled weights")
    progress.begin(f"fetching {name} from the hub")
    try:
        with quiet():
            return Path(hub.snapshot_download(name, revision=info.sha, allow_patterns=_HUB_FILES))
    except unreachable as error:
        raise Refused(
            f"fetching {name} from the hub failed: {error}\n  Repeat: what came is kept."
        ) from error
    finally:
        progress.end()


def _cached(name: str, reason: Exception) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    hub = cast(Any, huggingface_hub)
    try:
        return Path(hub.snapshot_download(name, local_files_only=True))
    except errors.LocalEntryNotFoundError:
        why = str(reason).splitlines()[0] if str(reason) else type(reason).__name__
        raise Refused(
            f"{name} is no folder here, the hub cannot be reached, and its cache does not hold it\n  {why}\n"
            f"  Name a folder, or fetch it where there is network:  hf download {name}"
        ) from reason
