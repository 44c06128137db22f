"""Reversals through the bot: refused when units would be short, re-costed and known when."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from aggregates.capital import RecordDeposit
from aggregates.errors import DomainError
from brokers.port import Broker
from config.calendar import TradingCalendar
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import demo_settings
from projections.ledger_records import AsOf
from runtime.bootstrap import Bot
from runtime.corrections import reverse_entry
from runtime.demo import plan_of, play

LATER = datetime(2026, 3, 9, 15, 0, tzinfo=UTC)


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Bot]:
    """A demo week, and its bot the Monday after; corrections never talk to a broker."""
    folder = DataFolder(tmp_path / "demo")
    plan = plan_of(None, None, None, (), seed=1)
    play(folder, plan, lambda *_: None)
    found = Bot(
        folder,
        demo_settings(),
        clock=VirtualClock(LATER),
        broker=cast(Broker, None),
        calendar=TradingCalendar("XNYS", plan.first, plan.last),
        fresh_blind_key=b"",
    )
    yield found
    found.close()


def fills(bot: Bot, side: str) -> list[Any]:
    rows = bot.views.feed.page(topics=("Order.Filled",), text=f'"side":"{side}"')
    return [row.position for row in rows]


def test_a_sale_reversed_gives_the_units_back_and_the_past_stays_known(bot: Bot) -> None:
    sale = fills(bot, "sell")[0]
    before = bot.store.head().position
    cash_then = bot.views.books.balance_of("1010")
    reverse_entry(bot, sale, "the broker withdrew this execution")
    held = bot.views.books.positions()
    assert len(held) == 1
    assert held[0].quantity > 0
    assert bot.views.books.balance_of("1010") < cash_then
    assert bot.views.books.balance_of("1010", AsOf(position=before)) == cash_then
    trial = bot.views.books.trial_balance()
    assert trial.debits == trial.credits


def test_a_purchase_that_was_sold_since_cannot_be_reversed_alone(bot: Bot) -> None:
    head = bot.store.head()
    with pytest.raises(DomainError, match="units would be negative"):
        reverse_entry(bot, fills(bot, "buy")[0], "wrong price")
    assert bot.store.head() == head


def test_a_deposit_is_corrected_by_reversal_and_replacement_in_one_batch(bot: Bot) -> None:
    deposit = bot.views.feed.page(topics=("Capital.Deposited",))[0]
    before = bot.store.head().position
    replacement = RecordDeposit(
        at=LATER,
        effective_date=date(2026, 2, 27),
        reference="opening-deposit-corrected",
        currency="USD",
        amount=Decimal("100000.50"),
        reason="the bank's statement says so",
    )
    done = reverse_entry(bot, deposit.position, "amount was mistyped", replacement)
    assert done.positions == [before + 1, before + 2]
    assert bot.views.books.balance_of("3010") == Decimal("-100000.50")
    assert bot.views.books.balance_of("3010", AsOf(position=before)) == Decimal("-100000.00")


def test_a_decision_is_no_entry(bot: Bot) -> None:
    decided = bot.views.feed.page(topics=("Session.Decided",), limit=1)[0].position
    with pytest.raises(DomainError, match="posted no entry"):
        reverse_entry(bot, decided, "why not")


def test_the_same_entry_twice(bot: Bot) -> None:
    sale = fills(bot, "sell")[0]
    first = reverse_entry(bot, sale, "withdrawn")
    again = reverse_entry(bot, sale, "withdrawn")
    assert again.positions == first.positions


def test_an_amount_in_another_currency_is_refused_before_it_is_recorded(bot: Bot) -> None:
    """Recorded, it would stop the ledger for good: nothing that is recorded can be taken back."""
    head = bot.store.head()
    deposit = RecordDeposit(
        at=LATER,
        effective_date=date(2026, 3, 9),
        reference="euro",
        currency="EUR",
        amount=Decimal("10.00"),
        reason="wired from abroad",
    )
    with pytest.raises(DomainError, match="kept in USD"):
        bot.dispatch(deposit, command_id="euro")
    assert bot.store.head() == head
