"""Logs in the browser: for those whose role allows it, filtered, page by page, without secrets."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from brokers.port import ApiAction
from config.settings import demo_settings
from eventstore.feed import Feed
from runtime import logs
from runtime.broker_log import broker_log
from runtime.event_log import EventLog
from runtime.keys import key_ring
from runtime.log_files import LOGS, log_path
from runtime.python_logging import log_as_set

IDENTITY = "ACME_USA_SIM_01"
NOW = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
PEOPLES = {name for name, log in LOGS.items() if log.of_people}


@pytest.fixture
def bot(provisioned: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bot with users, whose history is logged, and some lines of its day."""
    monkeypatch.setattr(logs._Process, "pipeline", logs.Pipeline())
    folder = provisioned.folder
    logs.use(folder, demo_settings())
    with closing(Feed(folder.events, key_ring(folder))) as feed:
        EventLog(folder, IDENTITY, feed, "SIM", lambda _: "").follow_all()
    main, own = log_path(folder, "main_bot"), log_path(folder, "open", IDENTITY)
    for n in range(250):
        at = NOW + timedelta(minutes=n)
        logs.append_line(main, at, "WARNING" if n % 50 == 0 else "INFO", f"minute {n}")
    trade = {"strategy_name": "OPEN", "ticker": "SPY", "side": "sell", "size": "10"}
    logs.append_line(own, NOW, "INFO", "filled, order o1", exit_price="451.20", PnL="-12.50",
                     position="3", **trade)  # fmt: skip
    try:
        raise ValueError("<script>document.title='broken'</script>")
    except ValueError as e:
        logs.log_error(folder, NOW, e, "A page failed")
    return provisioned


def test_who_may_read_which_logs(bot: Any) -> None:
    for role in ("viewer", "accountant"):
        assert bot.client(role).get("/logs").status_code == 403
    assert bot.client(None).get("/logs").status_code == 303
    for role in ("operator", "compliance", "admin"):
        page = bot.client(role).get("/logs").text
        listed = set(re.findall(r'<option value="([A-Za-z0-9_/]+)"', page))
        assert "main_bot" in listed
        assert f"{IDENTITY}/open" in listed
        # names and addresses are for whom the page of activity is for
        assert (listed & PEOPLES == set()) == (role == "operator")
        for name in PEOPLES & {"system_users", "user_activity_monitoring"}:
            there = log_path(bot.folder, name).exists()
            found = bot.client(role).get(f"/logs?file={name}").status_code
            assert found == (200 if there and role != "operator" else 404)
    assert "registered as viewer" in bot.client("admin").get("/logs?file=system_users").text


def test_main_has_nothing_of_people(bot: Any) -> None:
    text = log_path(bot.folder, "main_bot").read_text()
    assert '"event": "Keys.Rotated"' not in text  # for DEBUG alone
    assert '"event": "User.' not in text
    assert '"event": "User.Registered"' in log_path(bot.folder, "system_users").read_text()


def test_pages_go_back_through_every_line(bot: Any) -> None:
    admin, address, seen = bot.client("admin"), "/logs?file=main_bot&text=minute", list[str]()
    while address:
        page = admin.get(address).text
        seen += re.findall(r"minute (\d+)", page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = older[1].replace("&amp;", "&") if older else ""
    assert seen == [str(n) for n in reversed(range(250))]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("level=WARNING", 5), ("text=MINUTE 24", 11), ("day=2026-03-02", 100),
        ("day=2026-03-03", 0),
        ("strategy=OPEN", 0), ("text=nothing like it", 0),
    ],
)  # fmt: skip
def test_filters_say_what_they_mean(bot: Any, query: str, count: int) -> None:
    page = bot.client("admin").get(f"/logs?file=main_bot&{query}").text
    found = len(re.findall(r"minute \d+", page))
    assert found == count
    if count == 0:
        assert "No line fits these filters" in page


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("file=../../storage/events.db", 404), ("file=nothing", 404), ("level=LOUD", 400),
        ("day=yesterday", 400), ("before=x", 400), ("text=" + "x" * 201, 400), ("before=7", 200),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_said(bot: Any, query: str, status: int) -> None:
    assert bot.client("admin").get(f"/logs?{query}").status_code == status


def test_the_past_shows_what_was_logged_up_to_then(bot: Any) -> None:
    page = bot.client("admin").get("/logs?file=main_bot&as_of=2026-03-01").text
    assert "minute" not in page.partition("<main")[2]
    page = bot.client("admin").get("/logs?file=main_bot&as_of=2026-03-02").text
    assert "minute 1" in page


def test_a_request_to_a_broker_is_a_line_with_its_time_and_outcome(bot: Any) -> None:
    tell = broker_log(bot.folder)
    for outcome in ("200", "429", "no answer in time"):
        tell(ApiAction(at=NOW, broker="alpaca", method="POST", endpoint="/v2/orders",
                       outcome=outcome, duration_ms=41))  # fmt: skip
    page = bot.client("operator").get("/logs?file=broker_api").text
    assert "POST /v2/orders: no answer in time, 41 ms" in page
    assert page.count("WARNING</span>") == 2
    line = log_path(bot.folder, "broker_api").read_text().splitlines()[0]
    assert '"method": "POST", "endpoint": "/v2/orders", "outcome": "200"' in line
    assert '"duration_ms": "41"' in line


def test_what_the_pages_say_of_themselves_is_in_the_logs(
    bot: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    before = root.handlers[:]
    log_as_set(bot.folder, bot.clock)
    # a line of a library that quotes a key, and a page that fails for an unforeseen reason
    logging.getLogger("urllib3").warning("retrying with %s", _key(bot))
    with monkeypatch.context() as forced:
        forced.setattr("web.logs.logs_here", lambda _: 1 / 0)
        answer = bot.client("admin").get("/logs")
    handlers, root.handlers = root.handlers, before
    for handler in handlers:
        handler.close()
    reference = re.search(r"<code[^>]*>([0-9a-f]{8})</code>", answer.text)
    assert answer.status_code == 500
    assert reference is not None
    main = log_path(bot.folder, "main_bot").read_text()
    assert "urllib3: retrying with (secret)" in main
    errors = log_path(bot.folder, "error_tracebacks", IDENTITY).read_text()
    assert f"Reference {reference[1]}" in errors
    assert "ZeroDivisionError" in errors
    said = capfd.readouterr().err
    assert "retrying with (secret)" in said
    assert f"Reference {reference[1]}" in said


def _key(bot: Any) -> str:
    """A key of the vault, as a text."""
    with bot.people() as people:
        return next(iter(people.custody.store.keys.items()))[1].siv.hex()


@pytest.mark.usefixtures("bot")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_it_is_chosen_filtered_and_without_fault(
    enter: Callable[..., Page], tmp_path: Path, scheme: str
) -> None:
    size = {"width": 1360, "height": 900}
    page = enter("admin", "/logs", color_scheme=scheme, viewport=size)
    expect(page.locator("h1")).to_contain_text("main_bot")
    page.screenshot(path=tmp_path / "main.png")
    page.locator("select[name=file]").select_option(f"{IDENTITY}/open")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("-12.50")
    page.screenshot(path=tmp_path / "open.png")
    page.locator("select[name=file]").select_option(f"{IDENTITY}/error_tracebacks")
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("more").click()
    expect(page.locator("pre")).to_contain_text("ValueError: <script>")
    expect(page).to_have_title(re.compile("Logs"))
    page.screenshot(path=tmp_path / "errors.png")
    assert [v["id"] for v in Axe().run(page).response["violations"]] == []
