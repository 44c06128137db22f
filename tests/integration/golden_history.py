"""The newest chapter of the golden history: what was added to it last, by public commands.

Only the newest chapter is here. Earlier ones are files in tests/golden/events, which are never made
again. The README there says when a new chapter begins.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from aggregates.base import Command
from aggregates.capital import KEPT_FOR, RecordWithdrawal, payout_words
from aggregates.order_messages import IntendOrder, RecordFill
from runtime.dispatch import Dispatcher

CHAPTER = 5
SOFTWARE = "0.1.0"  # what wrote this chapter
OPENED = datetime(2025, 4, 14, 14, 30, tzinfo=UTC)  # the store's clock when the chapter begins
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
    payouts(Scribe(dispatch))


def payouts(s: Scribe) -> None:
    """Of each reserve, confirmed; and from the float, where nobody is asked."""
    s.day("2025-04-14")
    for purse, purpose in KEPT_FOR.items():
        s.money(
            f"pay-{purse}", RecordWithdrawal, "10.25", purse=purse, purpose=purpose,
            confirmed=payout_words(D("10.25"), "USD"),
        )  # fmt: skip
    s.money("draw-of-the-float", RecordWithdrawal, "20.00")
