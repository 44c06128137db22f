"""A mail server that is down, slow, refusing or dying: nothing is lost, nothing is told otherwise
than under its one Message-ID, and no account is locked."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from multiprocessing import get_context
from threading import Event, Thread
from typing import Any

import pytest
from beside import beside

from config import failpoints
from config.clock import VirtualClock
from config.paths import DataFolder
from runtime import alerts
from runtime.alert_outbox import AlertOutbox
from runtime.alerts import Alerts
from runtime.custody import Custody
from runtime.settings_change import current_settings

mail_server: Any = beside("integration/mail_server")
STEPS = ("alerts.written", "alerts.enqueued", "alerts.mail_made", "alerts.sent")


def told_of(server: Any, *order_ids: str) -> list[int]:
    """How many different mails tell of each order; the same mail twice counts once."""
    by_id = dict(zip(server.ids(), server.texts(), strict=True))
    return [sum(f"{o}\n" in text for text in by_id.values()) for o in order_ids]


def test_a_server_that_is_down_for_days_loses_nothing(rig: Any, server: Any) -> None:
    server.stop()
    rig.open()
    for number in range(3):
        for n in range(4):
            rig.buy(f"O{number}-{n}")
        rig.ticks(20, hours=1)
    assert rig.told.waiting == 13, "12 fills, and that the session was not closed"
    assert rig.told.failing
    assert "ConnectionRefusedError" in rig.told.error
    server.start()
    rig.ticks(120, seconds=60)
    ids = [f"O{number}-{n}" for number in range(3) for n in range(4)]
    assert told_of(server, *ids) == [1] * 12
    assert Counter(server.ids()).most_common(1)[0][1] == 1
    # what was tried first is a mail of its own, the rest came together
    assert len(server.mails) == 2
    assert "9 alerts, 1 FAILURE" in server.subjects()[1]
    assert (rig.told.waiting, rig.told.sent, rig.told.failing) == (0, 13, False)


def test_it_is_tried_more_and_more_slowly(rig: Any, server: Any) -> None:
    server.data = "451 not now"
    rig.open()
    rig.buy("O1")
    tried: list[int] = []
    for ten in range(720):
        before = server.sign_ins
        rig.ticks(1, seconds=10)
        if server.sign_ins > before:
            tried.append(ten)
    pauses = [b - a for a, b in pairwise(tried)]
    assert pauses == sorted(pauses)
    assert 4 <= len(tried) <= 10
    server.data = ""
    rig.ticks(1, hours=1)
    assert told_of(server, "O1") == [1]


@pytest.mark.parametrize("answer", ["451 greylisted", "452 full", "550 spam", "554 no"])
def test_a_mail_that_is_refused_does_not_keep_others(rig: Any, server: Any, answer: str) -> None:
    server.data = answer
    rig.open()
    rig.buy("O1")
    rig.ticks()
    assert answer in rig.told.error
    server.data = ""
    rig.buy("O2")
    rig.ticks(2)
    assert told_of(server, "O1", "O2") == [0, 1]
    assert (rig.told.waiting, rig.told.failing) == (1, True)
    rig.ticks(3, hours=1)
    assert told_of(server, "O1", "O2") == [1, 1]
    assert not rig.told.failing


def test_one_address_that_is_refused_gets_it_later_and_the_other_once(
    rig: Any, server: Any
) -> None:
    server.rcpt = {"bob@example.org": "450 greylisted"}
    rig.open()
    rig.buy("O1")
    rig.ticks(2)
    assert len(server.mails) == 1
    assert "bob@example.org: 450 greylisted" in rig.told.error
    server.rcpt = {}
    rig.ticks(5, minutes=5)
    assert len(server.mails) == 2
    assert len(set(server.ids())) == 1, "the same mail"
    assert (rig.told.sent, rig.told.waiting) == (1, 0)


def test_an_address_that_is_taken_out_of_the_settings_is_waited_for_no_more(
    rig: Any, server: Any
) -> None:
    server.rcpt = {"bob@example.org": "550 no such box"}
    rig.open()
    rig.buy("O1")
    rig.ticks(2)
    assert rig.told.waiting == 1
    rig.set(SMTP_RECIPIENTS="ann@example.org")
    rig.ticks(3)
    assert (rig.told.waiting, rig.told.failing, len(server.mails)) == (0, False, 1)


def test_a_server_that_dies_after_data_gets_the_same_mail_again(rig: Any, server: Any) -> None:
    server.dies_after_data = 2
    rig.open()
    rig.buy("O1")
    rig.ticks(20, minutes=1)
    assert len(server.mails) == 3
    assert len(set(server.ids())) == 1
    assert len({mail.as_string() for mail in server.mails}) == 1
    assert (rig.told.sent, rig.told.waiting) == (1, 0)


def test_a_password_that_is_wrong_is_tried_seldom_and_said(rig: Any, server: Any) -> None:
    server.password = "another"  # noqa: S105 - of the test
    rig.open()
    rig.buy("O1")
    rig.ticks(24 * 6, minutes=10)
    assert server.sign_ins <= 7, "a day of it locks no account"
    assert "refuses the user name or the password" in rig.told.error
    log = (rig.folder.global_logs / "main_bot.log").read_text()
    assert log.count("refuses the user name or the password") == 1
    assert "Alerts wait and are not lost; trading goes on" in log
    assert "canary" not in log + rig.folder.alerts.read_text()
    tried = server.sign_ins
    server.password = mail_server.PASSWORD + "2"
    rig.set(SMTP_PASSWORD=server.password)
    rig.ticks(2)
    assert server.sign_ins > tried, "other settings are tried at once"
    assert told_of(server, "O1") == [1]
    assert "Alerts are mailed again." in (rig.folder.global_logs / "main_bot.log").read_text()


@pytest.fixture
def silent(request: pytest.FixtureRequest) -> Iterator[Any]:
    found, ends = mail_server.Silent(drip=request.param == "a byte at a time"), Event()
    thread = Thread(target=found.serve, args=(ends,))
    thread.start()
    yield found
    ends.set()
    thread.join()


@pytest.mark.parametrize("silent", ["nothing", "a byte at a time"], indirect=True)
def test_a_server_that_hangs_is_left_in_time(
    make_rig: Any, silent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime import mail

    monkeypatch.setattr(mail, "LONGEST_S", 0.5)
    monkeypatch.setattr(mail.deliver, "__defaults__", (1.0,))
    rig = make_rig(silent)
    rig.open()
    rig.buy("O1")
    began = time.monotonic()
    rig.ticks()
    assert time.monotonic() - began < 5.0
    assert silent.met == 1
    assert (rig.told.waiting, rig.told.failing) == (1, True)


@pytest.mark.parametrize("silent", ["nothing"], indirect=True)
def test_what_is_told_while_a_mail_hangs_is_on_disk_when_main_ends(
    make_rig: Any, silent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "TICK_S", 0.02)
    monkeypatch.setattr(alerts, "LEAVE_S", 0.1)
    rig = make_rig(silent)
    rig.alerts.close()
    rig.alerts = rig.begin()
    rig.open()
    rig.buy("O1")
    rig.alerts.start()
    end = time.monotonic() + 10
    while not silent.met and time.monotonic() < end:
        time.sleep(0.01)
    rig.alerts.tell("The pages have ended (code 1).")
    began = time.monotonic()
    rig.alerts.stop()
    assert time.monotonic() - began < 1.0, "the end does not wait for the mail server"
    with closing(AlertOutbox(rig.folder.alerts_outbox)) as outbox:
        assert outbox.unsent() == 2
    rig.alerts._thread.join(10)


def test_a_burst_is_one_digest_that_lists_everything(rig: Any, server: Any) -> None:
    rig.open()
    for number in range(40):
        rig.buy(f"O{number:02}")
    rig.reject("R1", "no money")
    rig.ticks(3)
    (subject,), (text,) = server.subjects(), server.texts()
    assert subject == "[ACME_ACME_ACME_01] 41 alerts, 1 FAILURE"
    assert told_of(server, *(f"O{n:02}" for n in range(40))) == [1] * 40
    assert text.index("Failures") < text.index("Order rejected") < text.index("Fills and exits")
    assert text.count("UTC  bought   Bought 10 ALFA (OPEN)") == 40


def test_few_mails_a_minute_however_it_goes_on(rig: Any, server: Any) -> None:
    rig.open()
    for number in range(60):
        rig.buy(f"O{number:02}")
        rig.ticks(1, seconds=2)
    assert len(server.mails) <= 10, "two minutes"
    rig.ticks(2, minutes=1)
    assert told_of(server, *(f"O{n:02}" for n in range(60))) == [1] * 60


def _killed_at(step: str, nth: int, root: Any, at: Any) -> None:
    """A process of its own that looks at the history until it is killed at that step."""
    left = nth

    def reached(name: str) -> None:
        nonlocal left
        left -= name == step
        if name == step and not left:
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.arm(reached)
    folder, clock = DataFolder(root), VirtualClock(at)
    with closing(Custody.open(folder, clock)) as custody:
        settings = current_settings(custody)
    own = Alerts(folder, settings, clock)
    for _ in range(6):
        own.tick()
    sys.exit(9)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("nth", [1, 2])
def test_killed_between_any_two_steps_it_is_told_once(
    rig: Any, server: Any, step: str, nth: int
) -> None:
    rig.open()
    rig.alerts.tick()
    rig.alerts.close()
    rig.buy("O1")
    if nth == 2 and step in ("alerts.written", "alerts.enqueued"):
        rig.set(NOTIFY_ON_EXIT="false")  # a stretch of its own
    rig.buy("O2")
    child = get_context("fork").Process(
        target=_killed_at, args=(step, nth, rig.folder.root, rig.clock.now())
    )
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL, "it did not come to that step"
    rig.alerts = rig.begin()
    rig.ticks(10)
    assert told_of(server, "O1", "O2") == [1, 1]
    twice = [number for number in Counter(server.ids()).values() if number > 1]
    assert len(twice) == (step == "alerts.sent"), "only what was taken and not written down"
    with closing(AlertOutbox(rig.folder.alerts_outbox)) as outbox:
        assert outbox.unsent() == 0


def test_an_outbox_that_is_lost_begins_at_the_present(rig: Any, server: Any) -> None:
    rig.open()
    rig.buy("O1")
    rig.ticks()
    rig.alerts.close()
    for file in rig.folder.alerts_outbox.parent.glob("alerts.db*"):
        file.unlink()
    rig.alerts = rig.begin()
    rig.ticks(3)
    rig.buy("O2")
    rig.ticks(3)
    assert told_of(server, "O1", "O2") == [1, 1]
    assert len(server.mails) == 2


def test_an_outbox_that_cannot_be_written_is_said_and_costs_nothing(rig: Any, server: Any) -> None:
    rig.open()
    rig.alerts.close()
    own = rig.folder.alerts_outbox
    kept = {file: file.read_bytes() for file in own.parent.glob("alerts.db*")}
    for file in kept:
        file.unlink()
    own.mkdir()
    rig.buy("O1")
    rig.alerts = rig.begin()
    rig.ticks(3)
    assert (
        "Alerts cannot be followed or mailed"
        in (rig.folder.global_logs / "main_bot.log").read_text()
    )
    own.rmdir()
    for file, content in kept.items():
        file.write_bytes(content)
    rig.ticks(3, minutes=1)
    assert told_of(server, "O1") == [1]
