"""OpenAIServer does what it is told, mishaps included; its clients' tests show the rest."""

from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from accord.progress import Silent
from accord.testing import Mishap, OpenAIServer, Scripted


def chat(server: OpenAIServer, path: str = "/chat/completions", **told: object) -> dict[str, object]:
    body = {"model": server.served, "messages": [{"role": "user", "content": "Why?"}], **told}
    with urlopen(Request(server.base + path, json.dumps(body).encode()), timeout=60) as answer:
        return json.load(answer)


def declined(server: OpenAIServer, **told: object) -> tuple[int, str]:
    with pytest.raises(HTTPError) as caught:
        chat(server, **told)
    return caught.value.code, caught.value.read().decode()


def test_a_function_answers_and_requests_are_listed() -> None:
    with OpenAIServer(lambda asked: f"{asked.text} So.") as server:
        found = chat(server)
        assert found["choices"] == [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Why? So.", "refusal": None},
                "finish_reason": "stop",
            }
        ]
        assert [(a.path, a.body["model"]) for a in server.asked] == [("/v1/chat/completions", "scripted")]
        assert server.model == f"openai:{server.base}#scripted"
        assert declined(server, model="other")[0] == 404
        assert "top_k" not in declined(server, path="/elsewhere", top_k=-1)[1]


def test_the_same_seed_is_the_same_answer() -> None:
    speaks = Scripted(words=("a", "b", "c"), longest=8, spread=1.0, tensors="numpy").sampler(
        "scripted", Silent()
    )
    with OpenAIServer(speaks, does=frozenset()) as server:
        texts = [chat(server, seed=seed)["choices"] for seed in (1, 1, 2, 3)]
        assert texts[0] == texts[1]
        assert any(text != texts[0] for text in texts)
        assert "Unrecognized" in declined(server, top_k=-1)[1]


def test_mishaps_come_one_each_and_then_the_lasting_one() -> None:
    with OpenAIServer(lambda asked: "yes") as server:
        server.mishap(Mishap(429, {"Retry-After": "3"}), Mishap(500, raw="broken"), always=Mishap(503))
        assert [declined(server)[0] for _ in range(4)] == [429, 500, 503, 503]
        server.mishap(always=None)
        server.says = "another"
        assert chat(server)["model"] == "another"


def test_an_ability_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="not \\['sing'\\]"):
        OpenAIServer(lambda asked: "yes", does=frozenset({"sing"}))
