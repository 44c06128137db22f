"""The opening-range strategy in nautilus_trader: `python -m benchmarks.engine_nautilus MARKET`.

Run by the environment that holds nautilus_trader. Prints the seconds of the run and the trades.
Its log and its analysis are off. Prices are counted in whole cents.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import nautilus_trader
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from benchmarks import engine_core as core
from benchmarks.engine_files import keep_to_one_core, read_market
from benchmarks.engine_market import MINUTES, Market

VENUE = Venue("MADE")
NANOS = 1_000_000_000


class OpeningRange(Strategy):  # type: ignore[misc]
    """One call a bar. A market order fills at once, at the close of the bar with the signal."""

    def __init__(self, bar_types: list[BarType]) -> None:
        super().__init__()
        self.trades: list[core.Trade] = []
        self.fills = 0
        self._bar_types = bar_types
        self._minutes = dict.fromkeys(bar_types, -1)
        self._days: dict[BarType, core.SymbolDay] = {}
        self._sizes: dict[BarType, Quantity] = {}

    def on_start(self) -> None:
        for bar_type in self._bar_types:
            self.subscribe_bars(bar_type)

    def on_bar(self, bar: Bar) -> None:
        bar_type = bar.bar_type
        seen = self._minutes[bar_type] = self._minutes[bar_type] + 1
        number, minute = divmod(seen, MINUTES)
        if not minute:
            self._days[bar_type] = core.SymbolDay()
        day = self._days[bar_type]
        close = float(bar.close)
        action = core.signal(day, minute, float(bar.high), float(bar.low), close)
        if action:
            self._order(action, bar_type, day, number, minute + 1, close)

    def _order(
        self,
        action: str,
        bar_type: BarType,
        day: core.SymbolDay,
        number: int,
        now: int,
        close: float,
    ) -> None:
        instrument_id = bar_type.instrument_id
        if action == "buy":
            # ALLOCATION leaves half of the cash unspent: what is free is never the least bound
            cash = float(self.portfolio.account(VENUE).balance_free(USD).as_double())
            size = Quantity.from_int(core.shares(day, close, core.CASH * 100.0, cash))
            self._sizes[bar_type] = size
        else:
            size = self._sizes[bar_type]
            self.trades.append(core.Trade(number, str(instrument_id.symbol), day.bought or 0, now))
        side = OrderSide.BUY if action == "buy" else OrderSide.SELL
        self.submit_order(self.order_factory.market(instrument_id, side, size))

    def on_order_filled(self, _: Any) -> None:
        self.fills += 1


def run(market: Market) -> dict[str, Any]:
    config = BacktestEngineConfig(
        trader_id=TraderId("BENCH-001"),
        logging=LoggingConfig(bypass_logging=True),
        run_analysis=False,
    )
    engine = BacktestEngine(config=config)
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=USD,
        starting_balances=[Money(core.CASH * 100, USD)],
    )
    bar_types: list[BarType] = []
    bars: list[Bar] = []
    for symbol, days in market.bars.items():
        instrument_id = InstrumentId(Symbol(symbol), VENUE)
        engine.add_instrument(_share(instrument_id))
        bar_types.append(BarType.from_str(f"{instrument_id}-1-MINUTE-LAST-EXTERNAL"))
        bars += _bars(bar_types[-1], market.opens, days)
    engine.add_data(sorted(bars, key=lambda bar: bar.ts_init))
    strategy = OpeningRange(bar_types)
    engine.add_strategy(strategy)
    start = time.perf_counter()
    engine.run()
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "trades": strategy.trades,
        "fills": strategy.fills,
        "version": nautilus_trader.__version__,
    }


def _share(instrument_id: InstrumentId) -> Equity:
    return Equity(
        instrument_id=instrument_id,
        raw_symbol=instrument_id.symbol,
        currency=USD,
        price_precision=0,
        price_increment=Price.from_int(1),
        lot_size=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
    )


def _bars(bar_type: BarType, opens: list[int], days: Any) -> Any:
    for opened, bars in zip(opens, days, strict=True):
        for minute, bar in enumerate(bars):
            end = (opened + 60 * (minute + 1)) * NANOS
            prices = map(Price.from_int, bar[:4])
            yield Bar(bar_type, *prices, Quantity.from_int(bar.volume), end, end)


if __name__ == "__main__":
    keep_to_one_core()
    print(json.dumps(run(read_market(Path(sys.argv[1])))))
