"""Forged forms, foreign names, proxies: who is answered, and through what."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from aggregates.configuration import STREAM, Configuration
from runtime.queries import Queries
from runtime.settings_change import change_settings
from web.serve import make_server

EVERYWHERE = "0.0.0.0"  # noqa: S104 - refused without a proxy, and what a proxy is for


def new_user(client: Any, **more: Any) -> int:
    data = {"name": "eve", "role": "viewer", "command_id": "ab" * 16, **more}
    return int(client.post("/users/new", data=data, guarded=False).status_code)


def test_a_form_without_this_browsers_token_changes_nothing(provisioned: Any) -> None:
    admin, other = provisioned.client("admin"), provisioned.client("admin")
    own, foreign = admin.token(), other.token()
    assert own != foreign
    for csrf in ("", "x", own[:-1], own + "0", foreign, "\0", "é"):
        assert new_user(admin, csrf=csrf) == 403, csrf
    assert new_user(admin) == 403
    header = {"X-CSRF-Token": own}
    assert admin.post("/users/new", data={}, headers=header, guarded=False).status_code == 403
    assert ">eve<" not in admin.get("/users").text
    assert new_user(admin, csrf=own) == 303


def test_signing_in_needs_a_form_of_ours_too(provisioned: Any) -> None:
    """A stranger's page must not sign a browser in under an account of the stranger's."""
    client = provisioned.client(None)
    data = {"name": "viewer", "password": "lantern orchid reweiv walnut"}
    assert client.post("/sign-in", data=data, guarded=False).status_code == 403
    assert client.get("/ledger").status_code == 303


def test_a_token_from_before_signing_in_holds_no_more(provisioned: Any) -> None:
    client = provisioned.client(None)
    before = client.token()
    data = {"name": "admin", "password": "lantern orchid nimda walnut"}
    assert client.post("/sign-in", data=data).status_code == 303
    assert new_user(client, csrf=before) == 403


def test_every_form_that_posts_carries_its_guard(provisioned: Any) -> None:
    admin = provisioned.client("admin")
    places = ["/", "/account", "/account/second-factor", "/users", "/users/new", "/settings"]
    for place in [*places, f"/users/{provisioned.ids['viewer']}"]:
        forms = admin.get(place).text.split("<form")[1:]
        for form in forms:
            if 'method="post"' in form.split(">")[0]:
                assert 'name="csrf"' in form.split("</form")[0], place
                assert 'name="command_id"' in form.split("</form")[0], place


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "GETX"])
def test_no_other_method_is_answered(provisioned: Any, method: str) -> None:
    for place in ("/ledger", "/users/new", "/sign-in"):
        answer = provisioned.client("admin").open(place, method=method)
        assert answer.status_code == 405
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def set_settings(provisioned: Any, **texts: str) -> None:
    with provisioned.people() as people:
        revision = people.custody.store.load(Configuration, STREAM).revision
        change_settings(
            people.custody, texts, seen=revision, actor="x", reason="test", command_id="settings"
        )
    provisioned.close()
    provisioned._app = None  # these settings wait for the next start


def test_names_of_the_settings_are_answered_and_no_others(provisioned: Any) -> None:
    set_settings(provisioned, TRUSTED_HOSTS="bot.example.org,localhost")
    client = provisioned.client("viewer")
    for host, code in (
        ("bot.example.org", 303), ("BOT.example.org:443", 303), ("localhost", 200),
        ("evil.example", 400), ("bot.example.org.evil.example", 400),
        ("evil.example:bot.example.org", 400), ("example.org", 400),
    ):  # fmt: skip
        answer = client.get("/ledger", headers={"Host": host})
        assert answer.status_code == code, host


@contextmanager
def served(provisioned: Any, host: str = "127.0.0.1") -> Iterator[int]:
    queries = Queries(provisioned.folder)
    server = make_server(queries, host, 0)
    stop = sys.modules["people"].run(server)
    try:
        yield int(server.effective_port)
    finally:
        stop()
        queries.close()


def ask(port: int, source: str = "127.0.0.1", **headers: str) -> http.client.HTTPResponse:
    """The answer of the door, over a real socket, to somebody at ``source``."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=10, source_address=(source, 0)
    )
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    connection.request("GET", "/sign-in", headers={"Host": "bot.example.org", **named})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_without_a_proxy_nobody_else_is_served(provisioned: Any) -> None:
    queries = Queries(provisioned.folder)
    with pytest.raises(ValueError, match="TRUSTED_PROXY"):
        make_server(queries, EVERYWHERE, 0)
    queries.close()


def test_behind_a_proxy_only_its_tls_is_answered(provisioned: Any) -> None:
    """The proxy is at 127.0.0.2, other machines of the net at 127.0.0.3."""
    set_settings(
        provisioned, TRUSTED_PROXY="127.0.0.2", TRUSTED_HOSTS="bot.example.org", WEB_HOST=EVERYWHERE
    )
    with served(provisioned, EVERYWHERE) as port:
        over_tls = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "192.0.2.9"}

        assert ask(port, "127.0.0.2", **over_tls).status == 200
        assert ask(port, "127.0.0.2", **(over_tls | {"X_Forwarded_Proto": "http"})).status == 403
        assert ask(port, "127.0.0.2").status == 403
        assert (
            ask(port, "127.0.0.3", **over_tls).status == 403
        )  # nobody else's headers are believed
        assert ask(port, "127.0.0.3").status == 403
        assert ask(port, "127.0.0.1").status == 200  # this machine itself


def test_what_the_proxy_says_of_the_client_is_what_is_recorded(provisioned: Any) -> None:
    client = provisioned.client(None)
    told = {"X-Forwarded-For": "192.0.2.9"}  # no proxy: not believed
    client.post("/sign-in", data={"name": "viewer", "password": "wrong lantern"}, headers=told)
    asked = provisioned.app.extensions["tradebot"].queries.events(topics=("User.SignInFailed",))
    assert [event.payload["address"] for event in asked] == ["127.0.0.1"]


def test_the_server_says_nothing_of_itself(provisioned: Any) -> None:
    with served(provisioned) as port:
        answer = ask(port, Host="localhost")
    assert (answer.status, answer.getheader("Server")) == (200, None)
