"""The opening-range strategy in backtrader: `python -m benchmarks.engine_backtrader MARKET`.

Run by the environment that holds backtrader. Prints the seconds of the run and the trades. Its
observers and analyzers are off, so nothing is kept of a run but what its broker needs.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt

from benchmarks import engine_core as core
from benchmarks.engine_files import keep_to_one_core, read_market
from benchmarks.engine_market import MINUTES, Market


class MemoryFeed(bt.feed.DataBase):
    """Rows that are in memory already, their times in backtrader's own numbers."""

    params = (("rows", ()),)

    def start(self) -> None:
        super().start()
        self._next_row = iter(self.p.rows)

    def _load(self) -> bool:
        row = next(self._next_row, None)
        if row is None:
            return False
        lines = self.lines
        (lines.datetime[0], lines.open[0], lines.high[0], lines.low[0], lines.close[0],
         lines.volume[0]) = row  # fmt: skip
        lines.openinterest[0] = 0.0
        return True


class OpeningRange(bt.Strategy):
    """One call a minute with the bars of all symbols; an order fills at the next bar's open."""

    def __init__(self) -> None:
        self.trades: list[core.Trade] = []
        self.fills = 0
        self._minute = -1
        self._feeds = [(data, data._name, data.high, data.low, data.close) for data in self.datas]

    def next(self) -> None:
        self._minute += 1
        number, minute = divmod(self._minute, MINUTES)
        if not minute:
            self._days = {name: core.SymbolDay() for _, name, *_ in self._feeds}
        for data, name, high, low, close in self._feeds:
            day = self._days[name]
            action = core.signal(day, minute, high[0], low[0], close[0])
            if action == "buy":
                size = core.shares(day, close[0], self.broker.getvalue(), self.broker.getcash())
                self.buy(data=data, size=size)
            elif action == "sell":
                self.sell(data=data, size=self.getposition(data).size)
                self.trades.append(core.Trade(number, name, day.bought or 0, minute + 1))

    def notify_order(self, order: Any) -> None:
        self.fills += order.status == order.Completed


def run(market: Market) -> dict[str, Any]:
    cerebro = bt.Cerebro(stdstats=False)
    for symbol, days in market.bars.items():
        rows = [
            (bt.date2num(datetime.fromtimestamp(opened, UTC) + timedelta(minutes=minute + 1)),
             *map(float, bar))
            for opened, bars in zip(market.opens, days, strict=True)
            for minute, bar in enumerate(bars)
        ]  # fmt: skip
        cerebro.adddata(MemoryFeed(rows=rows), name=symbol)
    cerebro.addstrategy(OpeningRange)
    cerebro.broker.setcash(core.CASH * 100.0)
    start = time.perf_counter()
    (ran,) = cerebro.run()
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "trades": ran.trades,
        "fills": ran.fills,
        "version": bt.__version__,
    }


if __name__ == "__main__":
    keep_to_one_core()
    print(json.dumps(run(read_market(Path(sys.argv[1])))))
