"""Prices that the long-term holdings are valued and ordered at.

Ordered at today's alone; valued at the last one where there is none today, for some sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from aggregates.chart_rules import SECURITY_ROLES
from aggregates.market import Quote
from aggregates.occ import occ_terms
from aggregates.session import Mark, MarkPrices
from brokers.port import BrokerError, BrokerUnavailable, KeysRefused
from config.calendar import SessionHours
from eventstore.errors import CommandConflict
from projections.holdings_prices import Prices
from projections.holdings_records import PriceThen
from projections.ledger_records import NOW
from runtime.bootstrap import Bot
from runtime.flatten import QUOTE_LIVES
from runtime.instruments import id_of


class DayPrice(NamedTuple):
    """The close of the last complete minute in which it traded today, which ended ``at``; of an
    option, which has few trades and at some brokers no bars, its bid."""

    price: Decimal
    at: datetime


class Quoted(NamedTuple):
    bid: Decimal
    ask: Decimal


def day_prices(
    bot: Bot, hours: SessionHours, symbols: Iterable[str], *, answered: bool = False
) -> dict[str, DayPrice]:
    """Of each symbol that has traded today; any other one has no price. Raises KeysRefused.

    ``answered``: a broker that does not answer raises BrokerUnavailable, and counts as no answer
    otherwise.
    """
    found = {}
    for symbol in sorted(set(symbols)):
        try:
            price = _day_price(bot, hours, symbol)
        except KeysRefused:
            raise
        except BrokerError as e:
            if answered and isinstance(e, BrokerUnavailable):
                raise
            continue
        if price is not None:
            found[symbol] = price
    return found


def _day_price(bot: Bot, hours: SessionHours, symbol: str) -> DayPrice | None:
    if occ_terms(symbol) is None:
        bars = bot.broker.bars(symbol, hours.open, bot.clock.now())
        return DayPrice(bars[-1].close, bars[-1].end) if bars else None
    quote = bot.broker.quote(symbol)
    return DayPrice(quote.bid, quote.end) if quote is not None and _counts(bot, quote) else None


def _counts(bot: Bot, quote: Quote) -> bool:
    return bot.clock.now() - quote.end <= QUOTE_LIVES and quote.bid > 0


def last_prices(bot: Bot) -> dict[str, PriceThen]:
    """Of each position that was ever marked or traded, its newest, per unit as units are counted
    now. Views must be caught up."""
    books = bot.views.books
    prices, mapping = Prices(books, bot.views.trading, NOW), books.chart().mapping
    mains = [mapping[role] for role in SECURITY_ROLES]
    found = {}
    for p in books.positions():
        suffix = p.code.partition(".")[2]
        then = prices.of(p.instrument_id, suffix, [f"{main}.{suffix}" for main in mains])
        if then is not None:
            found[p.symbol] = then
    return found


def quotes(bot: Bot, symbols: Iterable[str]) -> dict[str, Quoted]:
    """Of each symbol that was quoted within five minutes. Raises KeysRefused."""
    found = {}
    for symbol in sorted(set(symbols)):
        try:
            quote = bot.broker.quote(symbol)
        except KeysRefused:
            raise
        except BrokerError:
            continue
        if quote is not None and _counts(bot, quote):
            found[symbol] = Quoted(quote.bid, quote.ask)
    return found


def mark(bot: Bot, hours: SessionHours, occasion: str, prices: Mapping[str, DayPrice]) -> None:
    """Record them, so that the value can be rebuilt."""
    ids = {p.symbol: p.instrument_id for p in bot.views.books.positions()}
    day = hours.day
    marks = tuple(
        Mark(
            instrument_id=ids.get(symbol) or id_of(bot, symbol),
            symbol=symbol,
            price=found.price,
            at=found.at,
        )
        for symbol, found in sorted(prices.items())
    )
    with suppress(CommandConflict):
        if marks:
            bot.dispatch(
                MarkPrices(at=bot.clock.now(), effective_date=day, occasion=occasion, marks=marks),
                command_id=f"marks:{day}:{occasion}:{bot.clock.now():%H%M%S}",
                correlation=f"session-{day}",
            )
    bot.views.catch_up()
