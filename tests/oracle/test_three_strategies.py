"""One simulated day with all three strategies, a bearish fill of each kind among their trades: the
ledger, the OFX file and hledger agree, and every decision is derived again."""

import csv
import io
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregates.inverse_etfs import MapInverseEtf
from aggregates.market import MINUTE, Bar, Quote
from brokers.simulated import SimulatedBroker
from config.calendar import SessionHours, TradingCalendar
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import demo_settings
from exporters.journal_names import code_of_hledger
from exporters.journals import hledger_journal
from exporters.ofx import export_ofx
from projections.ledger_records import AsOf
from runtime.bootstrap import Bot, provision
from runtime.queries import Queries
from runtime.supervisor import Supervisor

D = Decimal
DAY = date(2026, 3, 4)
CASH = D("100000.00")
SETTINGS = {
    "STRAT_MID_ENABLED": "true",
    "STRAT_CLOSE_ENABLED": "true",
    "WEIGHT_OPEN": "0.4",
    "WEIGHT_MID": "0.3",
    "WEIGHT_CLOSE": "0.3",
    "SHORT_TYPE_OPEN": "InverseETF",
    "SHORT_TYPE_MID": "LongPut",
    "SHORT_TYPE_CLOSE": "LongPut",
}
# Price in dollars from that minute of the session on; the noise of a few cents makes ranges.
PATHS: dict[str, dict[int, str]] = {
    "ALFA": {0: "100.00", 34: "101.00"},  # OPEN: strength
    "BEAR": {0: "20.00", 34: "20.20"},  # moves against BRVO
    "BRVO": {0: "100.00", 34: "99.00", 200: "99.60"},  # OPEN: weakness
    "CHRL": {0: "100.00", 172: "101.00", 200: "99.90"},  # MID: far above VWAP, then back
    "DELT": {0: "100.00", 305: "100.80", 322: "101.60"},  # CLOSE: momentum
}
NOISE = ("0.02", "-0.03", "0.00", "0.04", "-0.01")


class Scripted:
    """A market whose prices step as the table says, a hundred thousand shares a minute."""

    def __init__(self, hours: SessionHours) -> None:
        self._hours = hours
        self._bars = {symbol: list(self._made(symbol)) for symbol in PATHS}

    def _made(self, symbol: str) -> Iterator[Bar]:
        price = D(0)
        for minute in range(390):
            price = D(PATHS[symbol].get(minute, price))
            close = price + D(NOISE[minute % len(NOISE)])
            low, high = min(price, close) - D("0.01"), max(price, close) + D("0.01")
            yield Bar(
                symbol=symbol, start=self._hours.open + minute * MINUTE, open=price, high=high,
                low=low, close=close, volume=100_000,
            )  # fmt: skip

    def symbols(self) -> tuple[str, ...]:
        return tuple(PATHS)

    def days(self) -> tuple[date, ...]:
        return (DAY,)

    def bars(self, symbol: str, day: date) -> Sequence[Bar]:
        return self._bars[symbol] if day == DAY else ()

    def quotes(self, symbol: str, day: date) -> Sequence[Quote]:
        return [
            Quote(
                symbol=symbol, start=bar.start, bid=bar.close - D("0.01"), bid_size=5,
                ask=bar.close + D("0.01"), ask_size=5,
            )
            for bar in self.bars(symbol, day)
        ]  # fmt: skip

    def describe(self) -> str:
        return "scripted"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queries]:
    folder = DataFolder(tmp_path_factory.mktemp("three") / "bot")
    folder.simulated_broker.parent.mkdir(parents=True)
    calendar = TradingCalendar("XNYS", DAY - timedelta(days=14), DAY)
    (hours,) = calendar.sessions(DAY, DAY)
    market, clock = Scripted(hours), VirtualClock(hours.open - timedelta(days=1))
    broker = SimulatedBroker(
        folder.simulated_broker, market, clock, calendar, starting_cash=CASH, seed=1
    )
    bot = Bot(
        folder, demo_settings(SETTINGS), clock=clock, broker=broker, calendar=calendar,
        fresh_blind_key=bytes(32),
    )  # fmt: skip
    provision(bot, symbols=market.symbols(), deposit=CASH, at=clock.now(), demo=True)
    folder.vix.parent.mkdir(parents=True, exist_ok=True)
    folder.vix.write_text("at,level\n2026-03-03,27.40\n", encoding="utf-8")
    mapping = MapInverseEtf(
        at=clock.now(), effective_date=bot.today(), underlying="BRVO", etf="BEAR",
        leverage=D(1), reason="moves against it", seen=0,
    )  # fmt: skip
    bot.dispatch(mapping, command_id="map")
    candidates = tuple(symbol for symbol in PATHS if symbol != "BEAR")
    Supervisor(bot, candidates).run_session(hours)
    bot.close()
    queries = Queries(folder)
    yield queries
    queries.close()


def test_each_strategy_trades_and_each_kind_of_bearish_entry_fills(played: Queries) -> None:
    report = played.day(DAY)
    assert report is not None
    outcomes = {p.phase: p.change for p in report.phases if p.change.startswith("ended")}
    assert [outcomes[phase] for phase in ("open", "mid", "close")] == ["ended: flat"] * 3
    trips = {(t.strategy, t.symbol) for t in played.sources()[1].trades()}
    assert ("OPEN", "ALFA") in trips
    assert ("OPEN", "BEAR") in trips  # bought on the weakness of BRVO
    assert ("CLOSE", "DELT") in trips
    puts = {symbol for strategy, symbol in trips if strategy == "MID" and symbol[:4] == "CHRL"}
    assert len(puts) == 1
    assert re.fullmatch(r"CHRL2603\d\dP\d{8}|CHRL2604\d\dP\d{8}", puts.pop())


def test_every_decision_is_derived_again(played: Queries) -> None:
    replayed = played.replay_decisions()
    assert replayed.unequal == ()
    assert replayed.counts["bearish", "taken"] >= 2


def test_hledger_comes_to_the_same_balances(
    played: Queries, need_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    books, _ = played.sources()
    journal = tmp_path / "books.journal"
    journal.write_text(hledger_journal(books, as_of=AsOf()), encoding="utf-8")
    run = subprocess.run(
        [need_tool("hledger", "hledger"), "-f", str(journal), "balance", "-N", "--flat", "-O",
         "csv", "--cost"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(run.stdout)))
    theirs = {code_of_hledger(row["account"]): D(row["balance"].split()[0]) for row in rows}
    assert theirs == {b.code: b.amount for b in played.balances(AsOf()) if b.amount}
    assert theirs["1010"] != CASH


def test_ofxdump_reads_the_put_and_the_fund_and_the_sums_tie_out(
    played: Queries, need_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    text = export_ofx(*played.sources(), as_of=AsOf(), since=None, version=203)
    file = tmp_path / "statement.ofx"
    file.write_bytes(text)
    done = subprocess.run(
        [need_tool("ofxdump", "ofx"), file], capture_output=True, text=True, env={"TZ": "UTC"}
    )
    assert (done.returncode, "ERROR" in done.stderr) == (0, False)
    kinds = Counter(re.findall(r"<(BUYSTOCK|SELLSTOCK|BUYOPT|SELLOPT)>", text.decode()))
    trades = played.sources()[1].trades()
    puts = sum(len(trade.symbol) > 6 for trade in trades)
    assert kinds["BUYOPT"] == kinds["SELLOPT"] == puts == 1
    assert kinds["BUYSTOCK"] == len(trades) - puts
    moved = sum(D(total) for total in re.findall(r"<TOTAL>([-0-9.]+)", text.decode()))
    assert CASH + moved == played.sources()[0].broker_cash()
