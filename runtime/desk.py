"""What the trading sleeve has on: orders under way, holdings, and the figures rules are asked with.

Rebuilt from events at any time: a session's decisions name its orders, their streams say the rest.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

from aggregates.market import Bar
from aggregates.money import plain
from aggregates.order import FINAL, Order, order_stream
from aggregates.session import Session
from config.calendar import SessionHours
from eventstore.application import Store
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf
from strategies.protocol import Holding, minute_of

_ZERO = Decimal(0)
_CASH_ROLES = ("cash_float", "tax_reserve", "payroll_reserve", "reinvestment_pool")
_RESULT_ROLES = ("gain_short_term", "gain_long_term", "commissions", "fees", "rounding")


class Desk:
    """Trading positions and open orders of one session. ``bars`` holds the last bar by symbol.

    The ledger must be caught up before a figure is asked for.
    """

    def __init__(self, store: Store, books: LedgerQueries, hours: SessionHours) -> None:
        self._store, self._books = store, books
        self.hours = hours
        self._before = AsOf(date=hours.day - timedelta(days=1))
        self.orders: dict[str, Order] = {}
        self.bars: dict[str, Bar] = {}
        mapping = books.chart().mapping
        self._mapping = mapping
        self._cost_account = mapping["trading_securities"]
        held = books.positions(self._before)
        # what an earlier session could not sell is held from the open on, and watched
        self._carried = {p.symbol: p for p in held if self._is_trading(p.code)}
        self.held_long_term = {p.symbol for p in held if not self._is_trading(p.code)}

    def _is_trading(self, account: str) -> bool:
        return account.startswith(self._cost_account + ".")

    @property
    def carried(self) -> set[str]:
        """Symbols that an earlier session bought and could not sell."""
        return set(self._carried)

    def load(self, session: Session) -> None:
        """Take up the orders that the session has decided so far."""
        for decision in session.decided.values():
            if decision.order_id:
                self.refresh(decision.order_id)

    def refresh(self, order_id: str) -> Order:
        """Read one order again, after an event of it."""
        order = self.orders[order_id] = self._store.load(Order, order_stream(order_id))
        return order

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Orders that can still change, in the order of intent."""
        return [
            order
            for order in self.orders.values()
            if order.state not in FINAL and symbol in (None, order.terms.symbol)
        ]

    @property
    def symbols(self) -> set[str]:
        """Everything that is held or on order."""
        return {o.terms.symbol for o in self.open_orders()} | set(self.holdings())

    # -- holdings --------------------------------------------------------------------------

    def holdings(self) -> dict[str, Holding]:
        """What trading holds now, by symbol."""
        quantity: defaultdict[str, Decimal] = defaultdict(Decimal)
        bought: defaultdict[str, Decimal] = defaultdict(Decimal)
        value: defaultdict[str, Decimal] = defaultdict(Decimal)
        since: dict[str, datetime] = {}
        for symbol, position in self._carried.items():
            quantity[symbol] = bought[symbol] = position.quantity
            value[symbol], since[symbol] = position.cost, self.hours.open
        for order in self.orders.values():
            if order.first_filled_at is None:
                continue
            symbol, filled = order.terms.symbol, order.filled.decimal
            if order.terms.side == "buy":
                quantity[symbol] += filled
                bought[symbol] += filled
                value[symbol] += order.filled_value
                since.setdefault(symbol, order.first_filled_at)
            else:
                quantity[symbol] -= filled
        return {
            symbol: Holding(
                symbol=symbol,
                quantity=plain(held),
                average_price=value[symbol] / bought[symbol],
                first_fill_at=minute_of(since[symbol]),
            )
            for symbol, held in quantity.items()
            if held > 0
        }

    # -- figures ---------------------------------------------------------------------------

    def last_price(self, symbol: str) -> Decimal | None:
        """Close of the last complete bar; None when the symbol has not traded today."""
        bar = self.bars.get(symbol)
        return bar.close if bar else None

    def _pending_buys(self) -> list[tuple[Order, Decimal]]:
        """Entries under way with the value that they may still cost."""
        found = []
        for order in self.open_orders():
            if order.terms.side == "buy":
                price = self.last_price(order.terms.symbol) or _ZERO
                found.append((order, order.open_quantity.decimal * price))
        return found

    def cash_float(self) -> Decimal:
        """What strategies may still spend: the float, less what entries under way may take."""
        float_now = self._books.balance_of(self._mapping["cash_float"])
        return float_now - sum((value for _, value in self._pending_buys()), _ZERO)

    def market_value(self) -> Decimal:
        """Trading positions at the last complete bar; at cost where none has come today."""
        total = _ZERO
        for symbol, held in self.holdings().items():
            price = self.last_price(symbol)
            total += held.quantity * (held.average_price if price is None else price)
        return total

    def equity(self) -> Decimal:
        """All cash, reserves included, and trading positions at their last prices."""
        cash = sum((self._books.balance_of(self._mapping[r]) for r in _CASH_ROLES), _ZERO)
        return cash + self.market_value()

    def equity_at_open(self) -> Decimal:
        """The same before the session: cash, and what was carried over at cost."""
        cash = (self._books.balance_of(self._mapping[r], self._before) for r in _CASH_ROLES)
        return sum(cash, _ZERO) + sum((p.cost for p in self._carried.values()), _ZERO)

    def realized_today(self) -> Decimal:
        """Result booked today: gains less commissions and fees; a loss is below 0."""
        today = AsOf(date=self.hours.day)
        codes = [self._mapping[role] for role in _RESULT_ROLES]
        return sum(
            (
                self._books.balance_of(code, self._before) - self._books.balance_of(code, today)
                for code in codes
            ),
            _ZERO,
        )

    def unrealized(self) -> Decimal:
        return self.market_value() - self._books.balance_of(self._cost_account)

    def exposure(self) -> Decimal:
        """Trading positions at their last price plus entries under way."""
        return self.market_value() + sum((value for _, value in self._pending_buys()), _ZERO)

    def open_positions(self) -> int:
        """Symbols held or about to be bought."""
        return len(set(self.holdings()) | {o.terms.symbol for o, _ in self._pending_buys()})
