"""Pages of books that are absent, broken, growing or live; the badge; unforeseen errors."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aggregates.configuration import AdoptSettings
from config.clock import VirtualClock
from config.paths import DataFolder
from runtime.queries import Queries
from web.app import create_app

PAGES = ("/", "/days", "/day/2013-10-07", "/ledger", "/ledger/journal", "/ledger/account/1010",
         "/history", "/history/1", "/verify", "/badge")  # fmt: skip


def words(client: Any, address: str, code: int = 200) -> str:
    """What can be read on a page."""
    answer = client.get(address)
    assert answer.status_code == code, answer.text
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.text)))


def test_pages_of_an_empty_folder_help(tmp_path: Path) -> None:
    queries = Queries(DataFolder(tmp_path))
    client = create_app(queries).test_client()
    for address in PAGES:
        assert client.get(address).location == "/setup", address
    page = words(client, "/setup")
    assert "make demo" in page
    assert "tbot run" in page
    assert not list(tmp_path.iterdir())  # looking makes nothing
    queries.close()


def test_a_folder_with_a_broken_store_says_so(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.events.parent.mkdir(parents=True)
    folder.events.write_bytes(b"no store" * 1000)
    page = words(create_app(Queries(folder)).test_client(), "/ledger", 503)
    assert str(folder.events) in page
    assert "Nothing was changed" in page


def test_an_unforeseen_error_has_a_reference_that_the_log_has_too(
    queries: Queries, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = create_app(queries, reference=lambda: "0badcafe").test_client()
    monkeypatch.setattr(queries, "trial_balance", lambda *_: 1 / 0)
    page = words(client, "/ledger", 500)
    assert "0badcafe" in page
    assert "ZeroDivisionError" not in page
    assert "0badcafe" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_the_badge_is_computed_once_for_each_head(queries: Queries) -> None:
    calls: list[int] = []

    def verify_now(_progress: Any) -> Any:
        calls.append(1)
        return SimpleNamespace(position=66, head_hash=b"", bad_position=None, reason="")

    counting = SimpleNamespace(
        **{name: getattr(queries, name) for name in ("status", "books", "moment", "trial_balance",
                                                     "session_days", "ticks", "data_dir",
                                                     "bot_state")},
        verify_now=verify_now,
    )  # fmt: skip
    clock = VirtualClock(datetime(2013, 10, 9, 21, 31, tzinfo=UTC))
    client = create_app(counting, clock=clock).test_client()  # type: ignore[arg-type]
    assert "not verified yet · verify now" in words(client, "/ledger")
    assert not calls  # a page never waits for it
    assert "verified to 66, 21:31 UTC" in words(client, "/badge")
    words(client, "/badge")
    assert "verified to 66, 21:31 UTC" in words(client, "/ledger")
    assert len(calls) == 1
    words(client, "/verify?again=1", 303)
    assert len(calls) == 2


def test_a_fault_is_named_on_every_page(broken: DataFolder) -> None:
    queries = Queries(broken)
    client = create_app(queries).test_client()
    page = words(client, "/verify")
    assert "fault at event 18" in page
    assert "Fault at event 18: its hash does not follow" in page
    assert "stop the bot" in page
    assert "fault at event 18" in words(client, "/ledger")
    queries.close()


def test_a_fault_that_keeps_the_books_from_being_shown_is_named_too(unreadable: DataFolder) -> None:
    queries = Queries(unreadable)
    client = create_app(queries).test_client()
    assert "Verify the history" in words(client, "/ledger", 503)
    page = words(client, "/verify")
    assert "Fault at event 20: its hash does not follow" in page
    queries.close()


def test_a_page_holds_still_while_the_bot_writes(growing: Any) -> None:
    """Its figures belong to one event, even when more come between two questions."""
    queries = Queries(growing.folder)
    before = queries.status().position
    original = queries.trial_balance

    def late(*args: Any) -> Any:
        growing.write()
        return original(*args)

    queries.trial_balance = late  # type: ignore[method-assign]
    page = words(create_app(queries).test_client(), "/ledger")
    assert f"newest event {before}" in page
    assert "100,000.00" in page
    assert "250.00" not in page
    queries.trial_balance = original  # type: ignore[method-assign]
    assert "100,250.00" in words(create_app(queries).test_client(), "/ledger")
    queries.close()


def test_live_books_say_so(growing: Any) -> None:
    growing.do(AdoptSettings, values={"BROKER_NAME": "IBKR"}, reason="the gateway is there")
    queries = Queries(growing.folder)
    page = words(create_app(queries).test_client(), "/")
    assert "LIVE real money" in page
    assert "TEST" not in page
    assert "no trading day has begun" in page
    paper = {"BROKER_NAME": "IBKR", "IBKR_ACCOUNT": "DU1234567"}
    growing.do(AdoptSettings, values=paper, reason="first on paper")
    assert "TEST paper account, no real money" in words(create_app(queries).test_client(), "/")
    growing.do(AdoptSettings, values=paper | {"IBKR_ACCOUNT": "U1234567"}, reason="in earnest")
    assert "LIVE real money" in words(create_app(queries).test_client(), "/")
    queries.close()
