"""Who is answered, what may load or run, and that a payload stays text."""

from __future__ import annotations

import re
from typing import Any

import pytest

from runtime.queries import Queries
from web.app import create_app

PAGES = (
    "/", "/days", "/day/2013-10-07", "/ledger", "/ledger/journal", "/ledger/account/1010",
    "/history", "/history/18", "/verify", "/badge", "/help",
)  # fmt: skip


def head_of(client: Any, address: str) -> Any:
    with client.get(address) as answer:
        return answer.headers


@pytest.mark.parametrize(
    "address", [*PAGES, "/nowhere", "/ledger?as_of=x", "/static/site.css", "/static/none.js"]
)
def test_every_answer_is_locked_down(client: Any, address: str) -> None:
    headers = head_of(client, address)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    static = address == "/static/site.css"
    assert headers["Cache-Control"] == ("no-cache" if static else "no-store")


@pytest.mark.parametrize("address", PAGES)
def test_nothing_runs_inline_and_nothing_comes_from_elsewhere(client: Any, address: str) -> None:
    html = client.get(address).text
    assert not re.search(r"<[^>]+\s(style|on\w+)=", html)
    assert "<style" not in html
    assert not re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", html)
    loaded = re.findall(r"(?:src|href|action|hx-get)=\"([^\"#]*)\"", html)
    assert all(x.startswith("/") and not x.startswith("//") for x in loaded), loaded


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_reading_is_answered(client: Any, method: str) -> None:
    answer = client.open("/ledger", method=method)
    assert answer.status_code == 405
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:6900", 200), ("localhost:8000", 200), ("[::1]:6900", 200), ("LOCALHOST", 200),
        ("evil.example", 400), ("evil.example:6900", 400), ("127.0.0.1.evil.example", 400),
        ("192.168.1.5:6900", 400), ("localhost.evil.example", 400),
    ],
)  # fmt: skip
def test_a_foreign_name_is_refused(client: Any, host: str, code: int) -> None:
    answer = client.get("/ledger", headers={"Host": host})
    assert answer.status_code == code
    assert ("Trial balance" in answer.text) == (code == 200)


def test_a_server_on_every_address_answers_to_addresses_but_to_no_name(queries: Queries) -> None:
    app = create_app(queries, host="0.0.0.0")  # noqa: S104 - nothing is bound
    client = app.test_client()
    assert client.get("/", headers={"Host": "192.168.1.5:6900"}).status_code == 200
    assert client.get("/", headers={"Host": "evil.example:6900"}).status_code == 400


def test_script_in_a_reason_is_only_text(client: Any) -> None:
    for address in ("/day/2013-10-07", "/history", "/history/18", "/history?text=%3Cscript%3E"):
        answer = client.get(address)
        assert "<script>document" not in answer.text
        assert "&lt;script&gt;document" in answer.text
    assert "<b>" not in client.get("/history?stream=<b>").text
    assert "<b>" not in client.get("/ledger?as_of=<b>").text
