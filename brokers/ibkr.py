"""The adapter to Interactive Brokers by IB Gateway or TWS (decision 0038).

ib_async knows the handshake and the order of the fields; time-outs, exact numbers, what is sent
once and what an answer means are ours (``ibkr_link``, ``ibkr_line``, ``ibkr_wire``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from aggregates.market import Bar, IndexLevel, OptionContract, Quote
from brokers.ibkr_contracts import IbkrContracts
from brokers.ibkr_data import IbkrData
from brokers.ibkr_fills import IbkrFills
from brokers.ibkr_line import IbkrLine, Tell, believed, no_answer
from brokers.ibkr_link import Access, ClientIdTaken, Refused
from brokers.ibkr_listed import IbkrListed
from brokers.ibkr_options import IbkrOptions
from brokers.ibkr_orders import IbkrOrders
from brokers.ibkr_symbols import CURRENCY, symbol_of
from brokers.ibkr_told import AccountValue, Unreadable
from brokers.ibkr_wire import exact
from brokers.port import (
    MAX_SKEW,
    Account,
    Activity,
    Asset,
    BrokerOrder,
    BrokerPosition,
    Capabilities,
    Execution,
    News,
    OrderRequest,
    SessionCalendar,
)
from config.clock import Clock

TRIED_WITH = "SPY"  # a symbol that every US account with market data has prices of
PAPER = "D"  # with which the numbers of paper accounts begin
_CLOCK_STEP = timedelta(seconds=1)  # of its clock


class IbkrBroker:
    """Implements ``brokers.port.Broker``. For one thread. ``tell`` gets every request for the log.

    Whole units only. Executions are those since midnight, which is all that IBKR tells of them.
    """

    def __init__(
        self, access: Access, clock: Clock, calendar: SessionCalendar, *, tell: Tell
    ) -> None:
        self._access, self._clock = access, clock
        self._line = IbkrLine(access, clock, tell)
        self._contracts = IbkrContracts(self._line)
        self._data = IbkrData(self._line, self._contracts, clock)
        self._options = IbkrOptions(self._line, self._contracts, self._data, clock)
        self._fills = IbkrFills(self._line, clock, calendar)
        self._listed = IbkrListed(self._line, clock, self._fills.of_order)
        self._orders = IbkrOrders(self._line, self._listed, self._contracts, clock, self._held)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="ibkr",
            fractional=False,
            quantity_step=Decimal(1),
            order_types=frozenset({"market", "limit", "stop"}),
            long_equity=True,
            inverse_etf=True,
            long_put=True,
            simulated=False,
            bars_after=timedelta(seconds=5),
            requests_per_minute=500,  # IBKR allows 50 messages a second, an order takes up to six
        )

    # --- the account ------------------------------------------------------------------------

    def self_check(self) -> Sequence[str]:
        """Connection, account, clock and market data; another account raises KeysRefused."""
        try:
            values = self._values()
        except ClientIdTaken as e:
            return [str(e)]
        faults = believed("the account", lambda: self._against(values))
        asked = self._clock.now()
        skew = self.clock() - asked
        under_way = self._clock.now() - asked + _CLOCK_STEP
        if abs(skew) - under_way > MAX_SKEW:
            faults.append(
                f"This machine's clock and IBKR's differ by {skew.total_seconds():.0f} seconds. "
                "Set this machine's clock right."
            )
        market = self._data.fault(TRIED_WITH)
        faults += [market] if market else []
        return faults + self._fills.contradictions + self._listed.contradictions

    def _against(self, values: Sequence[AccountValue]) -> list[str]:
        faults = []
        if (base := _base(values)) != CURRENCY:
            faults.append(f"The account's base currency is {base}; only {CURRENCY} is known here.")
        others = {v.currency for v in values if v.tag == "CashBalance" and exact(v.value)}
        for currency in sorted(others - {"BASE", base, CURRENCY}):
            faults.append(f"The account holds {currency}, too; only {CURRENCY} is known here.")
        if self._access.paper not in (None, self._access.account.startswith(PAPER)):
            # IBKR_PORT says paper or real money, and the account is of the other kind
            meant = "paper" if self._access.paper else "real money"
            faults.append(
                f"Port {self._access.port} is for {meant}, and the account of IBKR_ACCOUNT is not. "
                "Change one of them before trading."
            )
        return faults

    def _values(self) -> list[AccountValue]:
        what, account = "the account", self._access.account
        try:
            told = self._line.ask(
                what,
                lambda c, n: c.reqAccountUpdatesMulti(n, account, "", False),
                ("value",),
                "value_end",
                stop=lambda c, n: c.cancelAccountUpdatesMulti(n),
            )
        except Refused as no:
            raise no_answer(what, no) from None
        return [t.row for t in told if t.kind == "value" and t.row.account == account]

    def clock(self) -> datetime:
        """In whole seconds."""
        what = "its clock"
        try:
            told = self._line.ask(what, lambda c, _: c.reqCurrentTime(), (), "time")
        except Refused as no:
            raise no_answer(what, no) from None
        found: datetime = told[-1].row
        return found

    def account(self) -> Account:
        """Cash as IBKR states it: trades count at once, not when they settle."""
        values = self._values()
        return believed("the account", lambda: _account(values))

    def positions(self) -> Sequence[BrokerPosition]:
        what = "the positions"
        try:
            told = self._line.ask(
                what, lambda c, _: c.reqPositions(), ("position",), "position_end",
                stop=lambda c, _: c.cancelPositions(),
            )  # fmt: skip
        except Refused as no:
            raise no_answer(what, no) from None
        rows = [t.row for t in told if t.kind == "position"]
        mine = [row for row in rows if row.account == self._access.account]

        def made() -> list[BrokerPosition]:
            by_contract = {row.contract.conId: row for row in mine}
            return [
                BrokerPosition(symbol=symbol_of(row.contract), quantity=row.quantity)
                for row in by_contract.values()
                if row.quantity
            ]

        return sorted(believed(what, made), key=lambda one: one.symbol)

    def _held(self, symbol: str) -> Decimal:
        held = (one.quantity for one in self.positions() if one.symbol == symbol)
        return sum(held, Decimal(0))

    def asset(self, symbol: str) -> Asset | None:
        """While it is halted it is not tradable; a symbol that names several contracts is not."""
        found = self._contracts.find(symbol)
        if not found:
            return None
        halted = self._data.halted(symbol)
        return Asset(
            symbol=symbol, tradable=len(found) == 1 and not halted, fractionable=False,
            halted=halted,
        )  # fmt: skip

    # --- orders -----------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> BrokerOrder:
        return self._orders.submit(request)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """IBKR lists the orders of its day; one of an earlier day is None."""
        return self._orders.order(client_order_id)

    def open_orders(self) -> Sequence[BrokerOrder]:
        return self._orders.open_orders()

    def cancel(self, client_order_id: str) -> None:
        self._orders.cancel(client_order_id)

    # --- fills and news ---------------------------------------------------------------------

    def fills_since(self, sequence: int) -> Sequence[Execution]:
        return self._fills.since(sequence)

    def activities(self, first: date) -> Sequence[Activity]:  # noqa: ARG002 - of the port
        """None ever: this API tells no dividends, fees or transfers. What they moved shows as a
        difference of cash or shares at reconciliation, which a person explains."""
        return ()

    def news(self) -> News:
        """IBKR tells changes of orders as it pleases, so each is an occasion to ask."""
        ask = self._line.heard() or self._listed.changed
        self._listed.changed = False
        return News(orders=(), ask=ask)

    # --- market data ------------------------------------------------------------------------

    def quote(self, symbol: str) -> Quote | None:
        return self._data.quote(symbol)

    def bars(self, symbol: str, start: datetime, end: datetime) -> Sequence[Bar]:
        return self._data.bars(symbol, start, end)

    def option_chain(self, underlying: str, first: date, last: date) -> Sequence[OptionContract]:
        """Quotes of the contracts nearest to the underlying's price; the others have none."""
        return self._options.puts(underlying, first, last)

    def index(self, symbol: str) -> IndexLevel | None:
        return self._data.index(symbol)

    def close(self) -> None:
        """End the connection; orders stay at IBKR."""
        self._line.close()


def _base(values: Sequence[AccountValue]) -> str:
    """The currency that the whole account is valued in."""
    found = {v.currency for v in values if v.tag == "NetLiquidation"} - {"", "BASE"}
    if len(found) != 1:
        raise Unreadable("the account's base currency")
    return found.pop()


def _account(values: Sequence[AccountValue]) -> Account:
    base = _base(values)
    cash = [v.value for v in values if (v.tag, v.currency) == ("CashBalance", base)]
    if len(cash) != 1:
        raise Unreadable("cash of the account")
    return Account(currency=base, cash=exact(cash[0]))
