"""The books of the fake Interactive Brokers: orders, executions, cash and positions.

A little market of its own: nothing fills before `trade` says that shares change hands.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from config.clock import local_date

D = Decimal
NEW_YORK = "America/New_York"
NOTHING = D(0)
FINAL = ("Filled", "Cancelled", "Inactive")
ACCOUNT = "DU1234567"


@dataclass
class Listed:
    """A contract. ``symbol`` is that of the underlying, ``local`` the OCC's for an option."""

    con_id: int
    symbol: str
    sec_type: str = "STK"
    local: str = ""
    expiry: str = ""
    strike: Decimal = NOTHING
    right: str = ""
    multiplier: str = ""
    trading_class: str = ""
    halted: int = 0
    delta: str = ""
    interest: int | None = None


@dataclass
class Order:
    perm_id: int
    order_id: int
    client_id: int
    ref: str
    listed: Listed
    side: str
    kind: str
    quantity: Decimal
    limit: Decimal
    stop: Decimal
    status: str = "Submitted"
    why: str = ""
    filled: Decimal = NOTHING
    account: str = ACCOUNT
    at: datetime | None = None


@dataclass
class Fill:
    execution_id: str
    order: Order
    quantity: Decimal
    price: Decimal
    at: datetime
    commission: Decimal
    cost_told: bool = True


class Books:
    """Thread-safe. ``told`` is called with each order that changed, and the fill if it is one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.cash, self.commission = D(100_000), D("1.00")
        self.orders: dict[int, Order] = {}  # by permId, in order of arrival
        self.fills: list[Fill] = []
        self.listed: dict[int, Listed] = {}  # by conId, as what follows
        self.held: dict[int, Decimal] = {}
        self.prices: dict[int, tuple[Decimal, Decimal]] = {}
        self.ahead = timedelta(0)  # of the true time
        self.longest_ref = 48
        self.hidden_fills = 0  # the newest ones, which are not told yet
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.told: Callable[[Order, Fill | None], None] = lambda _order, _fill: None
        for symbol in ("ALFA", "BRVO"):
            self.list_stock(symbol)

    # --- the market -------------------------------------------------------------------------

    def list_stock(self, symbol: str, price: str = "100.00") -> Listed:
        con_id = 100 + len(self.listed)
        found = Listed(con_id, symbol, local=symbol, trading_class=symbol.replace(" ", ""))
        self.listed[con_id] = found
        self.price(symbol, price)
        return found

    def list_put(self, symbol: str, expiry: str, strike: str, **more: str) -> Listed:
        """``expiry`` as YYYYMMDD; a root other than the symbol is that of an adjusted contract."""
        root = more.get("root", symbol)
        con_id = 100 + len(self.listed)
        self.listed[con_id] = Listed(
            con_id, symbol, "OPT", f"{root:<6}{expiry[2:]}P{int(D(strike) * 1000):08d}", expiry,
            D(strike), "P", more.get("multiplier", "100"), root,
        )  # fmt: skip
        return self.listed[con_id]

    def stock(self, symbol: str) -> Listed:
        return next(x for x in self.listed.values() if (x.sec_type, x.symbol) == ("STK", symbol))

    def find(self, name: str) -> Listed:
        """By the symbol of a stock, or an option's without blanks."""
        return next(x for x in self.listed.values() if x.local.replace(" ", "") == name)

    def price(self, name: str, price: str) -> None:
        """Quoted two cents to each side."""
        self.prices[self.find(name).con_id] = (D(price) - D("0.02"), D(price) + D("0.02"))

    def now(self) -> datetime:
        return self.clock() + self.ahead

    def trade(self, name: str, shares: str) -> None:
        """So many shares change hands with open orders, in order of arrival."""
        room, listed = D(shares), self.find(name)
        with self.lock:
            if listed.halted:
                return
            for order in self.open_orders():
                if order.listed is listed and room > 0 and self._meets(order):
                    part = min(room, order.quantity - order.filled)
                    room -= part
                    self.fill(order.ref, part)

    def _meets(self, order: Order) -> bool:
        bid, ask = self.prices[order.listed.con_id]
        buys = order.side == "BUY"
        if order.kind == "LMT":
            return ask <= order.limit if buys else bid >= order.limit
        if order.kind == "STP":
            return ask >= order.stop if buys else bid <= order.stop
        return True

    def fill(self, ref: str, quantity: Decimal, *, late: bool = False) -> Fill:
        """One execution; ``late``: of an order that is cancelled already."""
        with self.lock:
            order = self.by_ref(ref)
            assert order is not None
            con_id, sign = order.listed.con_id, 1 if order.side == "BUY" else -1
            price = self.prices[con_id][sign > 0]
            order.filled += quantity
            if order.filled == order.quantity:
                order.status = "Filled"
            assert late or order.status != "Cancelled"
            units = int(order.listed.multiplier or 1)
            self.cash -= sign * quantity * price * units + self.commission
            self.held[con_id] = self.held.get(con_id, D(0)) + sign * quantity
            number = f"0000e0d5.{len(self.fills) + 1:08x}.01.01"
            self.fills.append(Fill(number, order, quantity, price, self.now(), self.commission))
            self.told(order, self.fills[-1])
            return self.fills[-1]

    def correct(self, fill: Fill, price: str) -> None:
        """The same execution again, under its next revision."""
        number = fill.execution_id.removesuffix("01") + "02"
        self.cash -= (
            (D(price) - fill.price) * fill.quantity * (1 if fill.order.side == "BUY" else -1)
        )
        self.fills.append(replace(fill, execution_id=number, price=D(price)))

    # --- orders -----------------------------------------------------------------------------

    def by_ref(self, ref: str) -> Order | None:
        return next((order for order in self.orders.values() if order.ref == ref), None)

    def open_orders(self) -> list[Order]:
        return [order for order in self.orders.values() if order.status not in FINAL]

    def submit(self, order: Order) -> tuple[int, str] | None:
        """None when it was taken, else number and words of an error."""
        with self.lock:
            for known in self.orders.values():
                if (known.client_id, known.order_id) == (order.client_id, order.order_id):
                    if known.status in FINAL:
                        return 103, "Duplicate order id"
                    # a known id is read as a change of that order
                    known.ref, known.quantity = order.ref, order.quantity
                    return None
            if (no := next(self._against(order), None)) is not None:
                return no
            order.ref = order.ref[: self.longest_ref]
            order.perm_id, order.at = 900_000_000 + len(self.orders) + 1, self.now()
            self.orders[order.perm_id] = order
            self.told(order, None)
            return None

    def _against(self, order: Order) -> Iterator[tuple[int, str]]:
        if order.quantity != int(order.quantity):
            yield 10243, "Fractional-sized order cannot be placed via API."
        if order.listed.halted:
            yield 201, "Order rejected - reason:Trading in this security is halted"
        con_id, units = order.listed.con_id, int(order.listed.multiplier or 1)
        spent = sum(
            ((o.quantity - o.filled) * self.prices[o.listed.con_id][1] for o in self.open_orders()
             if o.side == "BUY"), D(0),
        )  # fmt: skip
        cost = order.quantity * self.prices.get(con_id, (D(0), D(0)))[1] * units
        if order.side == "BUY" and cost + spent > self.cash:
            yield (
                201,
                "Order rejected - reason:We are unable to accept your order. Your Available Funds "
                f"are insufficient to cover the change in margin of account {ACCOUNT}.",
            )

    def cancel(self, client_id: int, order_id: int) -> tuple[int, str]:
        """The answer is always an error, 202 where it was cancelled."""
        with self.lock:
            for order in self.orders.values():
                if (order.client_id, order.order_id) == (client_id, order_id):
                    if order.status in FINAL:
                        return 161, "Cancel attempted when order is not in a cancellable state."
                    order.status = "Cancelled"
                    self.told(order, None)
                    return 202, "Order Canceled - reason:"
            return 10147, f"OrderId {order_id} that needs to be cancelled is not found."

    def reject(self, ref: str, why: str) -> Order:
        """After it was accepted, as an exchange may."""
        order = self.by_ref(ref)
        assert order is not None
        order.status, order.why = "Inactive", why
        return order

    def expire(self) -> None:
        """The close: day orders end."""
        with self.lock:
            for order in self.open_orders():
                order.status = "Cancelled"
                self.told(order, None)

    # --- what is asked ----------------------------------------------------------------------

    def shown_fills(self) -> list[Fill]:
        """Since midnight."""
        shown = self.fills[: len(self.fills) - self.hidden_fills]
        return [fill for fill in shown if self._of_today(fill.at)]

    def completed(self) -> list[Order]:
        """Of today."""
        over = (order for order in self.orders.values() if order.status in FINAL)
        return [order for order in over if order.at is not None and self._of_today(order.at)]

    def _of_today(self, at: datetime) -> bool:
        return local_date(at, NEW_YORK) == local_date(self.clock(), NEW_YORK)

    def filled(self, ref: str) -> Decimal:
        """Summed over executions: what any view of the order must come to."""
        return sum((f.quantity for f in self.fills if f.order.ref == ref), D(0))
