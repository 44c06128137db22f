"""Market data of Interactive Brokers: quotes and halts by a look at the ticks, bars of a minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ib_async.contract import Contract

from aggregates.market import MINUTE, Bar, IndexLevel, Quote
from brokers.ibkr_codes import HISTORY, NO_CONTRACT, NO_MARKET_DATA
from brokers.ibkr_contracts import IbkrContracts, routed
from brokers.ibkr_line import IbkrLine, believed, no_answer
from brokers.ibkr_link import Enough, Refused, Send
from brokers.ibkr_symbols import index
from brokers.ibkr_told import Told, Unreadable, WireBar
from config.clock import Clock

BID, ASK, LAST, LAST_AT, HALTED = 1, 2, 4, 45, 49
LIVE = 1  # the type of market data; every other is late or of yesterday
_TICKS = ("tick", "data_type", "snapshot_end")
_DAY = timedelta(days=1)


class Ticks:
    """What one look at the market told. ``value`` is None for what is not there."""

    def __init__(self, told: Sequence[Told]) -> None:
        self._ticks = {t.row.what: t.row for t in told if t.kind == "tick"}
        self.live = all(t.row == LIVE for t in told if t.kind == "data_type")
        self.over = any(t.kind == "snapshot_end" for t in told)

    def has(self, *whats: int) -> bool:
        return all(what in self._ticks for what in whats)

    def value(self, what: int) -> Decimal | None:
        return self._ticks[what].value if what in self._ticks else None

    def size(self, what: int) -> int:
        return int(self._ticks[what].size or 0)

    def bid_and_ask(self) -> tuple[Decimal, Decimal] | None:
        """None where there is no market: a side that is missing or not above 0, or crossed."""
        bid, ask = self.value(BID), self.value(ASK)
        if not self.live or bid is None or ask is None or bid <= 0 or bid > ask:
            return None
        return bid, ask


def until(*whats: int) -> Enough:
    """Until these ticks are there, or the look is over."""
    return lambda told: (ticks := Ticks(told)).over or ticks.has(*whats)


class IbkrData:
    """Nothing is subscribed to: each question looks at the market anew."""

    def __init__(self, line: IbkrLine, contracts: IbkrContracts, clock: Clock) -> None:
        self._line, self._contracts, self._clock = line, contracts, clock

    def quote(self, symbol: str) -> Quote | None:
        """As it is now: IBKR tells no time of a quote, so only live data counts."""
        ticks = self._look(symbol, until(BID, ASK))
        sides = ticks.bid_and_ask() if isinstance(ticks, Ticks) else None
        if sides is None or not isinstance(ticks, Ticks):
            return None
        return Quote(
            symbol=symbol, start=self._clock.now() - MINUTE, bid=sides[0], ask=sides[1],
            bid_size=ticks.size(BID), ask_size=ticks.size(ASK),
        )  # fmt: skip

    def halted(self, symbol: str) -> bool | None:
        """None where IBKR does not tell."""
        ticks = self._look(symbol, until(HALTED))
        value = ticks.value(HALTED) if isinstance(ticks, Ticks) else None
        return None if value is None or value < 0 else value > 0

    def fault(self, symbol: str) -> str:
        """Why there is no market data, in words; empty when there is."""
        found = self._look(symbol, until(LAST))
        if isinstance(found, Refused):
            return (
                f"IBKR gives no market data of {symbol} ({found}). Subscribe to it there, and end "
                "other sessions of the same user."
            )
        if found is None:
            return f"IBKR does not know {symbol}, by which its market data is tried."
        return "" if found.live else f"IBKR's market data of {symbol} is delayed; subscribe to it."

    def index(self, symbol: str) -> IndexLevel | None:
        """None without a time of its last level, too: it might be of yesterday."""
        found = self._contracts.ask(symbol, index(symbol))
        if len(found) != 1 or found[0].contract is None:
            return None
        ticks = self._watch(symbol, found[0].contract, until(LAST, LAST_AT))
        if not isinstance(ticks, Ticks) or not ticks.live:
            return None
        level, at = ticks.value(LAST), ticks.value(LAST_AT)
        if level is None or level <= 0 or not at:
            return None
        return IndexLevel(symbol=symbol, level=level, at=datetime.fromtimestamp(int(at), UTC))

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        until_ = min(end, self._clock.now())
        found = self._contracts.find(symbol)
        if until_ - start < MINUTE or len(found) != 1:
            return []
        rows = self._history(symbol, routed(found[0]), start, until_)
        made = believed(f"bars of {symbol}", lambda: [_bar(symbol, row) for row in rows])
        wanted = {bar.start: bar for bar in made if start <= bar.start and bar.end <= until_}
        return [wanted[at] for at in sorted(wanted)]

    def _history(
        self, symbol: str, contract: Contract, start: datetime, end: datetime
    ) -> list[WireBar]:
        span = end - start
        seconds = -(-span // timedelta(seconds=1))
        duration = f"{max(seconds, 60)} S" if span <= _DAY else f"{-(-span // _DAY)} D"
        wanted = (contract, f"{end:%Y%m%d-%H:%M:%S}", duration, "1 min", "TRADES", False, 2, False)
        what = f"bars of {symbol}"
        try:
            told = self._line.ask(
                what,
                lambda c, n: c.reqHistoricalData(n, *wanted, []),
                (),
                "bars",
            )
        except Refused as no:
            if no.error.code == HISTORY and "no data" in no.error.said.lower():
                return []
            raise no_answer(what, no) from None
        return list(told[-1].row)

    def _look(self, symbol: str, enough: Enough) -> Ticks | Refused | None:
        """None for a symbol that IBKR does not know, or knows twice."""
        found = self._contracts.find(symbol)
        return self._watch(symbol, routed(found[0]), enough) if len(found) == 1 else None

    def _watch(self, symbol: str, contract: Contract, enough: Enough) -> Ticks | Refused | None:
        what = f"the market of {symbol}"
        (told,) = self._line.watch(what, [snapshot(contract)], _TICKS, enough, unwatch)
        if not isinstance(told, Refused):
            return Ticks(told)
        if told.error.code in NO_MARKET_DATA:
            return told
        if told.error.code == NO_CONTRACT:
            return None
        raise no_answer(what, told)


def snapshot(contract: Contract) -> Send:
    return lambda c, n: c.reqMktData(n, contract, "", True, False, [])


def unwatch(client: Any, number: int) -> None:
    client.cancelMktData(number)


def _bar(symbol: str, row: WireBar) -> Bar:
    """One minute; refused where open or close lies outside low and high."""
    inside = 0 < row.low <= row.open <= row.high and row.low <= row.close <= row.high
    if not inside or row.volume < 0 or row.volume != int(row.volume):
        raise Unreadable("prices or volume of a bar")
    return Bar(
        symbol=symbol, start=row.start, open=row.open, high=row.high, low=row.low,
        close=row.close, volume=int(row.volume),
    )  # fmt: skip
