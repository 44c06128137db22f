"""Interactive Brokers' adapter against its fake gateway, over real sockets."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from beside import beside
from msgspec.structs import replace

from aggregates.market import MINUTE
from brokers.ibkr import IbkrBroker
from brokers.ibkr_link import Access
from brokers.port import ApiAction, BrokerOrder, OrderRequest

rigs = beside("conformance/rigs")
gateway, fake_books = beside("fakes/ibkr_gateway"), beside("fakes/ibkr_books")
D = Decimal
TIMEOUT_S = 1.0
ORDER_KINDS = (
    "mute_before", "mute_after", "late", "reset_before", "reset_after", "garbled_after", "no_end",
    "cut_after",
)  # fmt: skip


class Timeless(IbkrBroker):
    """Its orders without times: IBKR tells none, so they are the process's own, and after a restart
    they are others."""

    def submit(self, request: OrderRequest) -> BrokerOrder:
        return timeless(super().submit(request))

    def order(self, client_order_id: str) -> BrokerOrder | None:
        found = super().order(client_order_id)
        return found and timeless(found)

    def open_orders(self) -> list[BrokerOrder]:
        return [timeless(order) for order in super().open_orders()]


def timeless(order: BrokerOrder) -> BrokerOrder:
    epoch = datetime.fromtimestamp(0, UTC)
    return replace(order, submitted_at=epoch, updated_at=epoch)


class IbkrRig(rigs.SocketRig):
    CANNOT: ClassVar = {
        "no_fractions": "trades whole shares only",
        "expiry": "its API tells no expiries: a put that is gone is a difference of the holdings",
    }
    QUANTUM = D(1)
    QUANTITIES: ClassVar = ("1", "7", "25", "0.5", "3", "40", "2000")
    ON_ORDERS: ClassVar = ORDER_KINDS
    ON_CANCELS: ClassVar = ORDER_KINDS[3:]
    ON_READS: ClassVar = ("reset_before", "reset_after", "garbled_after", "no_end", "cut_after")
    STATES: ClassVar = {"Filled": "filled", "Cancelled": "cancelled", "Inactive": "rejected"}

    def __init__(
        self,
        _fakes: Any,
        sessions: Any,
        _folder: Path,
        retries: int = 2,
        settle_s: float = 30,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.books = fake_books.Books()
        self.gateway = gateway.Gateway(self.books)
        self.clock, self._sessions, self.settle_s = rigs.QuickClock(), sessions, settle_s
        self.books.clock = self.clock.now
        self.actions: list[ApiAction] = []
        self.access = Access(
            host="127.0.0.1", port=self.gateway.port, client_id=7, account=fake_books.ACCOUNT,
            paper=True, timeout_s=timeout_s, retries=retries, settle_s=settle_s,
            messages_per_second=0,
        )  # fmt: skip
        self._made: list[IbkrBroker] = []
        self.broker = self.again()
        self.books.list_stock("SPY")
        self.gateway.quoted["SPY"] = self.clock.now()

    def again(self, access: Access | None = None) -> IbkrBroker:
        """A gateway takes one connection under each client id."""
        for broker in self._made:
            broker.close()
        self._made.append(
            Timeless(access or self.access, self.clock, self._sessions, tell=self.actions.append)
        )
        return self._made[-1]

    def trade(self, symbol: str, shares: str) -> None:
        self.books.trade(symbol, shares)

    def price(self, price: str) -> None:
        for symbol in ("ALFA", "BRVO"):
            self.books.price(symbol, price)

    def move(self, symbol: str, price: str) -> None:
        self.books.price(symbol, price)

    def orders_there(self, client_order_id: str) -> int:
        return sum(order.ref == client_order_id for order in self.books.orders.values())

    def sent(self, client_order_id: str) -> int:
        return int(self.gateway.sent(client_order_id))

    def reads(self) -> int:
        return int(self.gateway.count(*gateway.READS))

    def settle(self) -> None:
        self.gateway.calm()
        self.clock.wait_until(self.clock.now() + timedelta(seconds=self.settle_s + 1))

    # --- faults -----------------------------------------------------------------------------

    def fault_order(self, kind: str) -> None:
        self.gateway.fault(kind, gateway.PLACE)

    def fault_cancel(self, kind: str) -> None:
        self.gateway.fault(kind, gateway.CANCEL)

    def fault_reads(self, kind: str, times: int) -> None:
        self.gateway.fault(kind, *gateway.READS, times=times)

    def calm_reads(self) -> None:
        self.gateway.calm_reads()

    def lose_answer(self) -> None:
        self.gateway.fault("reset_after", gateway.PLACE)

    def lose_request(self) -> None:
        self.gateway.fault("reset_before", gateway.PLACE)

    def delay_request(self) -> None:
        self.gateway.fault("late_beyond", gateway.PLACE)

    def be_busy(self, times: int) -> None:
        self.gateway.fault("reset_before", *gateway.READS, times=times)

    def be_busy_for_orders(self) -> None:
        self.gateway.fault("reset_before", gateway.PLACE)

    def lose_snapshot(self) -> None:
        self.gateway.fault("no_end", "61", times=9)
        self.broker = self.again(replace(self.access, timeout_s=0.1))

    def tell_twice(self) -> None:
        self.gateway.listing = self.gateway.telling = "twice"

    def refuse_keys(self) -> None:
        """Signed in again, to another account."""
        self.gateway.account = "DU7654321"
        self.gateway.drop()

    def skew(self) -> None:
        self.books.ahead = timedelta(minutes=2)

    def halt(self, symbol: str) -> None:
        self.books.stock(symbol).halted = 1

    def fill_late(self, client_order_id: str, quantity: str) -> None:
        self.books.fill(client_order_id, D(quantity), late=True)

    def cancelled_buy(self) -> str:
        for order in self.books.orders.values():
            left = order.quantity - order.filled
            if (order.status, order.side) == ("Cancelled", "BUY") and left >= 1:
                return str(order.ref)
        return ""

    def disturb_feed(self, rng: Random) -> None:
        self.gateway.listing = rng.choice(("plain", "twice", "backwards"))
        self.gateway.hold_costs = rng.random() < 0.3
        self.books.hidden_fills = min(rng.choice((0, 0, 1, 3)), len(self.books.fills))

    def disturb_stream(self, rng: Random) -> str:
        if rng.random() < 0.5:
            self.gateway.drop()
            return "connections dropped"
        self.gateway.telling = rng.choice(("plain", "twice"))
        return ""

    def hand(self, symbol: str, quantity: str) -> None:
        self.books.held[self.books.stock(symbol).con_id] = D(quantity)

    # --- the truth --------------------------------------------------------------------------

    def true_orders(self) -> list[Any]:
        def fills(order: Any) -> Iterator[tuple[str, Decimal, Decimal]]:
            for fill in self.books.fills:
                if fill.order is order:
                    yield fill.execution_id.rpartition(".")[0], fill.quantity, fill.price

        return [
            rigs.TrueOrder(o.ref, o.side.lower(), self._state(o), tuple(fills(o)))
            for o in self.books.orders.values()
        ]

    def _state(self, order: Any) -> str:
        open_ = "partially_filled" if order.filled else "accepted"
        return str(self.STATES.get(order.status, open_))

    # --- market data ------------------------------------------------------------------------

    def show_market(self) -> datetime:
        first = datetime.now(UTC).replace(second=0, microsecond=0) - 3 * MINUTE
        self.gateway.bars["ALFA"] = [
            (first + n * MINUTE, "100.1", "100.3", "100", "100.2", 500 + n)
            for n in (0, 1, 2, 4)  # the last one is of a minute that has not begun
        ]
        self.gateway.quoted["ALFA"] = self.clock.now()
        return first

    def puts(self) -> tuple[str, date, date]:
        expiry = self.clock.now().date() + timedelta(days=30)
        for strike, price in (("95", "2.10"), ("90", "1.00"), ("100", "4.00")):
            put = self.books.list_put("ALFA", f"{expiry:%Y%m%d}", strike)
            put.delta, put.interest = "-0.3456", 120
            self.books.price(put.local.replace(" ", ""), price)
            self.gateway.quoted[put.local.replace(" ", "")] = self.clock.now()
        self.gateway.quoted["ALFA"] = self.clock.now()
        return "ALFA", expiry - timedelta(days=3), expiry + timedelta(days=3)

    def trade_put(self, symbol: str, contracts: str) -> None:
        self.books.trade(symbol, contracts)

    def close(self) -> None:
        for broker in self._made:
            broker.close()
        self.gateway.close()


BY_NAME = {"ibkr": IbkrRig}
