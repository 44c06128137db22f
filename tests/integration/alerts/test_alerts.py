"""What is mailed, with what in it, and what is not: fills, exits, failures, the day's report."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from aggregates.control import LatchKill, StartKill
from aggregates.instrument import RegisterInstrument
from runtime.alerts import last_words
from runtime.status import BrokerStatus, Status, write_status

KEY = re.compile(r"<[0-9a-f]{32}@tradebot\.invalid>")


def test_an_entry_that_is_filled(rig: Any, server: Any) -> None:
    rig.open()
    rig.order("ALFA-1", "10")
    rig.fill("ALFA-1", "4", "25.00", part=1)
    rig.ticks()
    assert not server.mails, "an order is told once it is over"
    rig.fill("ALFA-1", "6", "25.10", part=2)
    rig.ticks()
    (mail,) = server.mails
    assert mail["Subject"] == "[ACME_ACME_ACME_01] Bought 10 ALFA (OPEN)"
    assert mail["From"] == "ACME_ACME_ACME_01 <bot@example.org>"
    assert mail["To"] == "ann@example.org, bob@example.org"
    assert KEY.fullmatch(mail["Message-ID"])
    (text,) = server.texts()
    # 4 × 25.00 and 6 × 25.10; decimal points under each other; UTC and local time with its zone
    assert "Units          10\nAverage price  25.06\n" in text
    assert "Time           2026-03-02 15:00:01 UTC, 10:00:01 EST (US/Eastern)\n" in text
    rig.ticks(5)
    assert len(server.mails) == 1


def test_a_put_is_told_with_what_its_symbol_and_its_price_mean(rig: Any, server: Any) -> None:
    put = "ALFA260313P00025000"
    rig.open("ALFA")
    rig.do(
        RegisterInstrument, symbol=put, name=put, kind="option", currency="USD", exchange="XNYS",
        multiplier=100,
    )  # fmt: skip
    rig.order("PUT-1", "3", symbol=put)
    rig.fill("PUT-1", "3", "1.66")
    rig.order("PUT-2", "3", symbol=put, side="sell")
    rig.fill("PUT-2", "3", "1.52")
    rig.close_day()
    rig.ticks(4)
    text = next(t for t in server.texts() if t.startswith("Bought"))
    said = "ALFA put 25, expires 2026-03-13; of 100 shares, the price is for one"
    assert re.search(rf"Average price +1\.66\nSymbol +{put}\nContract +{said}\n", text)
    (report,) = (t for t in server.texts() if t.startswith("Day report"))
    assert "Prices of options are for one share; a contract is of 100 shares.\n" in report


def test_an_order_that_was_filled_in_part_and_cancelled_is_told_as_such(
    rig: Any, server: Any
) -> None:
    from aggregates.order_messages import RecordCancellation

    rig.open()
    rig.order("ALFA-1", "10")
    rig.fill("ALFA-1", "4", "25.00")
    rig.do(RecordCancellation, order_id="ALFA-1", reason="too slow")
    rig.ticks()
    assert server.subjects() == ["[ACME_ACME_ACME_01] Bought 4 of 10 ALFA (OPEN)"]


def test_a_position_that_is_closed_with_its_result(rig: Any, server: Any) -> None:
    rig.open()
    rig.buy("ALFA-1")
    rig.order("ALFA-2", "10", side="sell", reason="stop")
    rig.fill("ALFA-2", "10", "24.05")
    rig.ticks()
    assert len(server.mails) == 1, "the result is not known yet, so only the purchase is told"
    rig.views()
    rig.ticks()
    # 10 × (24.05 - 25.05) less two commissions of 1
    assert server.subjects()[1] == "[ACME_ACME_ACME_01] Closed ALFA (OPEN), -12.00"
    assert "Result after costs  -12.00\n" in server.texts()[1]
    assert "Reason              stop\n" in server.texts()[1]


def test_a_result_that_no_view_knows_holds_nothing_up_for_long(rig: Any, server: Any) -> None:
    rig.open()
    rig.buy("ALFA-1")
    rig.order("ALFA-2", "10", side="sell")
    rig.fill("ALFA-2", "10", "24.05")
    rig.reject("ALFA-3")
    rig.ticks(10, seconds=4)
    assert "Sold ALFA (OPEN), result not known yet" in "".join(server.subjects())
    assert "Order rejected" in "".join(server.subjects())


def test_what_long_term_holdings_buy_is_not_mailed(rig: Any, server: Any) -> None:
    rig.open()
    rig.buy("ALFA-1", sleeve="holdings")
    rig.ticks(3)
    assert not server.mails


def test_failures_are_told_in_the_words_of_the_log(rig: Any, server: Any) -> None:
    rig.open()
    rig.reject("ALFA-1", "no money")
    rig.ticks()
    rig.do(StartKill, source="loss", reason="the daily limit")
    rig.do(LatchKill, flat=False, left=("ALFA 10",))
    rig.ticks(3)
    said = server.subjects()
    assert said[0] == "[ACME_ACME_ACME_01] FAILURE: Order rejected: buy 1 ALFA"
    assert said[1] == "[ACME_ACME_ACME_01] FAILURE: KILL begun"
    assert said[2] == "[ACME_ACME_ACME_01] FAILURE: KILLED, NOT flat: look at the broker"
    assert "rejected: no money, order ALFA-1" in server.texts()[0]
    assert "left: ALFA 10" in server.texts()[2]


def test_what_main_finds_is_told_once_an_hour(rig: Any, server: Any) -> None:
    for wait in ("0.5", "1", "2"):
        rig.alerts.tell(f"The supervisor has ended (code 4); it is started again in {wait} s.")
        rig.ticks()
    assert server.subjects() == [
        "[ACME_ACME_ACME_01] FAILURE: The supervisor has ended (code 4); it is started again in "
        "0.5 s."
    ]
    rig.later(hours=1)
    rig.alerts.tell("The supervisor has ended (code 4); it is started again in 30 s.")
    rig.ticks()
    assert len(server.mails) == 2


def test_a_main_that_must_not_start_says_so_by_mail(rig: Any, server: Any) -> None:
    rig.alerts.close()
    last_words(rig.folder, rig.clock, "`tbot run` has not started: the settings are faulty.")
    assert "`tbot run` has not started" in server.subjects()[0]


@pytest.mark.parametrize("silent_s", [30, 90])
def test_a_broker_that_is_silent_for_a_minute(rig: Any, server: Any, silent_s: int) -> None:
    rig.open()
    since = rig.clock.now() - timedelta(seconds=silent_s - 10)
    rig.later(seconds=10)
    status = Status(
        at=rig.clock.now(), state="trading", session="2026-03-02", phase="open", next_phase=None,
        pid=1, entries_blocked="",
        broker=BrokerStatus(name="alpaca", reachable=False, unreachable_since=since),
    )  # fmt: skip
    write_status(rig.folder, status)
    rig.ticks(3)
    told = ["The broker alpaca has not answered since" in each for each in server.subjects()]
    assert told == [True] * (silent_s > 60)


def test_a_session_that_is_never_closed(rig: Any, server: Any) -> None:
    rig.open()
    rig.ticks(6, hours=1)  # 21:00, the close
    assert not server.mails
    rig.ticks(5, hours=1)
    (said,) = server.subjects()
    assert "The session 2026-03-02 is not closed" in said


def test_phases_that_end_badly_and_differences_at_the_close(rig: Any, server: Any) -> None:
    from aggregates.session import EndPhase, StartPhase

    rig.open()
    rig.do(EndPhase, phase="open", outcome="not flat: ALFA 10, halted")
    rig.do(StartPhase, phase="holdings")
    rig.do(EndPhase, phase="holdings", outcome="stopped: the purses differ from the broker's cash")
    rig.do(StartPhase, phase="universe")
    rig.do(EndPhase, phase="universe", outcome="flat")
    rig.close_day(differences=("cash: 1.00 more there",))
    rig.ticks(4)
    texts = "".join(server.texts())
    assert "phase open ended: not flat: ALFA 10, halted" in texts
    assert "phase holdings ended: stopped: the purses differ" in texts
    assert "reconciled with differences: cash: 1.00 more there" in texts
    assert "phase universe ended" not in texts


def test_the_report_of_the_day_waits_for_its_signed_note(rig: Any, server: Any) -> None:
    rig.open()
    rig.buy("ALFA-1")
    rig.order("ALFA-2", "10", side="sell")
    rig.fill("ALFA-2", "10", "26.05")
    position = rig.close_day(checkpoint=False)
    rig.views()
    rig.ticks(4)
    assert not [s for s in server.subjects() if "Day report" in s]
    rig.keep()
    rig.ticks(4)
    reports = [mail for mail in server.mails if "Day report" in mail["Subject"]]
    (report,) = reports
    assert report["Subject"] == "[ACME_ACME_ACME_01] Day report of 2026-03-02"
    text = server.texts()[server.mails.index(report)]
    assert re.search(r"Result after costs, USD +8\.00\n", text)
    assert "Symbol  Strategy  Units  Bought at  Sold at  Costs  Result\n" in text
    assert "ALFA    OPEN         10      25.05    26.05   2.00   +8.00\n" in text
    assert "They agree." in text
    assert "Float of trading" in text
    (attached,) = report.iter_attachments()
    note = rig.folder.checkpoint(position)
    assert attached.get_filename() == note.name
    assert attached.get_content() == note.read_bytes()
    rig.ticks(5)
    assert len([s for s in server.subjects() if "Day report" in s]) == 1


def test_a_report_without_a_note_says_so_in_the_end(rig: Any, server: Any) -> None:
    rig.open()
    rig.close_day(checkpoint=False)
    rig.ticks(3, minutes=8)
    (text,) = server.texts()
    assert "NO signed checkpoint was written" in text


def test_what_is_switched_off_is_counted_and_not_mailed(rig: Any, server: Any) -> None:
    rig.open()
    rig.set(NOTIFY_ON_FILL="false")
    rig.buy("ALFA-1")
    rig.reject("ALFA-2")
    rig.ticks(3)
    assert [s.partition("] ")[2] for s in server.subjects()] == [
        "FAILURE: Order rejected: buy 1 ALFA"
    ]
    assert (rig.told.on, rig.told.off, rig.told.sent) == (
        ("NOTIFY_ON_EXIT", "NOTIFY_ON_FAILURE"), 1, 1
    )  # fmt: skip
    rig.set(NOTIFY_ON_FILL="true")
    rig.buy("ALFA-3")
    rig.ticks(2)
    assert "Bought 10 ALFA" in server.subjects()[-1], "a change takes effect at once"


def test_no_secret_of_the_vault_is_in_a_mail(rig: Any, server: Any) -> None:
    rig.open()
    rig.reject("ALFA-1", "the server says: AUTH canary-mail-password failed")
    rig.alerts.tell("It cannot be opened with canary-mail-password.")
    rig.ticks(3)
    assert len(server.mails) == 2
    assert not [mail for mail in server.mails if "canary" in mail.as_string()]
    assert any("AUTH (secret) failed" in text for text in server.texts())
    outbox = b"".join(p.read_bytes() for p in rig.folder.alerts_outbox.parent.glob("alerts.db*"))
    assert b"canary" not in outbox
    assert rig.folder.alerts_outbox.stat().st_mode & 0o777 == 0o600
