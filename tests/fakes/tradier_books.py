"""The books of the fake Tradier: orders, cash and positions, in its wire shapes.

A little market of its own: nothing fills before `trade` says that shares change hands. Of the
executions only an order's totals are ever shown, as Tradier shows them; `fills` is what is true.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aggregates.occ import occ_symbol, occ_terms

D = Decimal
FINAL = ("filled", "canceled", "expired", "rejected", "error")
Answer = tuple[int, Any]
ACCOUNT = "VA000001"


def refused(*said: str) -> Answer:
    """As Tradier's risk checks refuse: with 200."""
    return 200, {"errors": {"error": list(said)}}


def stamp(moment: datetime) -> str:
    """As Tradier writes it, to the millisecond."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def one_or_many(inner: str, rows: list[Any]) -> Any:
    """Tradier's JSON is made from XML: none is "null", one comes without its list."""
    if not rows:
        return "null"
    return {inner: rows[0] if len(rows) == 1 else rows}


class Books:
    """Thread-safe. ``clock`` says what the true time is."""

    def __init__(self, cash: str = "100000") -> None:
        self.lock = threading.RLock()
        self.cash = D(cash)
        self.positions: dict[str, Decimal] = {}
        self.orders: dict[int, dict[str, Any]] = {}  # by Tradier's id, in order of arrival
        self.fills: list[tuple[int, Decimal, Decimal]] = []  # order, quantity, price
        self.history: list[dict[str, Any]] = []
        self.kinds: dict[str, str] = {}  # symbol: stock, etf, index, option
        self.prices: dict[str, tuple[Decimal, Decimal]] = {}
        self.option_level = 2
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.ahead = timedelta(0)  # of the true time
        for symbol in ("ALFA", "BRVO", "SPY"):
            self.kinds[symbol] = "stock"
            self.price(symbol, "100.00")

    # --- the market -------------------------------------------------------------------------

    def price(self, symbol: str, price: str) -> None:
        """Quoted two cents to each side."""
        self.prices[symbol] = (D(price) - D("0.02"), D(price) + D("0.02"))

    def list_put(self, underlying: str, day: Any, strike: str, price: str) -> str:
        symbol = occ_symbol(underlying, day, "put", D(strike))
        self.kinds[symbol] = "option"
        self.price(symbol, price)
        return symbol

    def now(self) -> datetime:
        return self.clock() + self.ahead

    def trade(self, symbol: str, shares: str) -> None:
        """So many shares change hands with open orders, in order of arrival."""
        room = D(shares)
        with self.lock:
            for order in self.open_orders():
                if self._of(order) == symbol and room > 0 and self._meets(order):
                    part = min(room, order["quantity"] - order["exec_quantity"])
                    room -= part
                    self.fill(order["tag"], part)

    @staticmethod
    def _of(order: dict[str, Any]) -> str:
        return str(order.get("option_symbol") or order["symbol"])

    def _meets(self, order: dict[str, Any]) -> bool:
        bid, ask = self.prices[self._of(order)]
        buys = order["side"].startswith("buy")
        if order["type"] == "limit":
            return bool(ask <= order["price"] if buys else bid >= order["price"])
        if order["type"] == "stop":
            return bool(ask >= order["stop_price"] if buys else bid <= order["stop_price"])
        return True

    def fill(self, tag: str, quantity: Decimal, *, late: bool = False) -> None:
        """One execution; ``late``: of an order that is cancelled already."""
        with self.lock:
            order = self.by_tag(tag)
            assert order is not None
            symbol = self._of(order)
            bid, ask = self.prices[symbol]
            price, sign = (ask, 1) if order["side"].startswith("buy") else (bid, -1)
            self.fills.append((order["id"], quantity, price))
            mine = [(q, p) for number, q, p in self.fills if number == order["id"]]
            filled = sum((q for q, _ in mine), D(0))
            order["exec_quantity"] = filled
            order["remaining_quantity"] = order["quantity"] - filled
            worth = sum((q * p for q, p in mine), D(0))
            order["avg_fill_price"] = (worth / filled).quantize(D("0.00000001"))
            order["last_fill_price"], order["last_fill_quantity"] = price, quantity
            order["transaction_date"] = stamp(self.now())
            if not late or filled == order["quantity"]:
                done = filled == order["quantity"]
                order["status"] = "filled" if done else "partially_filled"
            units = 100 if "option_symbol" in order else 1
            self.cash -= sign * quantity * price * units
            self.positions[symbol] = self.positions.get(symbol, D(0)) + sign * quantity

    def expire_put(self, symbol: str) -> None:
        """It is worth nothing any more, and gone over night."""
        held = self.positions.pop(symbol, D(0))
        terms = occ_terms(symbol)
        assert terms is not None
        self.history.append({
            "amount": 0, "date": f"{self.now():%Y-%m-%d}T00:00:00Z", "type": "option",
            "option": {
                "option_type": "OPTEXP", "description": "Expired", "quantity": -held,
                "symbol": symbol,
            },
        })  # fmt: skip

    # --- orders -----------------------------------------------------------------------------

    def by_tag(self, tag: str) -> dict[str, Any] | None:
        """The first: Tradier takes the same tag as often as it comes."""
        return next((o for o in self.orders.values() if o.get("tag") == tag), None)

    def open_orders(self) -> list[dict[str, Any]]:
        return [order for order in self.orders.values() if order["status"] not in FINAL]

    def submit(self, form: dict[str, str]) -> Answer:
        with self.lock:
            no = next(self._against(form), None)
            if no is not None:
                return no
            at, number = stamp(self.now()), 228_175 + len(self.orders)
            order: dict[str, Any] = {
                "id": number, "type": form["type"], "symbol": form["symbol"],
                "side": form["side"], "quantity": D(form["quantity"]), "status": "open",
                "duration": form["duration"], "avg_fill_price": D("0.00000000"),
                "exec_quantity": D(0), "last_fill_price": D(0), "last_fill_quantity": D(0),
                "remaining_quantity": D(form["quantity"]), "create_date": at,
                "transaction_date": at, "class": form["class"],
            }  # fmt: skip
            order |= {name: form[name] for name in ("option_symbol", "tag") if name in form}
            for ours, theirs in (("price", "price"), ("stop", "stop_price")):
                if ours in form:
                    order[theirs] = D(form[ours])
            self.orders[number] = order
            return 200, {"order": {"id": number, "status": "ok", "partner_id": "c4998eb7"}}

    def _against(self, form: dict[str, str]) -> Iterator[Answer]:
        option = form["class"] == "option"
        symbol = form["option_symbol"] if option else form["symbol"]
        if symbol not in self.kinds:
            yield 400, {"errors": {"error": [f"Unknown symbol: {symbol}"]}}
            return
        buys, quantity = form["side"].startswith("buy"), D(form["quantity"])
        assert form["side"] in ("buy_to_open", "sell_to_close") if option else ("buy", "sell")
        promised = sum(
            (o["remaining_quantity"] for o in self.open_orders()
             if self._of(o) == symbol and o["side"].startswith("sell")), D(0),
        )  # fmt: skip
        if not buys and quantity > self.positions.get(symbol, D(0)) - promised:
            yield refused("Sell order cannot be placed unless you are closing a long position")
        spent = sum((self._price(o) for o in self.open_orders() if o["side"][0] == "b"), D(0))
        worth = quantity * self.prices[symbol][1] * (100 if option else 1)
        if buys and worth + spent > self.cash:
            yield refused("You do not have enough buying power for this trade.")

    def _price(self, order: dict[str, Any]) -> Decimal:
        units = 100 if "option_symbol" in order else 1
        return D(order["remaining_quantity"] * self.prices[self._of(order)][1] * units)

    def cancel(self, number: int) -> Answer:
        with self.lock:
            order = self.orders.get(number)
            if order is None:
                return 400, {"errors": {"error": ["order not found"]}}
            if order["status"] in FINAL:
                return refused(f"order is already in finalized state: {order['status']}")
            order["status"], order["transaction_date"] = "canceled", stamp(self.now())
            return 200, {"order": {"id": number, "status": "ok", "partner_id": "c4998eb7"}}

    # --- what is asked ----------------------------------------------------------------------

    def shown(self, order: dict[str, Any], tags: bool) -> dict[str, Any]:
        return {name: value for name, value in order.items() if tags or name != "tag"}

    def held(self) -> list[dict[str, Any]]:
        return [
            {"cost_basis": 1, "date_acquired": stamp(self.now()), "id": n, "quantity": quantity,
             "symbol": symbol}
            for n, (symbol, quantity) in enumerate(self.positions.items()) if quantity
        ]  # fmt: skip

    def balances(self) -> dict[str, Any]:
        return {
            "option_short_value": 0, "total_equity": self.cash, "account_number": ACCOUNT,
            "account_type": "margin", "close_pl": 0, "current_requirement": 0, "equity": 0,
            "long_market_value": 0, "market_value": 0, "open_pl": 0, "option_long_value": 0,
            "option_requirement": 0, "pending_orders_count": len(self.open_orders()),
            "short_market_value": 0, "stock_long_value": 0, "total_cash": self.cash,
            "uncleared_funds": 0, "pending_cash": 0,
        }  # fmt: skip
