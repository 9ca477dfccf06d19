"""The door of ``accord judge --listen``: who gets in, what comes back, and what is refused in words."""

import pytest
from starlette.testclient import TestClient

from accord.web.listening import Listening, Row, door

TOKEN = "t" * 43


def judge(asked):
    """The length of each answer; None where it asks back."""
    rows = []
    for group, one in enumerate(asked):
        for place, text in enumerate(one.answers):
            why = "refused: it asks back" if "?" in text else ""
            value = None if why else float(len(text) + len(one.prompt.columns))
            told = {"group": group, "answers": [place], "score": value}
            rows.append(Row(told, {"score": value}, why))
    return rows


@pytest.fixture
def client():
    app = door(Listening(judge, ("score",), frozenset({"127.0.0.1:8300"}), TOKEN))
    bears = {"Authorization": f"Bearer {TOKEN}"}
    return TestClient(app, "http://127.0.0.1:8300", headers=bears)


def test_columns_come_back_with_the_reason_where_there_is_no_number(client):
    told = client.post("/judge", json={"prompts": ["a", "b"], "answers": ["xx", "?"]}).json()
    assert told["columns"] == {"score": [2.0, None]}
    assert told["missing"] == [None, "refused: it asks back"]
    assert [row["group"] for row in told["rows"]] == [0, 1]


def test_several_answers_messages_and_columns(client):
    prompts = [[{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]]
    sent = {"prompts": prompts, "answers": [["x", "xx"]], "columns": {"gold": ["7"]}}
    assert client.post("/judge", json=sent).json()["columns"] == {"score": [2.0, 3.0]}


def test_health_says_what_columns_there_are(client):
    assert client.get("/healthz").json() == {"ok": True, "columns": ["score"]}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer " + "u" * 43}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1:8301"}, 421),
        # What a page of another site can make a browser send bears no token.
        ({"Authorization": "", "Origin": "https://evil.example"}, 401),
        ({"Authorization": "", "Sec-Fetch-Site": "cross-site"}, 401),
    ],
)
def test_who_does_not_get_in(client, headers, status):
    sent = client.post("/judge", json={"prompts": [], "answers": []}, headers=headers)
    assert sent.status_code == status
    assert sent.json()["error"]
    assert "access-control-allow-origin" not in sent.headers


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Invalid JSON"),
        (b"[]", "object"),
        (b'{"prompts": ["a"]}', "answers"),
        (b'{"prompts": ["a"], "answers": []}', "answers has 0 entries for 1 prompts"),
        (b'{"prompts": ["a"], "answers": ["b"], "columns": {"gold": []}}', "gold has 0 entries"),
        (b'{"prompts": [3], "answers": ["b"]}', "prompts.0"),
        (b'{"prompts": ["a"], "answers": ["b"], "model": "x"}', "model"),
    ],
)
def test_what_does_not_fit_is_named(client, body, says):
    told = client.post("/judge", content=body)
    assert told.status_code == 422
    assert says in told.json()["error"]


def test_a_body_has_a_limit_however_long_it_says_it_is(client):
    large = b'{"prompts": ["' + b"a" * (1 << 20) + b'"], "answers": ["b"]}'
    assert client.post("/judge", content=large).status_code == 413
    assert (
        client.post("/judge", content=(large[k : k + 65536] for k in range(0, len(large), 65536))).status_code
        == 413
    )


def test_only_these_two_ways(client):
    assert client.get("/judge").status_code == 405
    assert client.get("/docs").status_code == 404
