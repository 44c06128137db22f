"""What is bought on weakness, strictly by SHORT_TYPE_*: facts from broker and history (M11)."""

from __future__ import annotations

from datetime import datetime, timedelta

from aggregates.inverse_etfs import STREAM, InverseEtfs
from brokers.port import BrokerUnavailable
from runtime.bootstrap import Bot
from runtime.desk import Desk
from runtime.instruments import register, register_option
from runtime.marks import quote_of
from strategies.bearish import Instrument, NoInstrument, inverse_etf, long_put
from strategies.installed import short_type
from strategies.protocol import Signal


class BearishChoice:
    """Of one strategy in one session."""

    def __init__(self, bot: Bot, desk: Desk, strategy: str) -> None:
        self._bot, self._desk = bot, desk
        self._type = short_type(bot.settings, strategy)

    @property
    def disabled(self) -> bool:
        # SHORT_TYPE_…=disabled: weakness is judged and recorded, and nothing is bought on it.
        return self._type == "disabled"

    def choose(self, signal: Signal, now: datetime) -> Instrument | NoInstrument:
        """Never a guess: what is not known, or is at work already, is no instrument."""
        # SHORT_TYPE_…=InverseETF: the mapped fund is bought; LongPut: a put out of the chain.
        found = self._fund(signal, now) if self._type == "InverseETF" else self._put(signal, now)
        if isinstance(found, Instrument) and self._at_work(found.symbol):
            reason = f"{found.symbol} is held, on order or was carried over already"
            return NoInstrument(reason=reason, inputs=found.inputs)
        return found

    def _at_work(self, symbol: str) -> bool:
        """One holding has one reason: it would not be known whose weakness ends it."""
        return symbol in self._desk.symbols | self._desk.carried

    def _fund(self, signal: Signal, now: datetime) -> Instrument | NoInstrument:
        mapped = self._bot.store.load(InverseEtfs, STREAM).of(signal.symbol)
        quote = None if mapped is None else quote_of(self._bot.broker, mapped.etf)
        found = inverse_etf(signal, mapped, quote, now)
        if isinstance(found, Instrument):
            register(self._bot, [found.symbol])
        return found

    def _put(self, signal: Signal, now: datetime) -> Instrument | NoInstrument:
        settings, day = self._bot.settings, self._desk.hours.day
        first = day + timedelta(days=settings.PUT_MIN_EXPIRY_DAYS)
        last = day + timedelta(days=settings.PUT_MAX_EXPIRY_DAYS)
        try:
            chain = self._bot.broker.option_chain(signal.symbol, first, last)
        except BrokerUnavailable as e:
            return NoInstrument(reason=f"the broker gave no chain of puts: {e}", inputs={})
        found = long_put(signal, chain, settings, now, day)
        if isinstance(found, Instrument):
            contract = next(c for c in chain if c.symbol == found.symbol)
            register_option(self._bot, contract)
        return found
