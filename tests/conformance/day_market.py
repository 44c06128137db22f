"""The market of a day at the fake Alpaca, and the clock that plays it while somebody waits."""

import heapq
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from config.clock import VirtualClock

D = Decimal
MINUTE = timedelta(minutes=1)


class PlayedClock(VirtualClock):
    """Waiting plays what was put ``at`` moments in between, in order. Nothing that was sent is
    still on the wire then: ``quiet`` returns when the server has it."""

    def __init__(self, start: datetime, quiet: Callable[[], None]) -> None:
        super().__init__(start)
        self._quiet = quiet
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._put = 0

    def at(self, moment: datetime, do: Callable[[], None]) -> None:
        self._put += 1
        heapq.heappush(self._events, (moment, self._put, do))

    def wait_until(self, moment: datetime) -> None:
        self._quiet()
        while self._events and self._events[0][0] <= moment:
            at, _, do = heapq.heappop(self._events)
            super().wait_until(at)
            do()
        super().wait_until(moment)


class PlayedMarket:
    """Puts the bars, quotes and trades of one session on the clock of ``books`` and ``server``."""

    def __init__(self, clock: PlayedClock, books: Any, server: Any, rng: random.Random) -> None:
        self._clock, self._books, self._server, self._rng = clock, books, server, rng

    def play(self, market: Any, hours: Any) -> None:
        """``market`` is a SmallMarket. At the close the day orders end."""
        opens, close = hours.open, hours.close
        for symbol in market.symbols():
            bars = {bar.start: bar for bar in market.bars(symbol, hours.day)}
            quotes = {quote.end: quote for quote in market.quotes(symbol, hours.day)}
            for now in (opens + n * MINUTE for n in range((close - opens) // MINUTE + 1)):
                over = self._minute_over(symbol, bars.get(now - MINUTE), quotes.get(now))
                self._clock.at(now, over)
                if now in bars:
                    self._trades(symbol, now, bars[now].volume // 10)
        self._clock.at(close, self._books.expire)
        self._server.quotes["SPY"] = _quote(opens - MINUTE, D("99.98"), D("100.02"))

    def _minute_over(self, symbol: str, bar: Any, quote: Any) -> Callable[[], None]:
        """Its bar is there, and the quote at its end."""

        def tell() -> None:
            if bar is not None:
                self._server.bars.setdefault(symbol, []).append(_bar(bar))
            if quote is not None:
                self._books.prices[symbol] = quote.bid, quote.ask
                self._server.quotes[symbol] = _quote(quote.end, quote.bid, quote.ask)

        return tell

    def _trades(self, symbol: str, minute: datetime, shares: int) -> None:
        """A tenth of what a bar trades meets our orders, in up to three parts."""
        for part in range(parts := self._rng.choice((1, 2, 3))):
            at = minute + timedelta(seconds=self._rng.uniform(part * 20, part * 20 + 20))
            self._clock.at(at, lambda: self._books.trade(symbol, str(max(shares // parts, 1))))


def _bar(bar: Any) -> dict[str, Any]:
    return {
        "t": f"{bar.start:%Y-%m-%dT%H:%M:%SZ}", "o": float(bar.open), "h": float(bar.high),
        "l": float(bar.low), "c": float(bar.close), "v": bar.volume, "n": 9, "vw": 1.5,
    }  # fmt: skip


def _quote(at: datetime, bid: Decimal, ask: Decimal) -> dict[str, Any]:
    return {
        "t": f"{at:%Y-%m-%dT%H:%M:%S.%f}789Z", "ax": "V", "ap": float(ask), "as": 3, "bx": "V",
        "bp": float(bid), "bs": 2, "c": ["R"], "z": "C",
    }  # fmt: skip
