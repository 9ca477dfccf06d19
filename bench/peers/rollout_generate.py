"""Rollouts with transformers' ``generate``: each prompt eight times in one padded batch, as trainers do.

Runs in the environment of TRL. Lengths are forced: the end of the answer is impossible before its turn and
certain at it, by a processor that touches one column of the logits.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from forced import Forced
from job import batch, read_job, write_result
from transformers import AutoModelForCausalLM, GenerationConfig, LogitsProcessorList


def main() -> None:
    job = read_job()
    torch.manual_seed(0)
    dtype = getattr(torch, job["variant"]["precision"])
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype).eval()
    seconds: list[float] = []
    tokens: list[int] = []
    for step in range(job["steps"] + 1):
        rows = batch(job, "rollouts", step)
        lengths = [row["lengths"][job["lengths"]] for row in rows]
        began = time.perf_counter()
        tokens.append(_roll(model, rows, [n for group in lengths for n in group], job))
        seconds.append(time.perf_counter() - began)
        if tokens[-1] != sum(map(sum, lengths)):
            raise SystemExit(f"{tokens[-1]} tokens were drawn, {sum(map(sum, lengths))} were asked for")
    write_result(job, ("torch", "transformers"), seconds=seconds[1:], tokens=tokens[1:])


@torch.inference_mode()
def _roll(model: Any, rows: list[Any], lengths: list[int], job: dict[str, Any]) -> int:
    """Tokens drawn, the end included. Left padded, one row per answer."""
    end, stops = job["work"]["end"], job["work"]["stops"]
    prompts = [row["prompt"] for row in rows for _ in range(len(lengths) // len(rows))]
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), end)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for i, prompt in enumerate(prompts):
        ids[i, width - len(prompt) :] = torch.tensor(prompt)
        mask[i, width - len(prompt) :] = 1
    config = GenerationConfig(
        max_new_tokens=max(lengths),
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        eos_token_id=end,
        pad_token_id=end,
        cache_implementation=job["variant"].get("cache"),
        disable_compile=True,
    )
    said = model.generate(
        input_ids=ids,
        attention_mask=mask,
        generation_config=config,
        logits_processor=LogitsProcessorList([Forced(lengths, end, stops)]),
    )[:, width:]
    # The first end is the answer's last token; what follows it is padding.
    is_end = said == end
    first = torch.where(is_end.any(1), is_end.int().argmax(1) + 1, said.shape[1])
    return int(first.sum())


if __name__ == "__main__":
    main()
