"""Which instrument a symbol means: the one that bears it now, whatever it was called before."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aggregates.instrument import Instrument, RegisterInstrument, instrument_id, instrument_stream
from aggregates.market import OptionContract
from aggregates.money import plain
from aggregates.plan_values import Plan
from projections.holdings_dividends import Names
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import NOW, AsOf
from runtime.bootstrap import Bot


def register(bot: Bot, symbols: Iterable[str]) -> None:
    """Instruments that the history does not know yet. One that was renamed is known."""
    exchange = bot.settings.EXCHANGE_CALENDAR
    for symbol in symbols:
        stream = instrument_stream(instrument_id(exchange, symbol))
        if bot.store.load(Instrument, stream).instrument_id:
            continue
        bot.views.catch_up_ledger()
        if bearer_of(bot.views.books, symbol):
            continue
        command = RegisterInstrument(
            at=bot.clock.now(),
            effective_date=bot.today(),
            symbol=symbol,
            name=symbol,
            kind="stock",
            currency=bot.settings.CURRENCY_CODE,
            exchange=exchange,
        )
        bot.dispatch(command, command_id=f"provision:instrument:{symbol}")


def register_option(bot: Bot, contract: OptionContract) -> None:
    """An option that the history does not know yet, with the multiplier that the broker tells."""
    exchange, symbol = bot.settings.EXCHANGE_CALENDAR, contract.symbol
    if bot.store.load(Instrument, instrument_stream(instrument_id(exchange, symbol))).instrument_id:
        return
    command = RegisterInstrument(
        at=bot.clock.now(),
        effective_date=bot.today(),
        symbol=symbol,
        name=f"{contract.underlying} {contract.right} {plain(contract.strike):f} {contract.expiry}",
        kind="option",
        currency=bot.settings.CURRENCY_CODE,
        exchange=exchange,
        multiplier=contract.multiplier,
    )
    bot.dispatch(command, command_id=f"register:option:{symbol}")


def bearer_of(books: LedgerQueries, symbol: str) -> str:
    """The id of the instrument that is called so now, the last one if there are more; else ""."""
    return _bearers(books).get(symbol, "")


def _bearers(books: LedgerQueries) -> dict[str, str]:
    """Instrument ids by the symbol that each bears now."""
    listed = sorted(books.listed().values(), key=lambda one: one.position)
    return {one.symbol: one.instrument_id for one in listed}


def id_of(bot: Bot, symbol: str) -> str:
    """For an order or a price of that symbol. Views must be caught up."""
    return ids_of(bot, [symbol])[symbol]


def ids_of(bot: Bot, symbols: Iterable[str]) -> dict[str, str]:
    """The same for several at once: the ledger is asked one time."""
    exchange, known = bot.settings.EXCHANGE_CALENDAR, _bearers(bot.views.books)
    return {symbol: known.get(symbol) or instrument_id(exchange, symbol) for symbol in symbols}


def as_named(plan: Plan, books: LedgerQueries, as_of: AsOf = NOW) -> Plan:
    """The plan with the symbols that its securities bear then; it may name them by older ones."""
    names, listed = Names(books, as_of), books.listed(as_of)

    def now(symbol: str) -> str:
        suffix = names.bearer(symbol, as_of.parameters[0])
        return listed[suffix].symbol if suffix else symbol

    securities = (msgspec.structs.replace(s, symbol=now(s.symbol)) for s in plan.securities)
    vehicle = now(plan.tax_vehicle) if plan.tax_vehicle else ""
    return msgspec.structs.replace(plan, securities=tuple(securities), tax_vehicle=vehicle)
