"""Books and broker brought together: what is repaired, what stays open, what blocks purchases."""

import sqlite3
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from aggregates.capital import Earmark
from aggregates.errors import DomainError
from aggregates.reconciliation import STREAM, AcceptDifference, Reconciliation
from brokers.port import Activity, KeysRefused
from runtime.reconciliation import Reconciler, differences, reconcile

D = Decimal
DAY = date(2026, 3, 2)


def open_kinds(rig: Any, occasion: Any = "schedule") -> list[str]:
    return [d.kind for d in reconcile(rig.bot, rig.desk, occasion).open_differences]


def at_broker_file(rig: Any, sql: str) -> None:
    with sqlite3.connect(rig.folder.root / "broker.db") as file:
        file.execute(sql)


def activity(kind: Any, net: str | None, number: int = 1, **more: Any) -> Activity:
    own: dict[str, Any] = {
        "activity_id": f"a{number}", "kind": kind, "code": kind.upper()[:4], "day": DAY,
        "symbol": "", "quantity": None, "net_amount": None if net is None else D(net),
        "description": "test", "cancelled": False,
    }  # fmt: skip
    return Activity(**(own | more))


@pytest.fixture
def paid(rig: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The rig, whose broker counts what its activities moved into its cash."""
    account = rig.simulated.account

    def with_activities() -> Any:
        told = sum((a.net_amount or D(0) for a in rig.broker.told if not a.cancelled), D(0))
        return replace(account(), cash=account().cash + told)

    monkeypatch.setattr(rig.simulated, "account", with_activities)
    return rig


# Nothing to do


def test_equal_books_leave_one_event_at_the_start_and_one_at_the_close(rig: Any) -> None:
    rig.buy()
    for occasion in ("start", "schedule", "schedule", "reconnect", "close", "close", "start"):
        assert reconcile(rig.bot, rig.desk, occasion).open_differences == ()
        rig.pass_minutes(15)
    assert rig.topics("Reconciliation") == ["Compared", "Compared"]
    assert [e.occasion for e in rig.events("Reconciliation.Compared")] == ["start", "close"]


# Repaired


def test_a_missed_fill_of_an_order_that_no_session_carries_is_recorded_once(rig: Any) -> None:
    rig.order("missed", "ALFA", "buy", "10")
    rig.pass_minutes(2)
    done = reconcile(rig.bot, None, "start")
    assert done.open_differences == ()
    assert "10 ALFA" in done.repaired[0]
    assert differences(rig.bot.views.books, rig.simulated) == []
    assert rig.outbox.read_fills() == 1, "the outbox meets it again"
    assert rig.topics("Order").count("Filled") == 1


def test_fills_of_the_running_session_are_no_news(rig: Any) -> None:
    rig.order("own", "ALFA", "buy", "10")
    rig.pass_minutes(2)
    assert reconcile(rig.bot, rig.desk, "schedule").repaired == ()
    assert rig.desk.orders["own"].state == "filled"
    assert rig.topics("Reconciliation") == []


def test_an_order_of_yesterday_that_ended_there_is_over_here(rig: Any) -> None:
    rig.order("yesterday", "ALFA", "buy", "10")
    rig.simulated.cancel(rig.desk.orders["yesterday"].terms.client_order_id)
    rig.clock.wait_until(rig.hours.close + timedelta(hours=1))
    done = reconcile(rig.bot, None, "start")
    assert "yesterday: cancelled" in done.repaired[0]
    assert [o.state for o in rig.bot.views.orders.orders()] == ["cancelled"]


def test_an_order_that_never_reached_the_broker_is_over(rig: Any) -> None:
    rig.decide("lost", "ALFA", "buy", "10")
    done = reconcile(rig.bot, None, "start")
    assert "no such order" in done.repaired[0]
    assert rig.bot.views.orders.unfinished() == []


@pytest.mark.parametrize(
    ("kind", "net", "topic", "account"),
    [
        ("dividend", "12.34", "DividendReceived", "dividends"),
        ("withholding", "-1.85", "TaxWithheld", "withholding_tax"),
        ("interest", "0.07", "InterestReceived", "interest"),
        ("interest", "-3.21", "MarginInterestCharged", "margin_interest"),
        ("fee", "-0.19", "FeeCharged", "fees"),
        ("transfer", "500", "Deposited", "opening_equity"),
        ("transfer", "-250.00", "Withdrawn", "owner_draws"),
    ],
)
def test_money_that_moved_is_booked_once_and_ties_out(
    paid: Any, kind: Any, net: str, topic: str, account: str
) -> None:
    books = paid.bot.views.books
    code = books.chart().mapping[account]
    before = books.balance_of(code)
    paid.broker.told = [activity(kind, net, symbol="ALFA")]
    for _ in range(2):
        assert reconcile(paid.bot, paid.desk, "schedule").open_differences == ()
    assert paid.topics("Capital").count(topic) == 1 + (topic == "Deposited")
    assert books.balance_of(code) - before == -D(net)
    assert books.broker_cash() == D(100_000) + D(net)
    assert books.trial_balance().debits == books.trial_balance().credits


def test_what_the_broker_cancels_is_reversed(paid: Any) -> None:
    paid.broker.told = [activity("dividend", "12.34", symbol="ALFA")]
    reconcile(paid.bot, paid.desk, "schedule")
    paid.broker.told = [activity("dividend", "12.34", symbol="ALFA", cancelled=True)]
    for _ in range(2):
        paid.pass_minutes(15)
        assert reconcile(paid.bot, paid.desk, "schedule").open_differences == ()
    assert paid.topics("Books").count("EntryReversed") == 1
    assert paid.bot.views.books.broker_cash() == D(100_000)


def test_the_first_look_at_an_account_finds_its_opening_balance(make_rig: Any) -> None:
    rig = make_rig(deposit=False)
    done = reconcile(rig.bot, None, "start")
    assert done.open_differences == ()
    assert rig.bot.views.books.broker_cash() == D("100000.00")
    assert reconcile(rig.bot, None, "start").repaired == ()


# Open


def test_cash_that_nothing_explains_blocks_purchases_and_nothing_else(rig: Any) -> None:
    rig.buy("ALFA", "10")
    at_broker_file(rig, "UPDATE account SET cash = cash - 1000")
    done = reconcile(rig.bot, rig.desk, "schedule")
    (found,) = done.open_differences
    assert (found.kind, found.amount) == ("cash", "-10.00")
    assert "cash" in done.why
    with pytest.raises(DomainError, match="books and broker differ"):
        rig.decide("entry", "BRVO", "buy", "1")
    rig.order("exit", "ALFA", "sell", "10")
    assert rig.desk.orders["exit"].state == "accepted"


def test_a_difference_that_is_gone_is_closed_by_an_event(rig: Any) -> None:
    at_broker_file(rig, "UPDATE account SET cash = cash - 1000")
    reconcile(rig.bot, rig.desk, "start")
    reconcile(rig.bot, rig.desk, "schedule")
    at_broker_file(rig, "UPDATE account SET cash = cash + 1000")
    rig.pass_minutes(1)
    assert reconcile(rig.bot, rig.desk, "schedule").why == ""
    assert rig.topics("Reconciliation") == ["Found", "Compared", "Gone", "Compared"]
    rig.decide("entry", "BRVO", "buy", "1")


def accept(rig: Any, difference: Any, reason: str = "known") -> None:
    rig.bot.dispatch(
        AcceptDifference(
            at=rig.clock.now(), effective_date=DAY, reason=reason,
            difference_id=difference.difference_id, amount=difference.amount,
        ),
        command_id=f"accept:{difference.difference_id}",
    )  # fmt: skip


def test_an_accepted_difference_blocks_nothing_until_it_is_another(rig: Any) -> None:
    at_broker_file(rig, "UPDATE account SET cash = cash - 1000")
    (found,) = reconcile(rig.bot, rig.desk, "start").open_differences
    accept(rig, found)
    rig.buy("ALFA", "10")  # cash moves on both sides, the difference does not
    assert open_kinds(rig) == []
    at_broker_file(rig, "UPDATE account SET cash = cash - 1")
    rig.pass_minutes(1)
    (other,) = reconcile(rig.bot, rig.desk, "schedule").open_differences
    assert other.amount == "-10.01"


def test_a_position_that_was_closed_by_hand_is_found_and_told(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.by_hand("ALFA", "sell", "10")
    rig.pass_minutes(2)
    found = {d.kind: d for d in reconcile(rig.bot, rig.desk, "schedule").open_differences}
    assert set(found) == {"cash", "closed_by_hand"}
    assert "sell 10 at 99.98" in found["closed_by_hand"].known
    assert found["closed_by_hand"].amount == "-10"


def test_an_accepted_sale_by_hand_is_booked_as_the_broker_told_it(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.by_hand("ALFA", "sell", "10")
    rig.pass_minutes(2)
    found = {d.kind: d for d in reconcile(rig.bot, rig.desk, "schedule").open_differences}
    accept(rig, found["closed_by_hand"], "sold on the phone")
    for desk in (rig.desk, None):
        done = reconcile(rig.bot, desk, "schedule")
        assert done.open_differences == ()
    assert differences(rig.bot.views.books, rig.simulated) == []
    assert rig.desk.holdings() == {}
    (trade,) = rig.bot.views.trading.trades()
    assert (trade.strategy, trade.exit_reason) == ("OPEN", "sold by hand: sold on the phone")
    rig.take_up()
    assert rig.desk.holdings() == {}, "also after a restart"
    assert rig.outbox.read_fills() == 0


def test_sales_by_hand_that_do_not_come_to_what_is_missing_are_not_booked(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.by_hand("ALFA", "sell", "4")
    rig.pass_minutes(2)
    at_broker_file(rig, "UPDATE positions SET quantity = quantity - 1000000000")
    found = {d.kind: d for d in reconcile(rig.bot, rig.desk, "schedule").open_differences}
    assert found["closed_by_hand"].amount == "-5"
    accept(rig, found["closed_by_hand"])
    reconcile(rig.bot, rig.desk, "schedule")
    assert rig.topics("Order").count("Filled") == 1


def test_units_that_are_just_gone_are_missing(rig: Any) -> None:
    rig.buy("ALFA", "10")
    at_broker_file(rig, "UPDATE positions SET quantity = quantity / 2")
    (found,) = reconcile(rig.bot, rig.desk, "schedule").open_differences
    assert (found.kind, found.ours, found.theirs) == ("missing_position", "10", "5")
    assert "perhaps a split" in found.known


def test_the_sum_of_both_sleeves_is_what_counts(rig: Any) -> None:
    rig.hold_long_term("ALFA", "7")
    rig.buy("ALFA", "10")
    assert open_kinds(rig) == []
    at_broker_file(rig, "UPDATE positions SET quantity = quantity - 1000000000")
    rig.pass_minutes(1)
    (found,) = reconcile(rig.bot, rig.desk, "schedule").open_differences
    assert (found.ours, found.theirs) == ("17", "16")


def test_a_strangers_order_and_what_it_bought(rig: Any) -> None:
    rig.by_hand("ALFA", "buy", "3")
    assert open_kinds(rig) == ["stranger_order"]
    rig.pass_minutes(2)
    assert open_kinds(rig) == ["cash", "stranger_position"]
    assert rig.topics("Reconciliation").count("Gone") == 1


def test_a_split_overnight_is_recognised_and_not_guessed(rig: Any) -> None:
    rig.buy("ALFA", "10")
    at_broker_file(rig, "UPDATE positions SET quantity = quantity * 2")
    rig.broker.told = [activity("corporate_action", None, symbol="ALFA", code="SPLIT")]
    (found,) = reconcile(rig.bot, rig.desk, "start").open_differences
    assert (found.kind, found.ours, found.theirs) == ("split_overnight", "10", "20")
    assert "SPLIT of 2026-03-02" in found.known
    assert rig.topics("Instrument").count("Split") == 0


def test_a_corporate_action_that_is_booked_already_is_no_difference(rig: Any) -> None:
    rig.broker.told = [activity("corporate_action", None, symbol="ALFA", code="SPLIT")]
    assert open_kinds(rig) == []


@pytest.mark.parametrize(
    "told",
    [
        activity("other", "5.00"),
        activity("fee", "5.00"),
        activity("dividend", "-5.00"),
        activity("dividend", "5.005"),
        activity("transfer", None, quantity=D(5), symbol="ALFA"),
        activity("corporate_action", "5.00", symbol="ALFA"),
    ],
    ids=["other", "refunded fee", "dividend taken", "fraction of a cent", "shares", "cash in lieu"],
)
def test_what_cannot_be_booked_by_itself_stays_open(rig: Any, told: Activity) -> None:
    rig.broker.told = [told]
    before = len(rig.topics("Capital"))
    (found,) = reconcile(rig.bot, rig.desk, "schedule").open_differences
    assert found.kind == "unknown_activity"
    assert len(rig.topics("Capital")) == before


def test_a_withdrawal_is_not_guessed_where_a_reserve_may_have_paid_it(rig: Any) -> None:
    rig.bot.dispatch(
        Earmark(
            at=rig.clock.now(), effective_date=DAY, reference="tax", currency="USD",
            amount=D(500), reason="test", purse_from="float", purse_to="tax_reserve",
        ),
        command_id="earmark",
    )  # fmt: skip
    rig.broker.told = [activity("transfer", "-250.00")]
    (found,) = reconcile(rig.bot, rig.desk, "schedule").open_differences
    assert "which purse" in found.known


# Not known


def test_no_statement_is_not_an_empty_one(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.broker.silent = True
    for _ in range(2):
        done = reconcile(rig.bot, rig.desk, "schedule")
        assert not done.known
        rig.pass_minutes(15)
    assert "not known" in done.why
    with pytest.raises(DomainError, match="not known"):
        rig.decide("entry", "BRVO", "buy", "1")
    rig.broker.silent = False
    assert reconcile(rig.bot, rig.desk, "reconnect").why == ""
    assert rig.topics("Reconciliation") == ["NotKnown", "KnownAgain"]


def test_refused_keys_end_it(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise KeysRefused("no.")

    monkeypatch.setattr(rig.broker, "account", refuse, raising=False)
    with pytest.raises(KeysRefused):
        reconcile(rig.bot, rig.desk, "schedule")


# While trading goes on


def test_a_statement_that_is_behind_its_fills_is_read_again(rig: Any) -> None:
    """The broker tells its cash a moment before it tells the execution that moved it."""
    rig.order("own", "ALFA", "buy", "10")
    rig.pass_minutes(1)
    fills, seen = rig.simulated.fills_since, []

    def late(sequence: int) -> Any:
        seen.append(sequence)
        return fills(sequence) if len(seen) > 2 else []

    rig.simulated.fills_since = late
    rig.order("other", "BRVO", "buy", "1")
    assert reconcile(rig.bot, rig.desk, "schedule").open_differences == ()


def test_what_was_compared_long_ago_is_not_read_again(rig: Any) -> None:
    rig.buy("ALFA", "10")
    reconciler = Reconciler(rig.bot)
    reconciler.run(rig.desk, "start")
    rig.broker.asked = []
    first: list[date] = []
    activities = rig.broker.activities

    def asked(since: date) -> Any:
        first.append(since)
        return activities(since)

    rig.broker.activities = asked
    reconciler.run(rig.desk, "schedule")
    opened = rig.events("Books.Opened")[0].effective_date
    assert first == [max(opened, DAY - timedelta(days=10))]
    state = rig.bot.store.load(Reconciliation, STREAM)
    assert state.version == 0, "a day without differences adds nothing to what every entry reads"
