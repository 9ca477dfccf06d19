"""What an archive stores: a base, three fine-tunes of its last layer and ten LoRA adapters in one family.

``python bench/archive.py MODEL`` keeps the model in that folder, then the rest, in an archive where temporary
files go (some 2.5 times the size of the model). It prints the bytes of the object beside those of all
tensors that differ (target: at most 1.05). Adapters and changed layers are random bytes: nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from accord.keep.archive import Archive, Why
from accord.keep.manifest import family_id, manifest
from accord.keep.tensors import read_head

FINE_TUNES, ADAPTERS, RANK = 3, 10, 8


class Stored(NamedTuple):
    """Bytes of the object, of all tensors that differ, and how many versions it has."""

    size: int
    unique: int
    versions: int

    @property
    def share(self) -> float:
        return self.size / self.unique


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("model", type=Path)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given.model, Path(folder))
    print(f"stored / unique tensor bytes: {found.share:.4f} ({found.size:,} / {found.unique:,})")
    print(f"{found.versions} versions")


def measure(model: Path, folder: Path) -> Stored:
    """Keep all of it in an archive in ``folder``."""
    draw = random.Random(0)
    weights = model / "model.safetensors"
    archive = Archive.make(folder / "archive", time.time)
    urn = family_id(manifest(model))
    keep(archive, urn, model, "base")
    head = read_head(weights)
    last = max(t.name for t in head.tensors if ".layers." in t.name).split(".layers.")[0] + ".layers."
    number = max(
        int(t.name.removeprefix(last).split(".")[0]) for t in head.tensors if t.name.startswith(last)
    )
    layer = [t for t in head.tensors if t.name.startswith(f"{last}{number}.")]
    unique = sum(t.end - t.begin for t in head.tensors)
    for tune in range(FINE_TUNES):
        work = Path(shutil.copytree(model, folder / "tuned"))
        with (work / weights.name).open("r+b") as file:
            for tensor in layer:
                file.seek(head.size + tensor.begin)
                file.write(draw.randbytes(tensor.end - tensor.begin))
                unique += tensor.end - tensor.begin
        keep(archive, urn, work, f"last layer {tune}")
        shutil.rmtree(work)
    for adapter in range(ADAPTERS):
        unique += write_adapter(folder / "adapter", draw, 2 * (number + 1))
        keep(archive, urn, folder / "adapter", f"adapter {adapter}")
        shutil.rmtree(folder / "adapter")
    size = sum(path.stat().st_size for path in archive.folders()[0].rglob("*") if path.is_file())
    return Stored(size, unique, len(archive.versions(urn)))


def small(folder: Path, seed: int) -> Path:
    """A model in the shape of a base of four layers, of random bytes; 10 MB."""
    folder.mkdir()
    draw, header, end = random.Random(seed), dict[str, object](), 0
    shapes = {"model.embed_tokens.weight": (2048, 576)}
    for layer in range(4):
        shapes |= {f"model.layers.{layer}.{part}.weight": (144, 576) for part in ("q", "k", "v", "o")}
    for name, (rows, columns) in shapes.items():
        size = 4 * rows * columns
        header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": [end, end := end + size]}
    text = json.dumps(header).encode()
    weights = len(text).to_bytes(8, "little") + text + draw.randbytes(end)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return folder


def write_adapter(folder: Path, draw: random.Random, modules: int) -> int:
    """An adapter in the shape of rank 8 on two projections of each layer; the bytes of its tensors."""
    folder.mkdir()
    header, end = dict[str, object](), 0
    for module in range(modules):
        for side in "AB":
            size = 576 * RANK * 4
            header[f"{module}.lora_{side}"] = {
                "dtype": "F32",
                "shape": [576, RANK],
                "data_offsets": [end, end := end + size],
            }
    text = json.dumps(header).encode()
    file = folder / "adapter_model.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + draw.randbytes(end))
    return end


def keep(archive: Archive, urn: str, model: Path, message: str) -> None:
    files = {file.name: model / file.name for file in manifest(model).files}
    archive.add(urn, files, Why(message, "bench"), whole=True)


if __name__ == "__main__":
    main()
