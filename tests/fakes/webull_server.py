"""A fake Webull over a real socket: orders, account and market data in its wire shapes.

What is true is in the books of `alpaca_books`, which are those of any broker for stocks; here are
Webull's words for it. Of fills it tells only the sum and the average of an order.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from beside import beside

http = beside("fakes/faulty_http")
D = Decimal
ACCOUNT = "ACC-0001"
PAGE = 10
PLACE, CANCEL = "/trading/orders/place", "/trading/orders/cancel"
TYPES = {"MARKET": "market", "LIMIT": "limit", "STOP_LOSS": "stop"}
STATUSES = {
    "new": "SUBMITTED", "partially_filled": "PARTIAL_FILLED", "filled": "FILLED",
    "canceled": "CANCELLED", "expired": "EXPIRED", "rejected": "FAILED",
}  # fmt: skip
REFUSALS = (
    ("must be unique", "TRADE_PLACE_ORDER_REPEAT"),
    ("not found", "INSTRUMENT_NOT_FOUND"),
    ("not tradable", "ORDER_TICKER_CAN_NOT_TRADE"),
    ("not fractionable", "ORDER_FRACTION_NOT_SUPPORTED"),
    ("insufficient qty", "ORDER_POSITION_NOT_ENOUGH"),
    ("buying power", "ORDER_BUYING_POWER_NOT_ENOUGH"),
)
WORDS = {
    "ORDER_FRACTION_NOT_SUPPORTED": "Fraction shares are not supported for this stock.",
    "ORDER_POSITION_NOT_ENOUGH": "Your position is not enough.",
    "ORDER_BUYING_POWER_NOT_ENOUGH": "Your buying power is not enough.",
}


def refused(word: str, message: str = "", status: int = 417) -> tuple[int, Any]:
    return status, {"error_code": word, "message": message or WORDS.get(word, word.lower())}


class WebullServer(http.FaultyServer):  # type: ignore[misc, name-defined]
    """``keys`` are the app key and its secret; ``listed`` is "plain", "twice" or "backwards"."""

    def __init__(self, books: Any, hold_s: float = 0.6) -> None:
        self.bars: dict[str, list[dict[str, Any]]] = {}
        self.quotes: dict[str, dict[str, Any]] = {}
        self.listed, self.account_type = "plain", "CASH"
        super().__init__(books, hold_s)

    # --- its words --------------------------------------------------------------------------

    def knows(self, headers: dict[str, str]) -> bool:
        """The signature is judged where it is computed: in the tests of the wire."""
        return headers.get("x-app-key") == self.keys[0] and bool(headers.get("x-signature"))

    def no_keys(self) -> Any:
        return (*refused("UNAUTHORIZED", "Header x-signature is invalid.", 401), {})

    def too_many(self, reset: int) -> Any:
        return (*refused("TOO_MANY_REQUESTS", f"until {reset}", 429), {})

    def refusal(self, said: str) -> Any:
        return (*refused("INVALID_PARAMETER", said), {})

    def posts(self, client_order_id: str) -> int:
        sent = (a.body["new_orders"] for a in self.asked if a.path == PLACE)
        return sum(o["client_order_id"] == client_order_id for orders in sent for o in orders)

    def now(self) -> float:
        return float(self.books.now().timestamp())

    def calm(self) -> None:
        self.listed = "plain"
        self.books.hidden_fills = 0
        super().calm()

    # --- answers ----------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        with self.books.lock:
            asked = body if method == "POST" else query
            if not path.startswith("/market-data") and asked.get("account_id", ACCOUNT) != ACCOUNT:
                return refused("ACCOUNT_ACCESS_DENIED", status=403)
            return self._answer(path, asked)

    def _answer(self, path: str, asked: dict[str, Any]) -> tuple[int, Any]:
        if path == PLACE:
            return self._place(asked["new_orders"])
        if path == CANCEL:
            return self._cancel(asked["client_order_id"])
        if path == "/trading/orders/get":
            found = self.books.by_client(asked["client_order_id"])
            return refused("ORDER_NOT_FOUND") if found is None else (200, self._group(found))
        if path == "/trading/orders/open-orders/list":
            return self._page(self.books.open_orders(), asked)
        if path == "/trading/orders/historical-orders/list":
            over = [o for o in self.books.orders.values() if o not in self.books.open_orders()]
            return self._page(over, asked)
        if path == "/trading/activities/cash-activities/list":
            return 200, {
                "data": [a for a in self.books.others if a["activity_date"] > asked["start_time"]]
            }
        return self._about(path, asked)

    def _about(self, path: str, asked: dict[str, Any]) -> tuple[int, Any]:
        if path == "/trading/accounts/list":
            return 200, [{"account_id": ACCOUNT, "account_type": self.account_type}]
        if path == "/trading/assets/balances/get":
            return 200, self._balance()
        if path == "/trading/assets/positions/list":
            return 200, [_position(*held) for held in self.books.positions.items() if held[1]]
        if path == "/trading/instruments/stocks/profiles/list":
            found = self.books.assets.get(asked["symbols"])
            return 200, {"data": [] if found is None else [_profile(found)]}
        symbol = asked.get("symbol") or asked["symbols"][0]
        if path == "/market-data/stocks/depths/list":
            quote = self.quotes.get(symbol)
            return refused("INSTRUMENT_NOT_FOUND") if quote is None else (200, quote)
        if path == "/market-data/stocks/bars/list":
            return 200, {"result": [{"symbol": symbol, "result": self.bars.get(symbol, [])}]}
        return refused("NOT_FOUND", status=404)

    def _place(self, orders: list[dict[str, str]]) -> tuple[int, Any]:
        (asked,) = orders
        assert len(asked["client_order_id"]) <= 32, "Webull takes no longer ids"
        said = {
            "symbol": asked["symbol"], "qty": asked["quantity"], "side": asked["side"].lower(),
            "type": TYPES[asked["order_type"]], "time_in_force": asked["time_in_force"].lower(),
            "client_order_id": asked["client_order_id"],
        }  # fmt: skip
        said |= {name: asked[name] for name in ("limit_price", "stop_price") if name in asked}
        status, answer = self.books.submit(said)
        if status != 200:
            return refused(next(word for words, word in REFUSALS if words in answer["message"]))
        return 200, {"client_order_id": answer["client_order_id"], "order_id": answer["id"]}

    def _cancel(self, client_order_id: str) -> tuple[int, Any]:
        order = self.books.by_client(client_order_id)
        if order is None:
            return refused("ORDER_NOT_FOUND")
        if self.books.cancel(order["id"])[0] != 204:
            return refused("ORDER_STATUS_ILLEGAL", "The order can not be cancelled.")
        return 200, {"client_order_id": client_order_id, "order_id": order["id"]}

    # --- shapes -----------------------------------------------------------------------------

    def _page(self, orders: list[dict[str, Any]], asked: dict[str, Any]) -> tuple[int, Any]:
        first = int(asked.get("pagination_key") or 0)
        page = [self._group(order) for order in orders[first : first + PAGE]]
        if self.listed == "backwards":
            page.reverse()
        found: dict[str, Any] = {"data": page + page if self.listed == "twice" else page}
        if len(orders) > first + PAGE:
            found["pagination_key"] = str(first + PAGE)
        return 200, found

    def _group(self, order: dict[str, Any]) -> dict[str, Any]:
        return {
            "client_order_id": order["client_order_id"], "combo_type": "NORMAL",
            "orders": [self._order(order)],
        }  # fmt: skip

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        words = {kind: word for word, kind in TYPES.items()}
        row = {
            "client_order_id": order["client_order_id"], "order_id": order["id"],
            "symbol": order["symbol"], "side": order["side"].upper(), "instrument_type": "EQUITY",
            "order_type": words[order["type"]], "status": STATUSES[order["status"]],
            "total_quantity": order["qty"], "filled_quantity": order["filled_qty"],
            "time_in_force": "DAY", "place_time_at": _at(order["submitted_at"]),
        }  # fmt: skip
        fills = list(self._fills(order["id"]))
        if fills:
            paid = sum((D(f["qty"]) * D(f["price"]) for f in fills), D(0))
            row["filled_price"] = f"{paid / D(order['filled_qty']):.8f}"
            row["filled_time_at"] = _at(fills[-1]["transaction_time"])
        return row

    def _fills(self, number: str) -> Iterator[dict[str, Any]]:
        return (fill for fill in self.books.fills if fill["order_id"] == number)

    def _balance(self) -> dict[str, Any]:
        cash = str(self.books.cash)
        return {
            "total_asset_currency": "USD", "total_cash_balance": cash,
            "account_currency_assets": [
                {"currency": "HKD", "cash_balance": "0.00"},
                {"currency": "USD", "cash_balance": cash, "settled_cash": cash},
            ],
        }  # fmt: skip


def _position(symbol: str, quantity: Decimal) -> dict[str, str]:
    return {
        "position_id": f"P-{symbol}", "symbol": symbol, "quantity": str(quantity),
        "instrument_type": "EQUITY", "currency": "USD", "cost_price": "100", "last_price": "100",
    }  # fmt: skip


def _profile(asset: dict[str, Any]) -> dict[str, Any]:
    return {
        "symbol": asset["symbol"], "category": "US_STOCK", "currency": "USD",
        "status": "OC" if asset["tradable"] else "NT", "fractionable": asset["fractionable"],
    }  # fmt: skip


def _at(stamped: str) -> str:
    """With three decimals of the second."""
    return datetime.fromisoformat(stamped).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
