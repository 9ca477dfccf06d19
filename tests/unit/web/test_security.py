"""What stands before every route: forged hosts and origins, bodies without an end, paths that climb."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from accord.errors import Away
from accord.stores.people import Project, Qualification
from accord.web.state import Limit

CSP = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "img-src": "'self' data:",
}


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "testserver:8000", "127.0.0.1", "", "testserver "]
)
def test_a_forged_host_gets_nothing(site: Any, host: str) -> None:
    for path in ("/", "/healthz", "/static/base.css", "/signin"):
        answer = site.visitor(Host=host).get(path)
        assert answer.status_code == 421, path
        assert "set-cookie" not in answer.headers
        assert "<html" not in answer.text


def test_a_host_is_ours_in_any_case(site: Any) -> None:
    assert site.visitor(Host="TestServer").get("/signin").status_code == 200


def test_two_hosts_are_none_of_ours(site: Any) -> None:
    async def twice() -> int:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=site.app), base_url="http://testserver"
        ) as client:
            request = client.build_request("GET", "/signin")
            request.headers = httpx.Headers([("Host", "testserver"), ("Host", "evil.example")])
            return (await client.send(request)).status_code

    assert asyncio.run(twice()) == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://testserver"}, 303),
        ({"Origin": "https://testserver"}, 403),
        ({"Origin": "http://testserver.evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Referer": "http://testserver/"}, 403),
        ({}, 403),
    ],
)
def test_an_unsafe_method_comes_from_our_own_pages(site: Any, headers: dict[str, str], status: int) -> None:
    """Kills: an origin that is compared by its beginning, one that outvotes Sec-Fetch-Site, none at all."""
    visitor = site.signed_in("Ann", "rater")
    del visitor.headers["Sec-Fetch-Site"]
    assert visitor.post("/account/signout", headers=headers).status_code == status
    assert len(site.identity.sessions.every(site.account("Ann", "rater").id)) == (0 if status == 303 else 1)


def test_behind_https_the_origin_is_https(site_with: Any) -> None:
    site = site_with(secure=True)
    visitor = site.signed_in("Ann", "rater")
    del visitor.headers["Sec-Fetch-Site"]
    assert visitor.post("/signout", headers={"Origin": "http://testserver"}).status_code == 403
    assert visitor.post("/signout", headers={"Origin": "https://testserver"}).status_code == 303


def test_a_token_needs_no_origin_and_a_false_one_gets_nowhere(site: Any) -> None:
    program = site.program("Bot", "rater", "label")
    assert program.post("/api/lease").status_code == 200
    program.headers["Authorization"] = "Bearer accord_00000000_nonsense"
    refused = program.post("/api/lease")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    # A cookie that comes along does not stand in for a token that does not hold.
    visitor = site.signed_in("Ann", "rater")
    assert visitor.get("/account", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_every_answer_carries_the_headers(site: Any) -> None:
    visitor = site.signed_in("Ann", "owner")
    for path in ("/", "/account", "/static/base.css", "/static/none", "/nope", "/api/session", "/healthz"):
        headers = visitor.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy == CSP, path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert not [name for name in headers if name.startswith("access-control-")]
    assert visitor.get("/account").headers["cache-control"] == "no-store"
    assert visitor.get("/account", headers={"Host": "evil"}).headers["x-content-type-options"] == "nosniff"


def test_cors_is_off(site: Any) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = site.visitor().options("/api/submit", headers=asked)
    assert answer.status_code >= 400
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2fapp.py",
        "/static/..%5capp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/",
    ],
)
def test_static_files_climb_nowhere(site: Any, path: str) -> None:
    async def raw() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=site.app), base_url="http://testserver"
        ) as client:
            request = client.build_request("GET", "/")
            request.url = httpx.URL(scheme="http", host="testserver", raw_path=path.encode())
            return await client.send(request)

    answer = asyncio.run(raw())
    assert answer.status_code in (400, 404), answer.text
    assert "import" not in answer.text


def test_a_body_has_its_limit_said_or_unsaid(site_with: Any) -> None:
    """Kills: a limit that believes Content-Length."""
    site = site_with(body=1000)
    visitor = site.visitor()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert visitor.post("/theme", content=b"theme=dark&x=" + b"a" * 900, headers=form).status_code == 303
    assert visitor.post("/theme", content=b"theme=dark&x=" + b"a" * 1000, headers=form).status_code == 413

    def chunks() -> Any:
        yield b"theme=dark&x="
        for _ in range(100):
            yield b"a" * 100

    unsaid = visitor.post("/theme", content=chunks(), headers=form)
    assert unsaid.request.headers.get("transfer-encoding") == "chunked"
    assert unsaid.status_code == 413
    assert "1,000 bytes" in unsaid.text


def test_a_megabyte_is_the_limit_unless_the_settings_say_otherwise(site: Any) -> None:
    assert site.settings.body == 1 << 20


def test_reading_stops_at_the_limit(site_with: Any) -> None:
    """An endless body is not read to its end, which it does not have."""
    site, sent = site_with(body=1000), 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1_000_000:
            sent += 100
            yield b"a" * 100

    async def post() -> int:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=site.app), base_url="http://testserver"
        ) as client:
            headers = {"Sec-Fetch-Site": "none", "Content-Type": "application/x-www-form-urlencoded"}
            return (await client.post("/theme", content=endless(), headers=headers)).status_code

    assert asyncio.run(post()) == 413
    assert sent <= 1200


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"theme=dark", "multipart/form-data; boundary=x", 415),
        (b'{"theme": "dark"}', "application/json", 415),
        (b"theme=dark", "application/x-www-form-urlencoded; charset=utf-8", 303),
        (b"theme=%ff%fe", "application/x-www-form-urlencoded", 400),
        ("theme=därk".encode(), "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(3000)), "application/x-www-form-urlencoded", 400),
        (b"theme=dark&theme=light", "application/x-www-form-urlencoded", 400),
        (b"theme=dark%0d%0aSet-Cookie:%20x=y", "application/x-www-form-urlencoded", 422),
        (b"", "application/x-www-form-urlencoded", 400),
    ],
)
def test_only_urlencoded_forms_are_read(site: Any, content: bytes, kind: str, status: int) -> None:
    answer = site.visitor().post("/theme", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert "x" not in answer.cookies


def test_a_line_break_in_an_address_breaks_no_header(site: Any) -> None:
    answer = site.visitor().get("/link?code=a%0d%0aSet-Cookie:%20x=y")
    assert answer.status_code == 410
    assert "x" not in answer.cookies
    assert "location" not in answer.headers


def test_a_name_that_would_be_markup_is_text(site: Any) -> None:
    page = site.signed_in("<script>alert(1)</script>", "owner").get("/account").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_submits_are_limited_across_processes(site_with: Any) -> None:
    site = site_with(submits=Limit(3, 240.0))
    program = site.program("Bot", "rater", "label")
    statuses = [program.post("/api/submit").status_code for _ in range(4)]
    assert statuses == [422, 422, 422, 429]
    again = program.post("/api/submit")
    assert 0 < int(again.headers["retry-after"]) <= 241
    # Another process over the same database counts on, and another account counts for itself.
    from accord.web.app import build

    site.app = build(site.people, site.identity, site.settings)
    other = site.signed_in("Bot", "rater")
    assert other.post("/api/submit").status_code == 429
    assert site.program("Eve", "rater", "label").post("/api/submit").status_code == 422
    site.now += 240
    assert program.post("/api/submit").status_code == 422


def test_the_usual_limits_are_those_of_the_design(site: Any) -> None:
    assert site.settings.submits == (60, 240.0)
    assert site.settings.sign_ins == (5, 900.0)


def own(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the app wrote; others' lines come with the level that some library gave the root logger."""
    return [record for record in caplog.records if record.name.startswith("accord")]


def test_what_nobody_foresaw_is_a_page_with_a_number_and_a_line_in_the_log(
    site: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("the secret of the house")

    monkeypatch.setattr(site.people, "project", broken)
    answer = site.visitor().get("/healthz")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    (record,) = own(caplog)
    assert isinstance(record.args, tuple) and str(record.args[0]) in answer.text
    assert record.exc_info


def test_problems_are_json_for_programs_and_pages_for_people(site: Any) -> None:
    told = site.visitor().get("/api/session")
    assert told.status_code == 401
    assert told.json()["error"] == "Please sign in"
    page = site.visitor().get("/nope")
    assert page.status_code == 404
    assert "<h1>There is no such page</h1>" in page.text
    assert site.visitor(Accept="application/json").get("/nope").json()["error"] == "There is no such page"
    assert site.visitor().delete("/account").status_code == 405


def test_a_null_character_is_refused_before_a_database_sees_it(site: Any) -> None:
    """PostgreSQL keeps none: each would be a fault of the server, also of whoever is not signed in."""
    manager = site.signed_in("Mona", "manager")
    for path in ("/manage/questions/%00", "/instructions?question=%00", "/accounts/%00/link"):
        assert manager.get(path).status_code == 404, path
    told = site.visitor().post("/signin", data={"name": "\0", "passphrase": "x"})
    assert (told.status_code, "null character" in told.text) == (400, True)


def test_a_file_that_a_page_needs_and_cannot_read_is_in_the_log(
    site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = Qualification(questions="/nowhere/gold.jsonl")
    site.people.keep_project(Project(qualification=wanted))
    assert site.signed_in("Ann", "rater").get("/label").status_code == 500
    assert ["gold.jsonl" in record.getMessage() for record in own(caplog)] == [True]


def test_a_database_that_is_away_is_asked_again_and_not_shown(
    site: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Kills: a 409, on which a page drops the answer that it keeps; the address of the database on a page."""

    def away(*_: object, **__: object) -> None:
        raise Away("/srv/labels.db: another process has been writing for 60 s")

    browser = site.signed_in("Ann", "rater")
    monkeypatch.setattr(type(site.people), "lease", away)
    told = browser.get("/label")
    assert (told.status_code, told.headers["retry-after"]) == (503, "3")
    assert "labels.db" not in told.text
    assert ["labels.db" in record.getMessage() for record in own(caplog)] == [True]
