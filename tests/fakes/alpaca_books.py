"""The books of the fake Alpaca: orders, executions, cash and positions, in its wire shapes.

A little market of its own: nothing fills before `trade` says that shares change hands.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from aggregates.occ import occ_symbol

D = Decimal
FINAL = ("filled", "canceled", "expired", "rejected")
Answer = tuple[int, Any]


def refused(status: int, code: int, message: str) -> Answer:
    return status, {"code": code, "message": message}


def stamp(moment: datetime) -> str:
    """As Alpaca writes it, with nine decimals."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"


class Books:
    """Thread-safe. ``told`` is called with the stream's data of every change of an order.

    ``clock`` says what the true time is, ``new_id`` gives ids of executions, in no order.
    """

    def __init__(self, cash: str = "100000") -> None:
        self.lock = threading.RLock()
        self.cash = D(cash)
        self.positions: dict[str, Decimal] = {}
        self.orders: dict[str, dict[str, Any]] = {}  # by Alpaca's id, in order of arrival
        self.fills: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []  # activities that are no fills
        self.assets: dict[str, dict[str, Any]] = {}
        self.contracts: dict[str, dict[str, Any]] = {}
        self.prices: dict[str, tuple[Decimal, Decimal]] = {}
        self.account_extra: dict[str, Any] = {}
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.new_id: Callable[[], uuid.UUID] = uuid.uuid4
        self.ahead = timedelta(0)  # of the true time
        self.ids_are_unique = True  # whether an order under an id that is known is refused
        self.hidden_fills = 0  # the newest ones, which the activities do not show yet
        self.told: Callable[[dict[str, Any]], None] = lambda _data: None
        self._ids = (uuid.UUID(int=n) for n in range(1, 10**9))
        for symbol in ("ALFA", "BRVO"):
            self.list_asset(symbol)

    # --- the market -------------------------------------------------------------------------

    def list_asset(self, symbol: str, price: str = "100.00", **more: Any) -> None:
        self.assets[symbol] = {
            "id": str(next(self._ids)), "class": "us_equity", "exchange": "NASDAQ",
            "symbol": symbol, "name": symbol, "status": "active", "tradable": True,
            "marginable": True, "shortable": False, "easy_to_borrow": False, "fractionable": True,
        } | more  # fmt: skip
        self.price(symbol, price)

    def list_put(self, underlying: str, day: date, strike: str, price: str, **more: Any) -> str:
        """A contract with a quote; ``more`` is what Alpaca says otherwise of it."""
        symbol = occ_symbol(underlying, day, "put", D(strike))
        self.contracts[symbol] = {
            "id": str(next(self._ids)), "symbol": symbol, "name": symbol, "status": "active",
            "tradable": True, "expiration_date": f"{day}", "root_symbol": underlying,
            "underlying_symbol": underlying, "underlying_asset_id": self.assets[underlying]["id"],
            "type": "put", "style": "american", "strike_price": strike, "multiplier": "100",
            "size": "100", "open_interest": "237", "open_interest_date": f"{day}",
            "close_price": "1", "close_price_date": f"{day}", "deliverables": [{
                "type": "equity", "symbol": underlying, "amount": "100",
                "allocation_percentage": "100", "settlement_type": "T+1",
                "settlement_method": "CCC", "delayed_settlement": False,
            }],
        } | more  # fmt: skip
        self.list_asset(symbol, price, fractionable=False)
        self.assets[symbol]["class"] = "us_option"
        return symbol

    def expire_put(self, symbol: str) -> None:
        """It is worth nothing any more, and gone over night."""
        held = self.positions.pop(symbol, D(0))
        self.contracts[symbol]["status"] = "inactive"
        self.others.append({
            "id": f"20260302000000000::{next(self._ids)}", "activity_type": "OPEXP",
            "date": f"{self.now():%Y-%m-%d}", "net_amount": "0", "description": "Option Expiry",
            "symbol": symbol, "qty": str(-held), "status": "executed",
        })  # fmt: skip

    def units(self, symbol: str) -> int:
        """Shares that a price is of."""
        return 100 if symbol in self.contracts else 1

    def price(self, symbol: str, price: str) -> None:
        """Quoted two cents to each side."""
        self.prices[symbol] = (D(price) - D("0.02"), D(price) + D("0.02"))

    def now(self) -> datetime:
        return self.clock() + self.ahead

    def trade(self, symbol: str, shares: str) -> None:
        """So many shares change hands with open orders, in order of arrival."""
        room = D(shares)
        with self.lock:
            if not self.assets[symbol]["tradable"]:
                return
            for order in self.open_orders():
                if order["symbol"] == symbol and room > 0 and self._meets(order):
                    part = min(room, D(order["qty"]) - D(order["filled_qty"]))
                    room -= part
                    self.fill(order["client_order_id"], part)

    def _meets(self, order: dict[str, Any]) -> bool:
        bid, ask = self.prices[order["symbol"]]
        buys = order["side"] == "buy"
        if order["type"] == "limit":
            return ask <= D(order["limit_price"]) if buys else bid >= D(order["limit_price"])
        if order["type"] == "stop":
            return ask >= D(order["stop_price"]) if buys else bid <= D(order["stop_price"])
        return True

    def fill(self, client_order_id: str, quantity: Decimal, *, late: bool = False) -> None:
        """One execution; ``late``: of an order that is cancelled already."""
        with self.lock:
            order = self.by_client(client_order_id)
            assert order is not None
            bid, ask = self.prices[order["symbol"]]
            price, sign = (ask, 1) if order["side"] == "buy" else (bid, -1)
            filled = D(order["filled_qty"]) + quantity
            order["filled_qty"] = str(filled)
            done = filled == D(order["qty"])
            if not late or done:
                order["status"] = "filled" if done else "partially_filled"
            symbol = order["symbol"]
            self.cash -= sign * (quantity * price) * self.units(symbol)
            self.positions[symbol] = self.positions.get(symbol, D(0)) + sign * quantity
            now, execution = self.now(), str(self.new_id())
            self.fills.append({
                "id": f"{now:%Y%m%d%H%M%S}{now.microsecond // 1000:03}::{execution}",
                "activity_type": "FILL", "transaction_time": stamp(now),
                "type": "fill" if done else "partial_fill", "price": str(price),
                "qty": str(quantity), "side": order["side"], "symbol": symbol,
                "leaves_qty": str(D(order["qty"]) - filled), "order_id": order["id"],
                "cum_qty": str(filled), "order_status": order["status"],
            })  # fmt: skip
            self._tell("fill" if done else "partial_fill", order, execution, price, quantity)

    def _tell(self, event: str, order: dict[str, Any], *execution: Any) -> None:
        order["updated_at"] = stamp(self.now())
        data = {"event": event, "timestamp": stamp(self.now()), "order": dict(order)}
        if execution:
            data |= dict(zip(("execution_id", "price", "qty"), map(str, execution), strict=True))
            data["position_qty"] = str(self.positions[order["symbol"]])
        self.told(data)

    # --- orders -----------------------------------------------------------------------------

    def by_client(self, client_order_id: str) -> dict[str, Any] | None:
        found = (o for o in self.orders.values() if o["client_order_id"] == client_order_id)
        return next(found, None)

    def open_orders(self) -> list[dict[str, Any]]:
        return [order for order in self.orders.values() if order["status"] not in FINAL]

    def submit(self, body: dict[str, Any]) -> Answer:
        """200 with the order, or a refusal in Alpaca's words."""
        with self.lock:
            no = next(self._against(body), None)
            if no is not None:
                return no
            at, number = stamp(self.now()), str(next(self._ids))
            order = self.orders[number] = {
                "id": number, "client_order_id": body["client_order_id"], "created_at": at,
                "updated_at": at, "submitted_at": at, "filled_at": None, "expired_at": None,
                "canceled_at": None, "failed_at": None, "replaced_at": None, "replaced_by": None,
                "asset_id": self.assets[body["symbol"]]["id"], "symbol": body["symbol"],
                "asset_class": self.assets[body["symbol"]]["class"], "notional": None,
                "qty": body["qty"], "position_intent": body.get("position_intent"),
                "filled_qty": "0", "filled_avg_price": None, "order_class": "",
                "order_type": body["type"], "type": body["type"], "side": body["side"],
                "time_in_force": body["time_in_force"], "limit_price": body.get("limit_price"),
                "stop_price": body.get("stop_price"), "status": "new", "extended_hours": False,
                "legs": None, "trail_percent": None, "trail_price": None, "hwm": None,
            }  # fmt: skip
            self._tell("new", order)
            return 200, dict(order)

    def _against(self, body: dict[str, Any]) -> Iterator[Answer]:
        assert all(isinstance(value, str) for value in body.values()), "numbers go as text"
        asset, quantity = self.assets.get(body["symbol"]), D(body["qty"])
        if self.ids_are_unique and self.by_client(body["client_order_id"]):
            yield refused(422, 40010001, "client_order_id must be unique")
        if asset is None:
            yield refused(422, 42210000, f'asset "{body["symbol"]}" not found')
            return
        if not asset["tradable"]:
            yield refused(422, 42210000, f"asset {body['symbol']} is not tradable")
        if quantity != int(quantity):
            if not asset["fractionable"]:
                yield refused(403, 40310000, f'asset "{body["symbol"]}" is not fractionable')
            if body["time_in_force"] != "day":
                yield refused(422, 42210000, "fractional orders must be DAY orders")
        if asset["class"] == "us_option":
            assert body["position_intent"] in ("buy_to_open", "sell_to_close")
            assert body["type"] in ("market", "limit")
            assert body["time_in_force"] == "day"
            assert quantity == int(quantity)
        promised = sum(
            (D(o["qty"]) - D(o["filled_qty"]) for o in self.open_orders()
             if o["symbol"] == body["symbol"] and o["side"] == "sell"), D(0),
        )  # fmt: skip
        held = self.positions.get(body["symbol"], D(0)) - promised
        if body["side"] == "sell" and quantity > held:
            yield refused(
                403, 40310000, f"insufficient qty available for order (available: {held})"
            )
        spent = sum(
            (self._worth(o, D(o["qty"]) - D(o["filled_qty"]))
             for o in self.open_orders() if o["side"] == "buy"), D(0),
        )  # fmt: skip
        if body["side"] == "buy" and self._worth(body, quantity) + spent > self.cash:
            options = "options " if asset["class"] == "us_option" else ""
            yield refused(403, 40310000, f"insufficient {options}buying power")

    def _worth(self, order: dict[str, Any], quantity: Decimal) -> Decimal:
        symbol = order["symbol"]
        return quantity * self.prices[symbol][1] * self.units(symbol)

    def cancel(self, number: str) -> Answer:
        with self.lock:
            order = self.orders.get(number)
            if order is None:
                return refused(404, 40410000, f"order not found for {number}")
            if order["status"] in FINAL:
                return refused(422, 42210000, f'order is already in "{order["status"]}" state')
            order["status"] = "canceled"
            order["canceled_at"] = stamp(self.now())
            self._tell("canceled", order)
            return 204, None

    def expire(self) -> None:
        """The close: day orders end."""
        with self.lock:
            for order in self.open_orders():
                order["status"] = "expired"
                order["expired_at"] = stamp(self.now())
                self._tell("expired", order)

    # --- what is asked ----------------------------------------------------------------------

    def account(self) -> dict[str, Any]:
        return {
            "id": "e6fe16f3-64a4-4921-8928-cadf02f92f98", "account_number": "PA0000000001",
            "status": "ACTIVE", "currency": "USD", "cash": str(self.cash),
            "buying_power": str(self.cash * 2), "trading_blocked": False,
            "account_blocked": False, "transfers_blocked": False, "pattern_day_trader": False,
            "trade_suspended_by_user": False, "multiplier": "2", "shorting_enabled": False,
            "options_approved_level": 2, "options_trading_level": 2,
        } | self.account_extra  # fmt: skip

    def held(self) -> list[dict[str, Any]]:
        return [
            {
                "asset_id": self.assets[symbol]["id"], "symbol": symbol, "exchange": "NASDAQ",
                "asset_class": self.assets[symbol]["class"], "avg_entry_price": "100",
                "qty": str(quantity),
                "side": "long" if quantity > 0 else "short", "market_value": "0",
                "cost_basis": "0", "qty_available": str(quantity),
            }
            for symbol, quantity in self.positions.items()
            if quantity
        ]  # fmt: skip

    def listed_fills(self) -> list[dict[str, Any]]:
        shown = self.fills[: len(self.fills) - self.hidden_fills]
        return sorted(shown, key=lambda fill: str(fill["id"]))

    def filled(self, client_order_id: str) -> Decimal:
        """Summed over executions: what any view of the order must come to."""
        order = self.by_client(client_order_id)
        mine = (D(f["qty"]) for f in self.fills if order and f["order_id"] == order["id"])
        return sum(mine, D(0))
