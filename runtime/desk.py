"""What the trading sleeve has on: orders under way, holdings, and the figures rules are asked with.

Rebuilt from events at any time: a session's decisions name its orders, their streams say the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from aggregates.chart_rules import PURSE_ROLES, TRADING_ROLES
from aggregates.holdings_plan import STREAM, HoldingsPlan
from aggregates.market import Bar, Quote
from aggregates.money import plain
from aggregates.occ import occ_terms
from aggregates.order import Order
from aggregates.session import Session
from config.calendar import SessionHours
from eventstore.application import Store
from projections.holdings_results import realized_by_sleeve
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf
from runtime.order_book import OrderBook
from strategies.protocol import Holding, minute_of

_ZERO = Decimal(0)
_BEFORE, _TODAY, _NOW = 0, 1, 2  # places of the dates that the totals are kept for
_OWNER_ROLES = ("opening_equity", "owner_draws")


class Booked(NamedTuple):
    """What the ledger says of the session, in the base currency."""

    cash_float: Decimal
    cash: Decimal
    cash_before: Decimal
    brought_in: Decimal
    realized: Decimal
    cost: Decimal


class Desk(OrderBook):
    """Trading positions and open orders of one session. ``bars`` holds the last bar by symbol, and
    ``quotes`` the last quote of what was bought on another symbol's weakness.

    An order of the long-term holdings that a session's decision names (a sale by hand) is carried
    and counts in no figure. The ledger must be caught up before a figure is asked for.
    """

    def __init__(self, store: Store, books: LedgerQueries, hours: SessionHours) -> None:
        super().__init__(store, hours)
        self._books = books
        self._before = AsOf(date=hours.day - timedelta(days=1))
        self.bars: dict[str, Bar] = {}
        self.quotes: dict[str, Quote] = {}
        self.bars_read_at: datetime | None = None
        self._signal_prices: dict[str, Decimal] = {}
        self.underlyings: dict[str, str] = {}  # of what was bought on another symbol's weakness
        self._multipliers: dict[str, int] = {}  # of options: units of the underlying in a contract
        self._holdings: dict[str, Holding] | None = None  # until an order is read again
        self._totals = books.running(self._before.date, hours.day, None)
        self._booked: Booked | None = None
        mapping = books.chart().mapping
        self._mapping = mapping
        self._cost_accounts = tuple(mapping[role] for role in TRADING_ROLES)
        self.take_over()

    def take_over(self) -> None:
        """What the books held before the session: again when a comparison booked a late fill."""
        held = self._books.positions(self._before)
        plan = self._store.load(HoldingsPlan, STREAM).plan
        planned = plan.symbols if plan else set()
        self._holdings = None
        # what an earlier session could not sell is held from the open on, and watched
        self._carried = {p.symbol: p for p in held if self._is_trading(p.code)}
        self._multipliers |= {p.symbol: p.multiplier for p in self._carried.values()}
        self.held_long_term = {p.symbol for p in held if not self._is_trading(p.code)} | planned

    def _is_trading(self, account: str) -> bool:
        return account.partition(".")[0] in self._cost_accounts

    @property
    def carried(self) -> set[str]:
        """Symbols that an earlier session bought and could not sell."""
        return set(self._carried)

    def load(self, session: Session) -> None:
        """Take up the orders that the session has decided so far."""
        for decision in session.decided.values():
            if decision.order_id:
                self.refresh(decision.order_id)
                if (instrument := decision.inputs.get("instrument")) is not None:
                    multiplier = int(decision.inputs.get("multiplier", 1))
                    self.bought_on_weakness(instrument, decision.symbol, multiplier)
                if (price := decision.inputs.get("price")) is not None:
                    self._signal_prices[decision.order_id] = Decimal(price)

    def bought_on_weakness(self, instrument: str, underlying: str, multiplier: int) -> None:
        """What an instrument was ordered for, and how many units of its price one of it costs."""
        self._holdings = None
        self.underlyings[instrument], self._multipliers[instrument] = underlying, multiplier

    def multiplier(self, symbol: str) -> int:
        return self._multipliers.get(symbol, 1)

    def quoted(self) -> set[str]:
        """What trading holds or has on order that is worth its bid: options, which have few trades,
        and what else stands for another symbol's weakness."""
        return {s for s in self.symbols if s in self.underlyings or occ_terms(s) is not None}

    def refresh(self, order_id: str) -> Order:
        """Read one order again, after an event of it."""
        self._holdings = None
        return super().refresh(order_id)

    def _trading(self, orders: Iterable[Order]) -> list[Order]:
        return [order for order in orders if order.terms.sleeve == "trading"]

    @property
    def symbols(self) -> set[str]:
        """Everything that trading holds or has on order."""
        on_order = {o.terms.symbol for o in self._trading(self.open_orders())}
        return on_order | set(self.holdings())

    # -- holdings --------------------------------------------------------------------------

    def bought_by(self, symbol: str) -> str:
        """The strategy whose purchase of today was filled last; empty where none was."""
        orders = self._trading(self.orders.values())
        of_symbol = (o for o in orders if (o.terms.symbol, o.terms.side) == (symbol, "buy"))
        filled = [o.terms.strategy for o in of_symbol if o.first_filled_at is not None]
        return filled[-1] if filled else ""

    def holdings(self) -> Mapping[str, Holding]:
        """What trading holds now, by symbol."""
        if self._holdings is None:
            self._holdings = self._add_up()
        return self._holdings

    def _add_up(self) -> dict[str, Holding]:
        quantity: defaultdict[str, Decimal] = defaultdict(Decimal)
        bought: defaultdict[str, Decimal] = defaultdict(Decimal)
        value: defaultdict[str, Decimal] = defaultdict(Decimal)
        since: dict[str, datetime] = {}
        for symbol, position in self._carried.items():
            quantity[symbol] = bought[symbol] = position.quantity
            value[symbol] = position.cost / position.multiplier
            since[symbol] = self.hours.open
        for order in self._trading(self.orders.values()):
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
                if not quantity[symbol]:  # sold out: what is bought after that is another position
                    bought[symbol] = value[symbol] = _ZERO
                    since.pop(symbol, None)
        return {
            symbol: Holding(
                symbol=symbol,
                quantity=plain(held),
                average_price=value[symbol] / bought[symbol],
                first_fill_at=minute_of(since[symbol]),
                underlying=self.underlyings.get(symbol, ""),
            )
            for symbol, held in quantity.items()
            if held > 0
        }

    # -- figures ---------------------------------------------------------------------------

    def last_price(self, symbol: str) -> Decimal | None:
        """What ``last_known`` says, without its time."""
        known = self.last_known(symbol)
        return known[0] if known else None

    def last_known(self, symbol: str) -> tuple[Decimal, datetime] | None:
        """The last price today and when it was made: the close of the last complete bar, or the bid
        of what was bought on weakness, for that is what it could be sold for."""
        quote, bar = self.quotes.get(symbol), self.bars.get(symbol)
        # it may be a candidate, too, whose bars go on when it is sold and quoted no more
        if quote is not None and quote.bid > 0 and (bar is None or quote.end >= bar.end):
            return quote.bid, quote.end
        return None if bar is None else (bar.close, bar.end)

    def worth(self, symbol: str, quantity: Decimal, price: Decimal) -> Decimal:
        """Of so many units at that price: a contract is many units of its underlying."""
        return quantity * price * self.multiplier(symbol)

    def _pending_buys(self) -> list[tuple[Order, Decimal]]:
        """Entries under way with the value that they may still cost."""
        found = []
        for order in self._trading(self.open_orders()):
            if order.terms.side == "buy":
                price = self.last_price(order.terms.symbol)
                if price is None:  # after a restart no bar may be known yet
                    price = self._signal_prices.get(order.terms.order_id, _ZERO)
                symbol, open_ = order.terms.symbol, order.open_quantity.decimal
                found.append((order, self.worth(symbol, open_, order.terms.limit_price or price)))
        return found

    def cash_float(self) -> Decimal:
        """What strategies may still spend: the float, less what entries under way may take."""
        return self._ledger().cash_float - sum((v for _, v in self._pending_buys()), _ZERO)

    def market_value(self) -> Decimal:
        """Trading positions at the last complete bar; at cost where none has come today."""
        total = _ZERO
        for symbol, held in self.holdings().items():
            price = self.last_price(symbol)
            known = held.average_price if price is None else price
            total += self.worth(symbol, held.quantity, known)
        return total

    def equity(self) -> Decimal:
        """All cash, reserves included, and trading positions at their last prices."""
        return self._ledger().cash + self.market_value()

    def equity_at_open(self) -> Decimal:
        """The same before the session: cash, and what was carried over at cost. What the owner
        brings in or draws on the day counts as there from its beginning: it is no result."""
        booked = self._ledger()
        carried = sum((p.cost for p in self._carried.values()), _ZERO)
        return booked.cash_before + booked.brought_in + carried

    def realized_today(self) -> Decimal:
        """Trading's result booked today: gains less commissions and fees; a loss is below 0."""
        return self._ledger().realized

    def unrealized(self) -> Decimal:
        return self.market_value() - self._ledger().cost

    def result_today(self) -> Decimal:
        """Realized and unrealized together."""
        booked = self._ledger()
        return booked.realized - booked.cost + self.market_value()

    def exposure(self) -> Decimal:
        """Trading positions at their last price plus entries under way."""
        return self.market_value() + sum((value for _, value in self._pending_buys()), _ZERO)

    def open_positions(self) -> int:
        """Symbols held or about to be bought."""
        return len(set(self.holdings()) | {o.terms.symbol for o, _ in self._pending_buys()})

    def _ledger(self) -> Booked:
        """The ledger's figures, looked at again whenever it has a newer entry."""
        totals, role = self._totals, self._mapping
        if totals.follow() or self._booked is None:
            cash = [role[name] for name in PURSE_ROLES]
            self._booked = Booked(
                cash_float=totals.of(role["cash_float"], _NOW),
                cash=sum((totals.of(code, _NOW) for code in cash), _ZERO),
                cash_before=sum((totals.of(code, _BEFORE) for code in cash), _ZERO),
                brought_in=self._credited(_OWNER_ROLES),
                realized=realized_by_sleeve(self._books, self.hours.day, self.hours.day).trading,
                cost=sum((totals.of(code, _NOW) for code in self._cost_accounts), _ZERO),
            )
        return self._booked

    def _credited(self, roles: tuple[str, ...]) -> Decimal:
        """What was booked to these accounts on the day, credits above 0."""
        codes = [self._mapping[name] for name in roles]
        return sum(
            (self._totals.of(code, _BEFORE) - self._totals.of(code, _TODAY) for code in codes),
            _ZERO,
        )
