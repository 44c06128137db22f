"""What a review of the site's guard broke into, and what shut its own people out."""

from __future__ import annotations

import http.client
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from aggregates.errors import TradeBotError
from config.clock import SystemClock
from config.paths import DataFolder
from config.settings import settings_from
from config.this_machine import is_this_machine
from runtime.custody import Custody
from runtime.people import People
from runtime.queries import Queries
from runtime.setup_token import new_token
from security.vault import Vault
from web.app import create_app
from web.cookie import COOKIE, VISITOR
from web.door import door
from web.serve import make_server

PASSWORD = "four unrelated words here"  # noqa: S105 - of a throw-away bot
OVER_TLS = {"Host": "bot.example.org", "X_Forwarded_Proto": "https"}
EVERY_METHOD = ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "GETX")


@contextmanager
def served(queries: Queries, host: str = "127.0.0.1") -> Iterator[int]:
    server = make_server(queries, host, 0)
    stop = sys.modules["people"].run(server)
    try:
        yield int(server.effective_port)
    finally:
        stop()


def ask(port: int, method: str = "GET", host: str = "127.0.0.1", **headers: str) -> Any:
    """Status, headers and body of the door over a real socket."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    connection.request(method, "/sign-in", headers=named)
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def set_up(folder: DataFolder, clock: Any, **texts: str) -> None:
    """Provisioned, and nobody registered."""
    people = sys.modules["people"]
    people._make(folder, settings_from(people.TEXTS | texts), clock)


def register(folder: DataFolder, clock: Any) -> None:
    with closing(Custody.open(folder, clock)) as custody:
        People(custody, cost=4).register(
            "anna", PASSWORD, "admin", actor="setup", command_id="first"
        )


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return DataFolder(tmp_path / "data")


@pytest.fixture
def behind_proxy(bare: DataFolder) -> Iterator[int]:
    """The port of a bot whose proxy is on this machine."""
    set_up(bare, SystemClock(), TRUSTED_PROXY="127.0.0.1", TRUSTED_HOSTS="bot.example.org")
    register(bare, SystemClock())
    with closing(Queries(bare)) as queries, served(queries) as port:
        yield port


# -- methods -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", EVERY_METHOD)
@pytest.mark.parametrize("where", ["", "?as_of=2026-03-01"])
def test_no_method_but_a_guarded_post_changes_anything(
    provisioned: Any, method: str, where: str
) -> None:
    admin = provisioned.client("admin")
    data = {"name": "eve", "role": "admin", "email": "", "command_id": "ab" * 16}
    before = Queries(provisioned.folder).newest()
    for headers in ({}, {"X-HTTP-Method-Override": "POST"}, {"X-HTTP-Method": "POST"}):
        answer = admin.open(f"/users/new{where}", method=method, data=data, headers=headers)
        assert answer.status_code == (200 if method == "HEAD" else 405)
    assert admin.get("/users/new", headers={"X-HTTP-Method-Override": "POST"}).status_code == 200
    assert Queries(provisioned.folder).newest() == before


def test_a_head_tells_what_the_page_would_be_without_it(provisioned: Any) -> None:
    viewer = provisioned.client("viewer")
    page, head = viewer.get("/ledger"), viewer.open("/ledger", method="HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == page.headers["Content-Length"]
    assert "frame-ancestors 'none'" in head.headers["Content-Security-Policy"]
    queries = Queries(provisioned.folder)
    with served(queries) as port:
        status, headers, body = ask(port, "HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["Content-Length"]) > 0
    queries.close()


# -- cookies -----------------------------------------------------------------------------------


def test_a_link_from_another_site_signs_nobody_out(provisioned: Any) -> None:
    """The browser keeps a Strict cookie back from what another site leads to."""
    viewer, arriving = provisioned.client("viewer"), provisioned.client(None)
    door_page = arriving.get("/ledger", follow_redirects=True)
    set_ = door_page.headers.getlist("Set-Cookie")
    assert [cookie.partition("=")[0] for cookie in set_] == [VISITOR]
    # the same browser: both cookies from here on
    visitor = arriving.get_cookie(VISITOR, domain="localhost").value
    viewer.set_cookie(VISITOR, visitor, domain="localhost", secure=True)
    assert viewer.get("/ledger").status_code == 200
    # and the form that it was shown leads inside
    token = re.search(r'csrf" value="(\w+)', door_page.text)[1]  # type: ignore[index]
    data = {"csrf": token, "command_id": "cd" * 16}
    sent = viewer.post("/sign-in?next=/ledger", data=data, guarded=False)
    assert (sent.status_code, sent.headers["Location"]) == (303, "/ledger")
    assert COOKIE not in str(sent.headers.getlist("Set-Cookie"))


def test_a_visitors_token_is_worth_nothing_to_who_is_signed_in(provisioned: Any) -> None:
    arriving, admin = provisioned.client(None), provisioned.client("admin")
    token = arriving.token()
    visitor = arriving.get_cookie(VISITOR, domain="localhost").value
    admin.set_cookie(VISITOR, visitor, domain="localhost", secure=True)
    data = {"csrf": token, "command_id": "cd" * 16, "name": "eve", "role": "viewer"}
    assert admin.post("/users/new", data=data, guarded=False).status_code == 403


@pytest.mark.parametrize("place", ["//[", "//[x", "http://[", "/\\[", "/[x"])
def test_no_address_to_go_on_to_breaks_the_door(provisioned: Any, place: str) -> None:
    answer = provisioned.client("viewer").get("/sign-in", query_string={"next": place})
    assert answer.status_code == 303
    assert answer.headers["Location"] in ("/", "/%5Bx")


# -- what tells of people ----------------------------------------------------------------------


def people_events(provisioned: Any) -> list[Any]:
    return list(Queries(provisioned.folder).events(topics=("User",), limit=1000))


def failed_sign_in(provisioned: Any) -> None:
    provisioned.client(None).post("/sign-in", data={"name": "viewer", "password": "wrong one"})


@pytest.mark.parametrize("role", ["viewer", "operator", "accountant"])
def test_who_may_not_see_activity_sees_no_event_of_it(provisioned: Any, role: str) -> None:
    failed_sign_in(provisioned)
    hidden = people_events(provisioned)
    client = provisioned.client(role)
    listed = client.get("/history?after=0").text
    assert "some numbers are missing" in listed
    # nothing of the family but what the note says of it
    assert not re.search(r"\bUser\.\w|127\.0\.0\.1</", listed)
    for parameter in ("type=User", "type=User.Registered", "type=User."):
        assert client.get(f"/history?{parameter}").status_code == 403
        assert client.get(f"/api/events?{parameter}").status_code == 403
    for stream in {event.stream for event in hidden} | {e.correlation for e in hidden} - {""}:
        assert "User." not in client.get(f"/history?stream={stream}&after=0").text
    found = client.get("/api/events?text=127.0.0.1").json["events"]
    assert [e["topic"] for e in found if e["topic"].startswith("User.")] == []
    for event in hidden:
        refused = client.get(f"/history/{event.position}")
        assert refused.status_code == 403
        assert "admin, compliance" in refused.text
    (denial,) = [e for e in people_events(provisioned) if e.topic == "User.Denied"]
    assert denial.payload["route"] == "activity.show"


def test_lists_with_gaps_are_paged_whole(provisioned: Any) -> None:
    failed_sign_in(provisioned)
    every = Queries(provisioned.folder).events(limit=1000)
    due = [e.position for e in every if not e.topic.startswith("User.")]
    viewer = provisioned.client("viewer")
    found, more = list[int](), True
    while more:
        after = found[-1] if found else 0
        answer = viewer.get(f"/api/events?limit=2&after={after}").json
        found += [event["position"] for event in answer["events"]]
        more = answer["more"]
    assert found == due
    # from one event to the next, over the gaps
    walked, place = list[int](), f"/history/{due[0]}"
    while place:
        walked.append(int(place.rpartition("/")[2]))
        page = viewer.get(place)
        assert page.status_code == 200
        following = re.search(r'<a[^>]*href="([^"?]+)"[^>]*rel="next"', page.text)
        place = following[1] if following else ""
    assert walked == due


@pytest.mark.parametrize("role", ["compliance", "admin"])
def test_who_reviews_sees_them_all(provisioned: Any, role: str) -> None:
    failed_sign_in(provisioned)
    client = provisioned.client(role)
    for event in people_events(provisioned):
        assert client.get(f"/history/{event.position}").status_code == 200
    page = client.get("/history?type=User&after=0").text
    assert "User.SignInFailed" in page
    assert "missing" not in page
    assert client.get("/api/events?type=User").json["events"]


# -- a disk without room -----------------------------------------------------------------------


def fill_up(provisioned: Any) -> None:
    """The file of sessions takes no further page."""
    with provisioned.app.app_context():
        file = door().sessions()._file
        file.execute("PRAGMA query_only = on")


def test_a_full_disk_keeps_nobody_from_reading_and_nobody_in(provisioned: Any) -> None:
    viewer, idle = provisioned.client("viewer"), provisioned.client("viewer")
    token = viewer.token()
    fill_up(provisioned)
    for _ in range(2):
        provisioned.later(minutes=14)
        for place in ("/ledger", "/history", "/account", "/api/status"):
            assert viewer.get(place).status_code == 200
    kept = viewer.get_cookie(COOKIE, domain="localhost").value
    data = {"csrf": token, "command_id": "ef" * 16}
    out = viewer.post("/sign-out", data=data, guarded=False)
    assert (out.status_code, out.headers["Location"]) == (303, "/sign-in")
    viewer.set_cookie(COOKIE, kept, domain="localhost", secure=True)
    assert viewer.get("/ledger").status_code == 303
    provisioned.later(minutes=2)  # half an hour since it was last noted
    assert idle.get("/ledger").status_code == 303


def test_signing_out_does_not_wait_for_the_history(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = provisioned.client("viewer")
    data = {"csrf": viewer.token(), "command_id": "ef" * 16}

    def full(*_: Any, **__: Any) -> None:
        raise TradeBotError("The disk is full.")

    with provisioned.people() as people:
        monkeypatch.setattr(people, "record", full)
    kept = viewer.get_cookie(COOKIE, domain="localhost").value
    assert viewer.post("/sign-out", data=data, guarded=False).status_code == 303
    page = viewer.get("/sign-in").text
    assert "the history does not say so" in page
    assert "The disk is full" in page
    viewer.set_cookie(COOKIE, kept, domain="localhost", secure=True)
    assert viewer.get("/ledger").status_code == 303


def test_a_change_that_is_recorded_says_so_where_its_keys_cannot_follow(
    provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = provisioned.client("admin")

    def no_room(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Vault, "_link", no_room)
        said = admin.post("/users/new", data={"name": "carol", "role": "viewer", "email": ""})
        assert said.status_code == 503
        assert "The change is recorded" in said.text
        assert "Do not make the change again" in said.text
        assert "Nothing was changed" not in said.text
        problem = admin.get("/api/status")
        assert problem.status_code == 503
        assert problem.json["title"] == "The keys cannot be used"
    assert "carol" in admin.get("/users").text


# -- where the pages are -----------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "192.0.2.1", "bot"])
def test_what_the_settings_allow_without_a_proxy_is_served(host: str, sample: Any) -> None:
    texts = sys.modules["people"].TEXTS
    if not is_this_machine(host):
        with pytest.raises(Exception, match="TRUSTED_PROXY"):
            settings_from(texts | {"WEB_HOST": host})
        with pytest.raises(ValueError, match="TRUSTED_PROXY"):
            make_server(Queries(sample.folder), host, 0)
        return
    settings_from(texts | {"WEB_HOST": host})
    queries = Queries(sample.folder)
    if host == "127.0.0.2":
        with served(queries, host) as port:
            assert ask(port, host=host)[0] != 400
    queries.close()


def test_the_pages_go_on_as_they_were_started_when_the_set_up_ends(bare: DataFolder) -> None:
    """The proxy of the settings holds from the next start, for the pages and their socket alike."""
    clock = SystemClock()
    set_up(bare, clock, TRUSTED_PROXY="127.0.0.1", TRUSTED_HOSTS="bot.example.org")
    with closing(Queries(bare)) as queries, served(queries) as port:
        assert ask(port)[0] == 303  # to the set-up
        register(bare, clock)
        assert ask(port)[0] == 200
        assert ask(port, **OVER_TLS, X_Forwarded_For="192.0.2.9")[0] == 400  # a foreign name yet
    with closing(Queries(bare)) as queries, served(queries) as port:
        assert ask(port)[0] == 403
        assert ask(port, **OVER_TLS, X_Forwarded_For="192.0.2.9")[0] == 200


def test_the_set_up_says_what_waits_for_the_next_start(bare: DataFolder) -> None:
    set_up(bare, SystemClock(), TRUSTED_PROXY="127.0.0.1")
    with closing(Queries(bare)) as queries:
        browser = create_app(queries).test_client()
        secure = {"base_url": "https://localhost"}
        browser.get(f"/setup?token={new_token(bare)}", **secure)
        form = browser.get("/setup/admin", **secure).text
        typed = dict(re.findall(r'name="(csrf|command_id)" value="([^"]*)"', form))
        typed |= {"name": "anna", "password": PASSWORD, "again": PASSWORD, "email": ""}
        assert browser.post("/setup/admin", data=typed, **secure).status_code == 303
        said = browser.get("/sign-in", **secure).text
        assert "TRUSTED_HOSTS hold as you set them" in said


def test_a_proxy_that_does_not_name_its_client_is_refused(behind_proxy: int) -> None:
    assert ask(behind_proxy, **OVER_TLS, X_Forwarded_For="192.0.2.9")[0] == 200
    assert ask(behind_proxy, **OVER_TLS, X_Forwarded_For="2001:db8::1")[0] == 200
    assert ask(behind_proxy, **OVER_TLS)[0] == 403
    assert ask(behind_proxy, **OVER_TLS, X_Forwarded_For="unknown")[0] == 403


def test_connections_that_send_nothing_keep_nobody_out(provisioned: Any) -> None:
    queries = Queries(provisioned.folder)
    with served(queries) as port, ExitStack() as held:
        for _ in range(110):
            one = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            one.sendall(b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Len")
        assert ask(port)[0] == 200
        held.close()
    queries.close()
