"""What stands around every page: navigation by role, both clocks, jobs, errors."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.queries import Queries
from web import errors, navigation, proof
from web.app import create_app
from web.shared import NAME

PATIENCE_S = 10


def words(client: Any, address: str, code: int = 200) -> str:
    """What can be read on a page."""
    answer = client.get(address)
    assert answer.status_code == code, answer.text
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.text)))


def pages_of(client: Any) -> list[str]:
    found = re.search(r'<nav aria-label="Pages">(.*?)</nav>', client.get("/").text, re.DOTALL)
    return re.findall(r">([^<]+)</a>", found.group(1)) if found else []


# -- navigation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "more"),
    [
        ("viewer", set()), ("accountant", set()), ("compliance", {"Activity"}),
        ("operator", set()), ("admin", {"Users", "Activity"}),
    ],
)  # fmt: skip
def test_the_header_shows_what_a_role_may_open(provisioned: Any, role: str, more: set[str]) -> None:
    client = provisioned.client(role)
    shown = pages_of(client)
    assert {"Today", "Days", "Ledger", "History"} <= set(shown)
    assert more == {"Users", "Activity"} & set(shown)
    for page in navigation.PAGES:
        if page.name in shown:
            with provisioned.app.test_request_context():
                address = provisioned.app.url_for(page.endpoint)
            assert client.get(address).status_code == 200, page


def test_the_header_says_who_is_signed_in_and_lets_them_out(provisioned: Any) -> None:
    client = provisioned.client("operator")
    page = client.get("/").text
    ribbon = page.partition('<div class="ribbon')[2].partition('<div class="bar"')[0]
    assert "TEST" in ribbon
    assert "simulated broker, no real money" in ribbon
    assert "operator" in ribbon
    assert '<form class="inline" method="post" action="/sign-out">' in ribbon
    assert client.post("/sign-out").status_code == 303
    assert client.get("/").status_code == 303  # to the door


def test_the_door_says_nothing_of_the_bot(provisioned: Any) -> None:
    for address in ("/sign-in", "/nowhere"):
        page = provisioned.client(None).get(address).text
        assert "ACME" not in page
        assert "LIVE" not in page
        assert 'aria-label="Pages"' not in page


def test_the_keys_in_the_help_are_those_of_the_header(client: Any) -> None:
    page = client.get("/help").text
    keys = dict(re.findall(r'data-go="(\w)"[^>]*>([^<]+)</a>', page))
    assert keys["t"] == "Today"
    assert keys["e"] == "History"
    assert len(keys) == len(pages_of(client))
    told = re.findall(r"<kbd>g</kbd> <kbd>(\w)</kbd></dt><dd>([^:]+):", page)
    assert dict(told) == keys


def test_every_page_has_a_key_of_its_own() -> None:
    assert len({page.key for page in navigation.PAGES}) == len(navigation.PAGES)


# -- both clocks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/ledger?as_of=last close", "As of Wed 9 Oct 2013, newest event 66"),
        ("/ledger?as_of=2013-Q4", "As of Tue 31 Dec 2013"),
        ("/ledger?as_of=event 47", "As of Tue 8 Oct 2013"),
        ("/ledger?known_at=end of 2013-10-08", "known at event 52 (2013-10-08 20:00:00 UTC)"),
        ("/ledger?known_at=2013-10-08 16:00 local", "known at event 52"),
        ("/ledger?known_at=last close", "known at event 64"),
        ("/ledger?known_at=yesterday", "known at event 66"),
    ],
)
def test_the_clocks_understand_words(client: Any, address: str, said: str) -> None:
    page = words(client, address)
    assert said in page
    assert "read only" in page


def test_links_keep_what_the_words_meant(client: Any) -> None:
    page = client.get("/ledger?as_of=last close&known_at=end of 2013-10-08").text
    assert "/ledger/account/1010?as_of=2013-10-09&amp;known_at=52" in page
    assert "last+close" not in page.partition("<main")[2]


def test_the_list_behind_the_slider_stops_at_closes_and_changes(client: Any) -> None:
    form = client.get("/ledger?known_at=52").text.partition('<form class="travel"')[2]
    stops = re.findall(r'<option value="(\d*)"( data-mark)?( selected)?>([^<]+)<', form)
    assert [(at, text) for at, _, _, text in stops] == [
        ("3", "Fri 4 Oct 2013, chart changed"),
        ("28", "Mon 7 Oct 2013, close"),
        ("52", "Tue 8 Oct 2013, close"),
        ("64", "Wed 9 Oct 2013, close"),
        ("", "now"),
    ]
    assert [at for at, mark, _, _ in stops if mark] == ["3"]
    assert [at for at, _, selected, _ in stops if selected] == ["52"]


def test_a_change_sent_from_the_past_is_refused(provisioned: Any) -> None:
    client = provisioned.client("admin")
    before = provisioned.app.extensions[NAME].queries.newest()
    for clocks in ("as_of=2026-03-01", "known_at=1"):
        answer = client.post(f"/account/password?{clocks}", data={"old": "x", "new": "y"})
        assert answer.status_code == 409
        assert "The past is read only" in answer.text
        assert "Nothing was changed." in answer.text
    assert provisioned.app.extensions[NAME].queries.newest() == before


# -- jobs ------------------------------------------------------------------------------------


class Slow:
    """A verification that waits at its first step until the test lets it go on."""

    def __init__(self, queries: Queries) -> None:
        self.stepped, self.go_on = threading.Event(), threading.Event()
        self._verify = queries.verify_now

    def __call__(self, progress: Any) -> Any:
        progress(33, 66)
        self.stepped.set()
        assert self.go_on.wait(PATIENCE_S)
        progress(50, 66)
        return self._verify(progress)


@pytest.fixture
def slow(provisioned: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    queries = provisioned.app.extensions[NAME].verifier._queries
    found = Slow(queries)
    monkeypatch.setattr(queries, "verify_now", found)
    monkeypatch.setattr(proof, "PATIENCE_S", 0)
    yield found
    found.go_on.set()


def test_a_verification_is_a_job_that_every_page_shows(provisioned: Any, slow: Slow) -> None:
    client = provisioned.client("viewer")
    assert "Refresh" not in client.get("/days").headers
    page = client.get("/verify").text
    assert '<noscript><meta http-equiv="refresh" content="2">' in page  # by reload without script
    assert slow.stepped.wait(PATIENCE_S)
    assert "33 of 66" in words(client, "/verify")
    other = client.get("/ledger").text
    assert 'hx-get="/jobs?shown=1"' in other
    assert "33 of 66" in other
    assert "Cancel" not in other  # a viewer ends nothing
    slow.go_on.set()
    assert provisioned.app.extensions[NAME].jobs.of(1).wait(PATIENCE_S)
    line = client.get("/jobs?shown=1", headers={"HX-Request": "true"}).text
    assert "done" in line
    assert "hx-get" not in line  # and asks no more
    assert "Verification" in words(client, "/jobs")


def test_a_job_is_cancelled_and_does_not_begin_again_by_itself(
    provisioned: Any, slow: Slow
) -> None:
    client = provisioned.client("operator")
    client.get("/verify")
    assert slow.stepped.wait(PATIENCE_S)
    assert "Cancel" in client.get("/ledger").text
    assert client.post("/jobs/1/cancel").status_code == 303
    slow.go_on.set()
    jobs = provisioned.app.extensions[NAME].jobs
    assert jobs.of(1).wait(PATIENCE_S)
    assert jobs.of(1).state == "cancelled"
    assert "was ended on request" in words(client, "/verify")
    assert len(jobs.every()) == 1
    assert client.get("/verify?again=1").status_code == 303
    assert len(jobs.every()) == 2


def test_a_viewer_cannot_cancel_and_a_job_that_is_gone_is_said(provisioned: Any) -> None:
    assert provisioned.client("viewer").post("/jobs/1/cancel").status_code == 403
    answer = provisioned.client("operator").post("/jobs/99/cancel")
    assert answer.status_code == 404
    assert "There is no job 99" in answer.text


# -- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(errors.HTTP))
def test_every_refusal_says_what_is_safe_and_what_to_do(queries: Queries, code: int) -> None:
    from flask import abort

    app = create_app(queries)
    app.view_functions["day.every"] = lambda: abort(code)
    page = words(app.test_client(), "/days", code)
    told = errors.HTTP[code]
    assert f"Error {code} {told.title}" in page
    assert f"What happened {told.happened}" in page
    assert "What is safe Nothing was changed: showing a page changes nothing." in page
    assert f"What to do {told.todo}" in page


def test_a_change_that_failed_unforeseen_does_not_claim_that_nothing_was_changed(
    provisioned: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = provisioned.client("admin")
    provisioned.app.view_functions["users.password"] = lambda: 1 / 0
    answer = client.post("/account/password")
    assert answer.status_code == 500
    assert "Nothing was changed" not in answer.text
    assert "A change is made whole or not at all" in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_a_refused_role_is_told_which_roles_may(provisioned: Any) -> None:
    page = words(provisioned.client("viewer"), "/users", 403)
    assert "Your role is viewer" in page
    assert "It is open to: admin." in page
    assert "Nothing was changed" in page
