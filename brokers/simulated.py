"""The simulated broker: an account that fills on real or synthetic bars (decision 0002).

Every call of the port first processes the minutes that became complete since the last one, so
whoever asks sees what a broker would have done by now, and nothing later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from aggregates.market import MINUTE, Bar, IndexLevel, OptionContract, Quote
from aggregates.money import PRICE_SCALE, QUANTITY_SCALE, Money, exponent, from_scaled, to_scaled
from brokers.known_market import KnownMarket
from brokers.market_data import MarketData
from brokers.port import (
    Account,
    Activity,
    Asset,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    Capabilities,
    DuplicateOrder,
    Execution,
    News,
    OrderRefused,
    OrderRequest,
    SessionCalendar,
)
from brokers.request_checks import price_units, quantity_units
from brokers.simulated_fills import Fill, costs, fill_minute
from brokers.simulated_options import MULTIPLIER, SimulatedOptions, whole
from brokers.simulated_refusals import draws_refusal
from brokers.simulated_store import NewOrder, SimulatedStore
from config.calendar import SessionHours
from config.clock import EPOCH, Clock

_CAPABILITIES = Capabilities(
    name="simulated",
    fractional=True,
    quantity_step=from_scaled(1, QUANTITY_SCALE),
    order_types=frozenset({"market", "limit", "stop"}),
    long_equity=True,
    inverse_etf=True,  # a share like any other, where the market data has one
    long_put=True,  # of a market that it makes up itself
    simulated=True,
)


class SimulatedBroker:
    """Implements ``brokers.port.Broker`` on one durable file.

    For exchanges whose sessions lie within one UTC day, as those of the United States do.
    ``starting_cash`` (major units) is written when the file is created; a file that exists keeps
    its own. ``reject_share`` of all orders (0 to 1) is refused at random: the draw follows from
    ``seed`` and the client order id alone, so asking again draws the same.
    """

    def __init__(
        self,
        file: Path,
        market: MarketData,
        clock: Clock,
        calendar: SessionCalendar,
        *,
        currency: str = "USD",
        starting_cash: Decimal,
        seed: int,
        reject_share: Decimal = Decimal(0),
    ) -> None:
        opening = Money.of(starting_cash, currency)
        if opening.minor < 0 or not 0 <= reject_share <= 1:
            raise BrokerError(
                f"Starting cash {starting_cash} must not be negative and the share of refusals "
                f"{reject_share} must lie between 0 and 1. Nothing was opened; correct them."
            )
        self._market = KnownMarket(market)
        self._clock, self._calendar, self._currency = clock, calendar, currency
        self._seed, self._reject_share = seed, reject_share
        self._store = SimulatedStore(file, opening)
        self._caught_up = self._due = EPOCH  # asked between the two, nothing has become complete
        self._judged_until = EPOCH
        self._expired_on = EPOCH.date()
        self._sessions: dict[date, SessionHours | None] = {}
        self._settlements: dict[date, date] = {}

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    @property
    def _options(self) -> SimulatedOptions:
        """The puts on what is in the market; it keeps nothing."""
        return SimulatedOptions(self._market)

    def self_check(self) -> Sequence[str]:
        """The file proves its own sums; today's session must have data; time must not go back."""
        now = self._catch_up()
        faults = self._store.faults()
        if now < (done := self._store.processed_until()):
            faults.append(
                f"The clock says {now}, but minutes up to {done} are processed already; "
                "set the clock right or wait."
            )
        if self._session_on(now.date()) and not self._market.has_day(now.date()):
            faults.append(
                f"There is no market data for the session of {now.date()}: nothing would fill. "
                "Add its files or choose other days."
            )
        return faults

    def clock(self) -> datetime:
        return self._clock.now()

    def processed_until(self) -> datetime:
        """Minutes before this instant are done, UTC: where a simulated clock may go on."""
        return self._store.processed_until()

    def account(self) -> Account:
        self._catch_up()
        return Account(currency=self._currency, cash=self._store.cash().decimal)

    def asset(self, symbol: str) -> Asset | None:
        if symbol in self._market.symbols:
            return Asset(symbol=symbol, tradable=True, fractionable=True, halted=None)
        if (terms := self._options.terms(symbol)) is None:
            return None
        lives = terms.expiry >= self._clock.now().date()
        return Asset(symbol=symbol, tradable=lives, fractionable=False, halted=None)

    def positions(self) -> Sequence[BrokerPosition]:
        self._catch_up()
        return self._store.positions()

    def open_orders(self) -> Sequence[BrokerOrder]:
        self._catch_up()
        return self._store.open_orders()

    def order(self, client_order_id: str) -> BrokerOrder | None:
        self._catch_up()
        return self._store.order(client_order_id)

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        self._catch_up()
        return self._store.executions_since(sequence)

    def activities(self, first: date) -> Sequence[Activity]:
        """Options that expired: costs are in the executions, and nothing else moves its cash."""
        self._catch_up()
        return self._store.activities(first)

    def news(self) -> News:
        """It tells nothing by itself: always ask."""
        return News(orders=(), ask=True)

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Accept a day order, or raise OrderRefused (nothing is kept of it) or DuplicateOrder."""
        now = self._catch_up()
        with self._store.transaction():
            if self._store.order(request.client_order_id) is not None:
                raise DuplicateOrder(
                    f"Order {request.client_order_id} is here already; it was not taken again. "
                    "Ask for its state by this id."
                )
            accepted = self._store.add_order(self._checked(request, now))
            self._store.set_processed_until(_minute_of(now))
        return accepted

    def cancel(self, client_order_id: str) -> None:
        """What is still open is cancelled at once; a final order stays what it is."""
        now = self._catch_up()
        with self._store.transaction():
            if self._store.order(client_order_id) is None:
                raise BrokerError(
                    f"There is no order {client_order_id} to cancel. Nothing was changed; look at "
                    "the open orders."
                )
            self._store.cancel(client_order_id, now)

    def quote(self, symbol: str) -> Quote | None:
        return self._source(symbol).quote(symbol, self._catch_up())

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        return self._source(symbol).bars(symbol, start, end, self._catch_up())

    def option_chain(self, underlying: str, first: date, last: date) -> Sequence[OptionContract]:
        """Made up from the bars of the underlying; none on what is not in the market data."""
        now = self._catch_up()
        known = underlying in self._market.symbols
        return self._options.chain(underlying, first, last, now) if known else ()

    def index(self, symbol: str) -> IndexLevel | None:  # noqa: ARG002 - of the port
        """None ever: its market data has no indices."""
        return None

    def close(self) -> None:
        """Close the file; what was accepted stays in it."""
        self._store.close()

    # --- time -------------------------------------------------------------------------------

    def _catch_up(self) -> datetime:
        """Process every minute that is complete now; returns now.

        Ends after a session's minutes at the latest, because day orders expire at its close.
        """
        now = self._clock.now()
        if not self._caught_up <= now < self._due:
            this_minute = _minute_of(now)
            while (minute := self._store.pending_minute()) is not None:
                if (minute := max(minute, self._judged_until)) >= this_minute:
                    break
                self._process(minute)
                self._judged_until = minute + MINUTE
            if now.date() != self._expired_on:  # contracts end with a day
                self._expire_options(now)
                self._expired_on = now.date()
            self._caught_up, self._due = this_minute, this_minute + MINUTE
        return now

    def _process(self, minute: datetime) -> None:
        """Everything that one complete minute does to the account, in one transaction.

        A minute that does nothing is not written: judged again after a restart, it does nothing.
        """
        end = minute + MINUTE
        fills: list[Fill] = []
        with self._store.transaction():
            if self._store.processed_until() > minute:
                return  # another process was faster
            expired = self._store.expire(minute)
            orders = self._store.resting_orders()
            for symbol in sorted({order.symbol for order in orders}):
                market = self._source(symbol)
                for bar in market.bars(symbol, minute, end, end):
                    own = [order for order in orders if order.symbol == symbol]
                    fills += fill_minute(own, bar, market.quote(symbol, minute))
            fills.sort(key=lambda fill: fill.order.number)
            for place, fill in enumerate(fills, start=1):
                units = fill.quantity_units * self._multiplier(fill.order.symbol)
                charged = costs(fill.order.side, units, fill.price_units, self._currency)
                executed_at = minute + timedelta(microseconds=place)
                self._store.add_execution(fill, charged, executed_at, end)
            expired += self._store.expire(end)
            if fills or expired:
                self._store.set_processed_until(end)

    def _expire_options(self, now: datetime) -> None:
        """Once its last day is over a contract is gone: for nothing, or for what exercising pays
        (then in cash, as if the shares had been bought for it at the last price)."""
        for held in self._store.positions():
            terms = self._options.terms(held.symbol)
            if terms is None or terms.expiry >= now.date():
                continue
            worth = self._options.worth_at_expiry(held.symbol)
            paid = Money.rounded(worth * held.quantity * MULTIPLIER, self._currency)
            with self._store.transaction():
                self._store.expire_position(held.symbol, terms.expiry, paid.minor)

    def _source(self, symbol: str) -> KnownMarket | SimulatedOptions:
        """Where bars and quotes of the symbol come from. Raises BrokerError for one of neither."""
        market = self._market
        if symbol in market.symbols:
            return market
        if self._options.terms(symbol) is None:
            raise BrokerError(
                f"{symbol} is not in the market data. Nothing was guessed; trade one of "
                f"{', '.join(market.source.symbols())}."
            )
        return self._options

    def _multiplier(self, symbol: str) -> int:
        return 1 if symbol in self._market.symbols else MULTIPLIER

    def _session_on(self, day: date) -> SessionHours | None:
        if day not in self._sessions:
            self._sessions[day] = self._calendar.session(day)
        return self._sessions[day]

    def _settles_on(self, day: date) -> date:
        if day not in self._settlements:
            self._settlements[day] = self._calendar.settles_on(day)
        return self._settlements[day]

    # --- refusals ---------------------------------------------------------------------------

    def _checked(self, request: OrderRequest, now: datetime) -> NewOrder:
        """The order in the file's units, or OrderRefused with the first reason against it."""
        symbol = request.symbol
        asset = self.asset(symbol)
        if asset is None:
            raise OrderRefused("unknown_symbol", f"{symbol} is not traded here.")
        quantity = quantity_units(request)
        if not asset.tradable:
            raise OrderRefused("not_tradable", f"{symbol} has expired.")
        if not (asset.fractionable or whole(quantity)):
            raise OrderRefused("not_fractionable", f"{symbol} is traded in whole contracts.")
        limit = price_units(request, "limit", request.limit_price)
        stop = price_units(request, "stop", request.stop_price)
        session = self._session_on(now.date())
        if session is None or not session.open <= now < session.close:
            raise OrderRefused("market_closed", f"The market is closed at {now}; try in a session.")
        if request.side == "sell":
            self._check_holding(symbol, quantity)
        else:
            self._check_cash(symbol, quantity, now)
        if draws_refusal(self._seed, self._reject_share, request.client_order_id):
            raise OrderRefused("random_refusal", "Refused at random, as the settings ask for.")
        return NewOrder(
            client_order_id=request.client_order_id,
            symbol=symbol,
            side=request.side,
            order_type=request.order_type,
            quantity_units=quantity,
            limit_units=limit,
            stop_units=stop,
            submitted_at=now,
            expires_at=session.close,
            settles_on=self._settles_on(session.day),
        )

    def _check_holding(self, symbol: str, quantity: int) -> None:
        """No short sales: what other open orders may still sell is not there to be sold again."""
        promised = sum(
            order.open_units
            for order in self._store.resting_orders()
            if order.symbol == symbol and order.side == "sell"
        )
        free = self._store.position_units(symbol) - promised
        if quantity > free:
            raise OrderRefused(
                "short_sale",
                f"Only {from_scaled(free, QUANTITY_SCALE).normalize():f} {symbol} can be sold; "
                "there are no short sales.",
            )

    def _check_cash(self, symbol: str, quantity: int, now: datetime) -> None:
        """At last known prices, what other open orders may still buy is spent already."""
        wanted = {symbol: quantity}
        for order in self._store.resting_orders():
            if order.side == "buy":
                wanted[order.symbol] = wanted.get(order.symbol, 0) + order.open_units
        needed = sum(
            units * self._last_price(name, now) * self._multiplier(name)
            for name, units in wanted.items()
        )
        cash = self._store.cash()
        if needed * 10 ** exponent(cash.currency) > cash.minor * QUANTITY_SCALE * PRICE_SCALE:
            raise OrderRefused(
                "insufficient_cash",
                f"{symbol} and the purchases still open come to more than the cash of {cash}.",
            )

    def _last_price(self, symbol: str, now: datetime) -> int:
        if (bar := self._source(symbol).last_bar(symbol, now)) is None:
            raise OrderRefused("no_price", f"No price of {symbol} is known yet; wait for one.")
        return to_scaled(bar.close, PRICE_SCALE, "price")


def _minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
