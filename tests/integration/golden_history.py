"""The newest chapter of the golden history: what was added to it last, by public commands.

Only the newest chapter is here. Earlier ones are files in tests/golden/events, which are never made
again. The README there says when a new chapter begins.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from aggregates.base import Command
from aggregates.blocklist import BlockSymbol, UnblockSymbol
from aggregates.control import SwitchDefense
from aggregates.instrument import RegisterInstrument
from aggregates.inverse_etfs import MapInverseEtf, UnmapInverseEtf
from aggregates.order_messages import IntendOrder, RecordFill
from aggregates.reconciliation import Difference, RecordDifferences
from aggregates.screen import RecordCandidates, RecordUniverse, RecordUniverseKept, Rejected
from runtime.dispatch import Dispatcher

CHAPTER = 6
SOFTWARE = "0.1.0"  # what wrote this chapter
OPENED = datetime(2025, 6, 2, 14, 30, tzinfo=UTC)  # the store's clock when the chapter begins
IDENTITY = "DEMO_USA_SIM_01"
D = Decimal


class Scribe:
    """Sends commands under readable ids, which name the files; gives the last event's position."""

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch
        self._day = ""

    def head(self) -> int:
        return self._dispatch.store.head().position

    def day(self, day: str) -> None:
        self._day = day

    def make(self, kind: type, /, at: str = "15:00", on: str = "", **fields: Any) -> Command:
        moment = datetime.fromisoformat(f"{self._day} {at}").replace(tzinfo=UTC)
        made: Command = kind(
            at=moment, effective_date=date.fromisoformat(on or self._day), **fields
        )
        return made

    def send(self, name: str, *commands: Command, thread: str = "", cause: str = "") -> int:
        done = self._dispatch(
            *commands, command_id=f"{CHAPTER}:{name}", correlation=thread, causation=cause
        )
        return done.positions[-1]

    def do(self, name: str, kind: type, /, **fields: Any) -> int:
        return self.send(name, self.make(kind, **fields))

    def money(self, name: str, kind: type, amount: str, /, **fields: Any) -> int:
        return self.do(
            name, kind, reference=name, currency="USD", amount=D(amount), reason=f"golden {name}",
            **fields,
        )  # fmt: skip

    def intent(self, order: str, symbol: str, side: str, quantity: str, **fields: Any) -> Command:
        own = {"sleeve": "trading", "order_type": "market", "strategy": "OPEN", "held": D(quantity)}
        return self.make(
            IntendOrder, order_id=order, bot_identity=IDENTITY, side=side, symbol=symbol,
            instrument_id=f"XNYS:{symbol}", quantity=D(quantity), reason="golden", **(own | fields),
        )  # fmt: skip

    def report(
        self, order: str, quantity: str, price: str, *, part: int = 1, net: str | None = None,
        commission: str = "0", fees: str = "0", **circumstances: Any,
    ) -> Command:  # fmt: skip
        return self.make(
            RecordFill, order_id=order, execution_id=f"x-{order}-{part}", quantity=D(quantity),
            price=D(price), currency="USD", commission=D(commission), fees=D(fees),
            net_amount=None if net is None else D(net), settles_on=date(2024, 1, 5),
            **circumstances,
        )  # fmt: skip

    def trade(
        self, name: str, symbol: str, side: str, quantity: str, price: str, *, on: str = "",
        costs: Any = (), **terms: Any,
    ) -> int:  # fmt: skip
        """An order and its one fill in one batch; the position is the fill's."""
        intent = self.intent(name, symbol, side, quantity, on=on, **terms)
        return self.send(name, intent, self.report(name, quantity, price, on=on, **dict(costs)))


def write(dispatch: Dispatcher) -> None:
    """The whole chapter."""
    s = Scribe(dispatch)
    s.day("2025-06-02")
    defense(s)
    screens(s)
    bearish(s)


def defense(s: Scribe) -> None:
    """Defense mode by hand, on and off."""
    s.do("defense-on", SwitchDefense, active=True, reason="golden nerves")
    s.do("defense-off", SwitchDefense, active=False, reason="golden calm")


def screens(s: Scribe) -> None:
    """No universe, one, candidates with and without one, and a symbol blocked for a while."""
    s.do("universe-kept", RecordUniverseKept, source="FINNHUB", reason="golden silence")
    low = Rejected(why="price below SCREENER_UNIVERSE_MIN_PRICE 5", count=2, symbols=("KO", "T"))
    none = {"source": "FINNHUB", "symbols": (), "looked_at": 0, "rejected": (), "facts": "0" * 64}
    some = none | {"symbols": ("SPY", "QQQ"), "looked_at": 4, "rejected": (low,)}
    s.do("universe", RecordUniverse, mode="after-hours", **some)
    s.day("2025-06-03")
    on = {"strategy": "OPEN", "mode": "pre-market", "universe": date(2025, 6, 2), "said": ""}
    s.do("candidates", RecordCandidates, **some, **on)
    late = {"strategy": "MID", "mode": "intraday", "universe": None, "said": "golden emptiness"}
    s.do("no-candidates", RecordCandidates, **none, **late)
    s.do("blocked", BlockSymbol, symbol="KO", reason="golden caution", seen=0)
    s.do("unblocked", UnblockSymbol, symbol="KO", reason="golden trust", seen=1)


def bearish(s: Scribe) -> None:
    """An inverse ETF mapped, changed and removed; a put that is adjusted, and that expires."""
    mapped = {"underlying": "SPY", "reason": "golden prospectus"}
    s.do("mapped", MapInverseEtf, etf="SH", leverage=D(1), seen=0, **mapped)
    s.do("mapped-again", MapInverseEtf, etf="SPXU", leverage=D(3), seen=1, **mapped)
    s.do("unmapped", UnmapInverseEtf, seen=2, **mapped)
    put = "SPY250613P00590000"
    s.do(
        "put", RegisterInstrument, symbol=put, name="SPY put 590 2025-06-13", kind="option",
        currency="USD", exchange="XNYS", multiplier=100,
    )  # fmt: skip
    s.trade(
        "put-bought", put, "buy", "2", "3.05", costs={"commission": "1.00"},
        order_type="limit", limit_price=D("3.05"), context="correction",
    )  # fmt: skip
    changed = Difference(
        difference_id=f"option_changed:{put}", kind="option_changed", subject=put,
        ours="2 contracts of 100", theirs="contracts of 150, adjusted", amount="150 adjusted",
        known="golden merger", to_do="golden care",
    )  # fmt: skip
    s.do("put-changed", RecordDifferences, occasion="start", differences=(changed,))
    s.do("put-as-it-was", RecordDifferences, occasion="start", differences=())
    s.day("2025-06-16")
    s.trade("put-expired", put, "sell", "2", "0", on="2025-06-13", context="expiry",
            costs={"net": "0"})  # fmt: skip
