"""Books and the fake Alpaca brought together over real sockets: cash, fills, dividends, silence."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregates.order_messages import IntendOrder, RecordSubmission
from brokers.port import OrderRequest
from config.paths import DataFolder
from config.settings import demo_settings
from runtime.bootstrap import Bot, opening_commands
from runtime.reconciliation import reconcile

D = Decimal


@pytest.fixture
def bot(alpaca: Any, sessions: Any, tmp_path: Path) -> Iterator[Bot]:
    """A bot whose account is at Alpaca: nothing is in its books but the chart."""
    found = Bot(
        DataFolder(tmp_path / "bot"), demo_settings(), clock=alpaca.clock, broker=alpaca.broker,
        calendar=sessions, fresh_blind_key=bytes(32),
    )  # fmt: skip
    opening = opening_commands(
        found.settings, symbols=("ALFA",), deposit=None, at=found.clock.now(), demo=True
    )
    for command_id, commands in opening.items():
        found.dispatch(*commands, command_id=command_id)
    yield found
    found.close()


@pytest.fixture
def buy(bot: Bot, alpaca: Any) -> Callable[[str, str], None]:
    """Bought there; of the fill nothing is known here."""

    def order(order_id: str, quantity: str) -> None:
        when: dict[str, Any] = {"at": bot.clock.now(), "effective_date": bot.today()}
        bot.dispatch(
            IntendOrder(
                **when, order_id=order_id, bot_identity=bot.identity, instrument_id="XNYS:ALFA",
                symbol="ALFA", sleeve="trading", side="buy", order_type="market",
                quantity=D(quantity), strategy="OPEN", reason="test",
            ),
            RecordSubmission(**when, order_id=order_id),
            command_id=f"decide:{order_id}",
        )  # fmt: skip
        bot.views.catch_up()
        (view,) = [o for o in bot.views.orders.orders() if o.order_id == order_id]
        alpaca.broker.submit(
            OrderRequest(
                client_order_id=view.client_order_id, symbol="ALFA", side="buy",
                order_type="market", quantity=D(quantity),
            )
        )  # fmt: skip
        alpaca.trade("ALFA", quantity)

    return order


def activity(code: str, net: str, **more: str) -> dict[str, str]:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return {
        "id": f"20260302000000000::{code}", "activity_type": code, "date": today,
        "net_amount": net, "symbol": "ALFA",
    } | more  # fmt: skip


def tied(bot: Bot, alpaca: Any) -> bool:
    return bool(bot.views.books.broker_cash() == alpaca.books.cash.quantize(D("0.01")))


def test_an_account_is_taken_over_and_followed_to_the_cent(
    bot: Bot, alpaca: Any, buy: Callable[[str, str], None]
) -> None:
    assert reconcile(bot, None, "start").open_differences == ()
    assert bot.views.books.broker_cash() == D("100000.00")
    buy("one", "10")
    assert reconcile(bot, None, "reconnect").open_differences == ()
    alpaca.books.others = [
        activity("DIV", "12.34"), activity("DIVNRA", "-1.85"), activity("FEE", "-0.03"),
        activity("INT", "0.50"),
    ]  # fmt: skip
    alpaca.books.cash += D("12.34") - D("1.85") - D("0.03") + D("0.50")
    assert reconcile(bot, None, "schedule").open_differences == ()
    assert tied(bot, alpaca)
    assert bot.views.books.balance_of(bot.views.books.chart().mapping["withholding_tax"]) == D(
        "1.85"
    )


def test_fractions_of_a_cent_are_booked_as_rounding(
    bot: Bot, alpaca: Any, buy: Callable[[str, str], None]
) -> None:
    """Twelve trades of 12.34814… dollars: the broker rounds their sum, the books round each."""
    reconcile(bot, None, "start")
    for number in range(12):
        buy(f"o{number}", "0.123456789")
    done = reconcile(bot, None, "schedule")
    assert done.open_differences == ()
    assert "rounding of 12 trades" in done.repaired[-1]
    assert tied(bot, alpaca)


def test_money_that_is_no_rounding_stays_open(
    bot: Bot, alpaca: Any, buy: Callable[[str, str], None]
) -> None:
    reconcile(bot, None, "start")
    buy("one", "10")
    alpaca.books.cash -= D("0.05")
    (found,) = reconcile(bot, None, "schedule").open_differences
    assert (found.kind, found.amount) == ("cash", "-0.05")


def test_a_snapshot_that_is_missing_is_not_flat(
    bot: Bot, alpaca: Any, buy: Callable[[str, str], None]
) -> None:
    reconcile(bot, None, "start")
    buy("one", "10")
    reconcile(bot, None, "schedule")
    alpaca.lose_snapshot()
    done = reconcile(bot, None, "schedule")
    assert not done.known
    assert done.open_differences == ()
    assert done.why
    alpaca.server.calm()
    assert reconcile(bot, None, "reconnect").why == ""
