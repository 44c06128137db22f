"""From the end of a minute, when its bar and quote are there, to the order on the wire.

In one process, with the broker's ``submit`` as the wire. An order of a minute in which several are
due waits for those before it: their decision, intent, submission and answer, each on disk. What the
broker itself takes for those is not counted: that is the other side's disk, not our way to it.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from aggregates.order_messages import OrderSubmitted
from benchmarks.engine import SEED, SYMBOLS, session_opens
from benchmarks.engine_market import made_market
from benchmarks.engine_ours import Engine, engine_settings
from benchmarks.measure import Progress, Spread
from benchmarks.report import Row, Section
from brokers.port import BrokerOrder, OrderRequest
from brokers.simulated import SimulatedBroker
from config.clock import VirtualClock

MINUTES = {"OPEN_ANALYSIS_TIME": "5", "OPEN_BREAKOUT_TIME": "30", "OPEN_MONITORING_TIME": "10"}
LONG_ENOUGH = 60  # minutes of a day that is over after 45


class StampingClock(VirtualClock):
    """Keeps when, by the machine's clock, the last wait was over: a new bar is there."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.woken = 0.0

    def wait_until(self, moment: datetime) -> None:
        super().wait_until(moment)
        self.woken = time.perf_counter()


class TimedBroker(SimulatedBroker):
    """Keeps how long each order took to come here, in milliseconds."""

    def __init__(
        self, file: Path, market: Any, clock: StampingClock, *rest: Any, **more: Any
    ) -> None:
        super().__init__(file, market, clock, *rest, **more)
        self._stamps, self.took = clock, list[float]()
        self._events = file.parent.parent / "storage" / "events.db"

    def submit(self, request: OrderRequest) -> BrokerOrder:
        came = time.perf_counter()
        self.took.append(1_000 * (came - self._stamps.woken))
        self._check_recorded()
        try:
            return super().submit(request)
        finally:
            self._stamps.woken += time.perf_counter() - came

    def _check_recorded(self) -> None:
        """Intent and submission, as another connection sees the store; not part of the time."""
        reader = sqlite3.connect(f"file:{self._events}?mode=ro", uri=True)
        (topic,) = reader.execute(
            "SELECT topic FROM stored_events ORDER BY position DESC LIMIT 1"
        ).fetchone()
        reader.close()
        assert topic == OrderSubmitted.topic, "an order came before its record was on disk"


def measure_wire(folder: Path, days: int, rounds: int, progress: Progress) -> Section:
    """Orders of ``days`` short sessions in each round."""
    middle, worst, orders = [], [], 0
    for number in range(1, rounds + 1):
        progress(f"orders on the wire, round {number} of {rounds}")
        market = made_market(SEED, SYMBOLS, session_opens(days), LONG_ENOUGH)
        engine = Engine(
            folder / "wire", market, engine_settings(MINUTES), StampingClock, TimedBroker
        )
        engine.play()
        took, orders = engine.broker.took, orders + len(engine.broker.took)
        engine.close()
        shutil.rmtree(folder / "wire")
        middle.append(statistics.median(took))
        worst.append(statistics.quantiles(took, n=100)[-1])
    return Section(
        f"From quote to wire, {orders:,} orders of {SYMBOLS} symbols, their intents on disk",
        [
            Row("median", Spread.of(middle), unit="ms"),
            Row("99 %", Spread.of(worst), unit="ms", aim="< 20 ms, then 5"),
        ],
    )
