"""Instruments that the history does not know yet."""

from __future__ import annotations

from collections.abc import Iterable

from aggregates.instrument import Instrument, RegisterInstrument, instrument_id, instrument_stream
from runtime.bootstrap import Bot


def register(bot: Bot, symbols: Iterable[str]) -> None:
    """Instruments that the history does not know yet."""
    exchange = bot.settings.EXCHANGE_CALENDAR
    for symbol in symbols:
        stream = instrument_stream(instrument_id(exchange, symbol))
        if bot.store.load(Instrument, stream).instrument_id:
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
