"""A fake Robinhood over a real socket: orders, account and quotes as its users describe them.

What is true is in the books of `alpaca_books`, which are those of any broker for stocks; here are
Robinhood's words for it. Lists come in pages, and instruments are named by addresses.
"""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from beside import beside

http = beside("fakes/faulty_http")
ACCOUNT = "5RH00001"
PAGE = 10
STATES = {
    "new": "confirmed", "partially_filled": "partially_filled", "filled": "filled",
    "canceled": "cancelled", "expired": "cancelled", "rejected": "rejected",
}  # fmt: skip
REFUSALS = (
    ("not found", {"instrument": ["Invalid hyperlink - object does not exist."]}),
    ("not tradable", {"detail": "This stock is not tradable right now."}),
    ("not fractionable", {"detail": "This stock is not available for fractional trading."}),
    ("insufficient qty", {"detail": "Not enough shares to sell."}),
    ("buying power", {"non_field_errors": ["You do not have enough buying power."]}),
)


class RobinhoodServer(http.FaultyServer):  # type: ignore[misc, name-defined]
    """``keys`` is the token alone; ``listed`` is "plain", "twice" or "backwards"."""

    CLIENT_ID = "ref_id"

    def __init__(self, books: Any, hold_s: float = 0.6) -> None:
        self.quotes: dict[str, dict[str, Any]] = {}
        self.dividends: list[dict[str, Any]] = []
        self.transfers: list[dict[str, Any]] = []
        self.listed, self.account_type = "plain", "cash"
        # What it does with a ref_id that was used before is not known: this is the worst case
        books.ids_are_unique = False
        super().__init__(books, hold_s)
        self.keys = http.KEYS[:1]

    # --- its words --------------------------------------------------------------------------

    def parsed(self, raw: bytes) -> dict[str, Any]:
        return dict(parse_qsl(raw.decode()))

    def knows(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer {self.keys[0]}"

    def no_keys(self) -> Any:
        return 401, {"detail": "Incorrect authentication credentials."}, {}

    def too_many(self, _reset: int) -> Any:
        return 429, {"detail": "Request was throttled."}, {}

    def refusal(self, said: str) -> Any:
        return 400, {"detail": said}, {}

    def now(self) -> float:
        return float(self.books.now().timestamp())

    def calm(self) -> None:
        self.listed = "plain"
        super().calm()

    # --- answers ----------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        with self.books.lock:
            if method == "POST" and path == "/orders/":
                return self._place(body)
            if method == "POST" and path.endswith("/cancel/"):
                return self._cancel(path.split("/")[2])
            return self._list(path, query) or self._one(path)

    def _list(self, path: str, query: dict[str, str]) -> tuple[int, Any] | None:
        assets = self.books.assets
        match path:
            case "/orders/":
                found = [self._order(order) for order in self.books.orders.values()]
                found = [one for one in found if one["updated_at"] >= query["updated_at[gte]"]]
            case "/positions/":
                held = self.books.positions.items()
                found = [self._position(*one) for one in held if one[1]]
            case "/instruments/":
                found = [self._instrument(a) for s, a in assets.items() if s == query["symbol"]]
            case "/dividends/":
                found = self.dividends
            case "/ach/transfers/":
                found = self.transfers
            case _:
                return None
        return self._page(path, found, query)

    def _one(self, path: str) -> tuple[int, Any]:
        kind, name = path.strip("/").split("/")
        if kind == "accounts" and name == ACCOUNT:
            return 200, self._account()
        if kind == "orders" and name in self.books.orders:
            return 200, self._order(self.books.orders[name])
        if kind == "quotes" and name in self.quotes:
            return 200, self.quotes[name]
        for asset in self.books.assets.values():
            if kind == "instruments" and name == asset["id"]:
                return 200, self._instrument(asset)
        return 404, {"detail": "Not found."}

    def _place(self, form: dict[str, str]) -> tuple[int, Any]:
        UUID(form["ref_id"])
        kind = "stop" if form["trigger"] == "stop" else form["type"]
        said = {
            "symbol": form["symbol"], "qty": form["quantity"], "side": form["side"], "type": kind,
            "time_in_force": "day", "client_order_id": form["ref_id"],
        }  # fmt: skip
        if kind in ("limit", "stop"):
            said[f"{kind}_price"] = form["price" if kind == "limit" else "stop_price"]
        status, answer = self.books.submit(said)
        if status != 200:
            return 400, next(no for words, no in REFUSALS if words in answer["message"])
        return 201, self._order(answer)

    def _cancel(self, number: str) -> tuple[int, Any]:
        status, _ = self.books.cancel(number)
        if status == 404:
            return 404, {"detail": "Not found."}
        return (200, {}) if status == 204 else (400, {"detail": "Order cannot be cancelled."})

    # --- shapes -----------------------------------------------------------------------------

    def _page(self, path: str, found: list[Any], query: dict[str, str]) -> tuple[int, Any]:
        first = int(query.get("cursor") or 0)
        page, following = found[first : first + PAGE], None
        if self.listed == "backwards":
            page.reverse()
        if len(found) > first + PAGE:  # an address that nobody must follow
            following = f"https://elsewhere.invalid{path}?cursor={first + PAGE}"
        twice = self.listed == "twice" and path == "/orders/"
        return 200, {
            "next": following, "previous": None, "results": page + page if twice else page
        }  # fmt: skip

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        fills = [fill for fill in self.books.fills if fill["order_id"] == order["id"]]
        return {
            "id": order["id"], "ref_id": order["client_order_id"], "side": order["side"],
            "instrument": self._address("instruments", order["asset_id"]),
            "type": "limit" if order["type"] == "limit" else "market",
            "trigger": "stop" if order["type"] == "stop" else "immediate",
            "state": STATES[order["status"]], "quantity": order["qty"],
            "cumulative_quantity": order["filled_qty"], "price": order["limit_price"],
            "stop_price": order["stop_price"], "reject_reason": None, "fees": "0.00",
            "created_at": order["submitted_at"], "updated_at": order["updated_at"],
            "executions": [
                {
                    "id": fill["id"].partition("::")[2], "price": fill["price"],
                    "quantity": fill["qty"], "timestamp": fill["transaction_time"],
                    "settlement_date": _day_after(fill["transaction_time"]),
                }
                for fill in fills
            ],
        }  # fmt: skip

    def _position(self, symbol: str, quantity: Any) -> dict[str, Any]:
        number = self.books.assets[symbol]["id"]
        return {
            "instrument": self._address("instruments", number), "quantity": str(quantity),
            "account_number": ACCOUNT, "average_buy_price": "100",
        }  # fmt: skip

    def _instrument(self, asset: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": asset["id"], "url": self._address("instruments", asset["id"]),
            "symbol": asset["symbol"], "tradeable": asset["tradable"], "state": "active",
            "fractional_tradability": "tradable" if asset["fractionable"] else "untradable",
        }  # fmt: skip

    def _account(self) -> dict[str, Any]:
        return {
            "account_number": ACCOUNT, "type": self.account_type, "cash": str(self.books.cash),
            "deactivated": False, "only_position_closing_trades": False,
        }  # fmt: skip

    def _address(self, kind: str, number: str) -> str:
        return f"https://elsewhere.invalid/{kind}/{number}/"


def _day_after(stamped: str) -> str:
    return (datetime.fromisoformat(stamped) + timedelta(days=1)).date().isoformat()
