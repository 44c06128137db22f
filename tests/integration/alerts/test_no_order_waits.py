"""Whole days of `tbot run`, its alerts going to a server that works, hangs or is not there: the
same orders, and how long they were on their way. Figures are printed; nothing is judged by them."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from beside import beside

from config.clock import VirtualClock
from config.paths import DataFolder
from eventstore.feed import Feed
from runtime.alert_status import read_alerts
from runtime.alerts import Alerts
from runtime.custody import Custody
from runtime.settings_change import current_settings

timed_day: Any = beside("integration/alerts/timed_day")
mail_server: Any = beside("integration/mail_server")
FULL = os.environ.get("PROGRAMME") == "full"
SESSIONS = [datetime(2025, 7, day, 13, 20, tzinfo=UTC) for day in (7, 8, 9)]
NOTIFY = dict.fromkeys(("NOTIFY_ON_FILL", "NOTIFY_ON_EXIT", "NOTIFY_ON_FAILURE"), "true")


def settings(port: int) -> dict[str, str]:
    return NOTIFY | {
        "SMTP_HOST": "127.0.0.1", "SMTP_SENDER": "bot@example.org", "SMTP_PORT": str(port),
        "SMTP_RECIPIENTS": "ann@example.org", "SMTP_USERNAME": "bot", "API_TIMEOUT": "5",
        "SMTP_PASSWORD": mail_server.PASSWORD, "WEB_ENABLED": "false",
    }  # fmt: skip


def closed(folder: DataFolder) -> int:
    with closing(Feed(folder.events)) as feed:
        return len(feed.page(topics=("Session.Closed",)))


def play(root: Path, **texts: str) -> tuple[list[int], DataFolder]:
    """Microseconds of every order on its way; the bot after its sessions."""
    folder = timed_day.fast_day().set_up(root / "data", SESSIONS[0] - timedelta(days=1), **texts)
    running = timed_day.days(folder)
    try:
        running.begin(SESSIONS[0])
        for number, begin in enumerate(SESSIONS):
            running.clock.set(begin, goes=True)
            end = time.monotonic() + 60
            while closed(folder) == number:
                assert time.monotonic() < end, running.errors()
                time.sleep(0.05)
        time.sleep(2.0)  # what was told last is on its way or waits
        assert running.end() == 0
    finally:
        running.close()
    taken = (root / timed_day.TAKEN).read_text().split()
    return [int(each) for each in taken], folder


def looked_again(folder: DataFolder) -> tuple[int, int]:
    """Alerts sent and waiting, by another `tbot run`: what happened while a mail hung is in the
    history, and followed from there."""
    clock = VirtualClock(SESSIONS[-1] + timedelta(hours=12))
    with closing(Custody.open(folder, clock)) as custody:
        found = current_settings(custody)
    with closing(Alerts(folder, found, clock)) as alerts:
        alerts.tick()
    told = read_alerts(folder)
    assert told is not None
    return told.sent, told.waiting


@pytest.mark.skipif(not FULL, reason="a programme of minutes: PROGRAMME=full")
def test_orders_do_not_wait_for_mail(
    tmp_path: Path, pem: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    works, hangs = mail_server.MailServer(pem), mail_server.Silent()
    works.start()
    ends = Event()
    thread = Thread(target=hangs.serve, args=(ends,))
    thread.start()
    ways = {
        "no mails": {"WEB_ENABLED": "false"}, "a server that works": settings(works.port),
        "one that hangs": settings(hangs.port), "none there": settings(mail_server.free_port()),
    }  # fmt: skip
    rows = []
    try:
        for name, texts in ways.items():
            place = tmp_path / name.replace(" ", "-")
            place.mkdir()
            taken, folder = play(place, **texts)
            rows.append((name, taken, *looked_again(folder)))
    finally:
        ends.set()
        thread.join()
        works.stop()
    with capsys.disabled():
        print(
            f"\n{len(SESSIONS)} sessions each; an order's way from intent to answer, on disk, in ms"
        )
        print(f"{'mail server':22}{'orders':>8}{'median':>9}{'95 %':>9}{'most':>9}{'sent':>7}"
              f"{'waiting':>9}")  # fmt: skip
        for name, taken, sent, waiting in rows:
            ms = sorted(each / 1000 for each in taken)
            high = ms[int(len(ms) * 0.95) - 1]
            print(f"{name:22}{len(ms):8}{statistics.median(ms):9.2f}{high:9.2f}{ms[-1]:9.2f}"
                  f"{sent:7}{waiting:9}")  # fmt: skip
    counts = {len(taken) for _, taken, *_ in rows}
    assert len(counts) == 1, "the same days, so the same orders"
    by_name = {name: (sent, waiting) for name, _, sent, waiting in rows}
    assert by_name["no mails"] == (0, 0)
    assert by_name["a server that works"][0] > 0
    for name in ("one that hangs", "none there"):
        assert by_name[name][0] == 0
        assert by_name[name][1] == sum(by_name["a server that works"]), "nothing is lost"
