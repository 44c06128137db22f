"""The newest chapter of the golden history: every kind of event, by public commands.

Only the newest chapter is here. Earlier ones are files in tests/golden/events, which are never made
again. The README there says when a new chapter begins.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from aggregates.base import Command
from aggregates.capital import RecordRounding, RecordWithholding
from aggregates.control import (
    AnswerControl,
    LatchKill,
    RecordKillStep,
    RequestControl,
    ResetKill,
    StartKill,
)
from aggregates.order_messages import IntendOrder, RecordFill
from aggregates.reconciliation import (
    AcceptDifference,
    Difference,
    RecordComparison,
    RecordDifferences,
    RecordNotKnown,
)
from runtime.dispatch import Dispatcher

CHAPTER = 3
SOFTWARE = "0.1.0"  # what wrote this chapter
OPENED = datetime(2025, 3, 10, 14, 30, tzinfo=UTC)  # the store's clock when the chapter begins
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
        own = {"sleeve": "trading", "order_type": "market", "strategy": "OPEN"}
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
    starts_and_stops(s)
    a_kill(s)
    money_of_the_broker(s)
    differences_with_the_broker(s)


def starts_and_stops(s: Scribe) -> None:
    """Asked for and answered, by a page and by a file."""
    s.day("2025-03-10")
    for action, source in (("stop", "page"), ("start", "flag")):
        s.do(f"ask-{action}", RequestControl, action=action, source=source, reason="“test”")
        s.do(f"answer-{action}", AnswerControl, action=action, effect=f"done at the {action}")


def a_kill(s: Scribe) -> None:
    """Every step of two kills: one that leaves something, one that is flat."""
    s.day("2025-03-11")
    s.do("ask-kill", RequestControl, action="kill", source="page", reason="typed: KILL")
    for number, left in ((1, ("SPY 3: halted", "o-9 is accepted")), (2, ())):
        s.do(f"kill-{number}", StartKill, source="loss", reason="the day's loss is 0.05")
        for step in ("entries_blocked", "orders_cancelled", "positions_sold"):
            s.do(f"kill-{number}-{step}", RecordKillStep, step=step, detail="done", left=left)
        s.do(f"kill-{number}-latch", LatchKill, flat=not left, left=left)
        s.do(f"kill-{number}-reset", ResetKill, reason="“looked at”")


def money_of_the_broker(s: Scribe) -> None:
    s.day("2025-03-12")
    s.money("tax-withheld", RecordWithholding, "1.85", symbol="SPY")
    s.money("rounding-lost", RecordRounding, "0.01", gained=False)
    s.money("rounding-gained", RecordRounding, "0.02", gained=True)


def differences_with_the_broker(s: Scribe) -> None:
    """Found, changed, accepted, gone; a broker that says nothing; comparisons with and without."""
    s.day("2025-03-13")
    fields = ("difference_id", "kind", "subject", "ours", "theirs", "amount", "known", "to_do")
    cash = ("cash:USD", "cash", "USD", "10.00", "9.00", "-1.00", "“nothing”", "look")
    units = ("stranger_position:SPY", "stranger_position", "SPY", "3", "5", "2", "x", "sell")
    one, other = (Difference(**dict(zip(fields, d, strict=True))) for d in (cash, units))
    schedule = {"occasion": "schedule"}
    s.do("found", RecordDifferences, differences=(one, other), **schedule)
    accepted = {"difference_id": "cash:USD", "amount": "-1.00"}
    s.do("accepted", AcceptDifference, reason="a fee that comes “later”", **accepted)
    s.do("gone", RecordDifferences, differences=(one,), **schedule)
    s.do("not-known", RecordNotKnown, reason="no answer", occasion="reconnect")
    s.do("known-again", RecordDifferences, differences=(one,), occasion="reconnect")
    for name, occasion, repaired, still_open in (
        ("start", "start", (), ()), ("news", "schedule", ("fill x",), ("cash:USD",)),
    ):  # fmt: skip
        s.do(
            f"compared-{name}", RecordComparison, occasion=occasion, our_cash=D("10.00"),
            broker_cash=D("9"), repaired=repaired, still_open=still_open,
        )  # fmt: skip
