"""Prices as events: what market values and the equity curve are rebuilt from."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from aggregates.market import Quote
from aggregates.session import Mark, MarkPrices
from brokers.port import Broker, BrokerError
from eventstore.errors import CommandConflict
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.instruments import ids_of


def quote_of(broker: Broker, symbol: str) -> Quote | None:
    """None for a symbol that the broker does not know, and when it does not answer."""
    with suppress(BrokerError):
        return broker.quote(symbol)
    return None


def quote_held(broker: Broker, desk: Desk) -> None:
    """What is worth its bid is asked for it; while there is none, the last one stands."""
    for symbol in sorted(desk.quoted()):
        if (quote := quote_of(broker, symbol)) is not None:
            desk.quotes[symbol] = quote


def mark_prices(
    bot: Bot, desk: Desk, now: datetime, occasion: str, symbols: Iterable[str] | None = None
) -> None:
    """Record the last known price of what is held or on order, or of ``symbols``.

    A symbol that has not traded today gets no mark: a missing price is never filled in.
    """
    wanted = sorted(desk.symbols if symbols is None else symbols)
    ids = ids_of(bot, wanted)
    marks = tuple(
        Mark(instrument_id=ids[symbol], symbol=symbol, price=known[0], at=known[1])
        for symbol in wanted
        if (known := desk.last_known(symbol)) is not None
    )
    day = desk.hours.day
    # marked before a restart, with the bars that were known then: the first marks stand
    with suppress(CommandConflict):
        if marks:
            bot.dispatch(
                MarkPrices(at=now, effective_date=day, occasion=occasion, marks=marks),
                command_id=f"marks:{day}:{occasion}:{now:%H%M}",
                correlation=f"session-{day}",
            )
