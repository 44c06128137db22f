"""Books beside the broker: the purses are its cash, to the cent, after every step."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from aggregates.errors import TradeBotError
from aggregates.reconciliation import STREAM, Reconciliation
from brokers.port import BrokerUnavailable, OutcomeUnknown
from runtime.bootstrap import Bot
from runtime.cash_rounding import in_minor_units
from runtime.purses import Reserves, purses_of
from runtime.reconciliation import Reconciled, reconcile


class HoldingsStopped(TradeBotError):
    """The day's work on the long-term holdings cannot go on now; what was done stays done."""


class CashCheck:
    """``compare`` is a comparison of books and broker; it books what it can explain."""

    def __init__(self, bot: Bot, compare: Callable[[], Reconciled] | None = None) -> None:
        self._bot = bot
        self._compare = compare or (lambda: reconcile(bot, None, "schedule"))

    def look(self, after: str) -> Reserves:
        """The purses, which add up to the broker's cash. Raises HoldingsStopped when they do not,
        or when units differ, and nothing explains it."""
        bot = self._bot
        bot.views.catch_up_ledger()
        if not self._equal() or bot.store.load(Reconciliation, STREAM).entries_blocked:
            compared = self._compare()
            bot.views.catch_up()
            if compared.why:
                raise HoldingsStopped(
                    f"{after}: {compared.why}. What was done stays done; nothing more is done with "
                    "the long-term holdings before the difference is resolved."
                )
        return purses_of(bot.views.books)

    def _equal(self) -> bool:
        try:
            cash = in_minor_units(self._bot, self._bot.broker.account().cash)
        except (BrokerUnavailable, OutcomeUnknown) as e:
            raise HoldingsStopped(
                f"the broker does not say what cash there is: {e} What was done stays done; "
                "nothing more is done with the long-term holdings before it answers."
            ) from None
        return cash == self._bot.views.books.broker_cash()


def balances_of(purses: Reserves) -> dict[str, str]:
    """As text, by purse."""
    return {name: f"{value:f}" for name, value in msgspec.structs.asdict(purses).items()}
