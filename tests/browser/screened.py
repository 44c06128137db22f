"""A universe and candidates on a provisioned bot, as its supervisor records them.

Loaded by the tests of the pages about them.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aggregates.screen import RecordCandidates, RecordUniverse, RecordUniverseKept
from runtime.screen_files import write_facts
from screeners.filters import Looked, counted
from screeners.port import Facts

D = Decimal
AT = datetime(2026, 3, 2, 14, 25, tzinfo=UTC)


def looked(symbol: str, price: str = "25.10", why: str = "", **more: Any) -> Looked:
    facts = {
        "exchange": "XNYS", "currency": "USD", "market_cap": D("4530123456"), "price": D(price),
        "shares_outstanding": D(180_000_000), "volume": D(2_250_000), "at": AT,
        "previous_close": D("24.60"),
    }  # fmt: skip
    return Looked(facts=Facts(symbol=symbol, **(facts | more)), why=why)


OPEN = [
    looked("ALFA"), looked("BRVO", "24.30", opening=D("24.20"), share_float=D(90_000_000)),
    looked("CHAR", "3.95", "price below MIN_PRICE 5"),
    looked("DELT", why="gap: not known", previous_close=None),
]  # fmt: skip


def candidates(trading: Any, strategy: str = "OPEN", rows: Any = None, **more: Any) -> None:
    """Recorded for the day of the desk."""
    rows = OPEN if rows is None else rows
    day = trading.bot.clock.now().date()
    own = {
        "source": "FINNHUB", "mode": "pre-market", "universe": None, "said": "",
        "symbols": tuple(r.facts.symbol for r in rows if not r.why), "rejected": counted(rows),
        "looked_at": len(rows), "facts": write_facts(trading.bot.folder, day, strategy, rows),
    }  # fmt: skip
    trading.do(RecordCandidates, strategy=strategy, **(own | more))


def universe(trading: Any, size: int = 250) -> None:
    """After the day of the desk: so many that pass, and 30 that do not."""
    rows = [looked(f"S{i:03d}", volume=D(9_000_000 - i)) for i in range(size)]
    small = "market capitalisation below SCREENER_UNIVERSE_MIN_MARKET_CAP 2,000,000,000"
    rows += [looked(f"T{i:03d}", why=small) for i in range(30)]
    day = trading.bot.clock.now().date()
    trading.do(
        RecordUniverse, source="FINNHUB", mode="after-hours", looked_at=len(rows),
        symbols=tuple(r.facts.symbol for r in rows if not r.why), rejected=counted(rows),
        facts=write_facts(trading.bot.folder, day, "universe", rows),
    )  # fmt: skip


def no_universe(trading: Any, reason: str) -> None:
    trading.do(RecordUniverseKept, source="FINNHUB", reason=reason)
