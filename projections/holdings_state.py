"""Rows and totals of the long-term part at one moment, computed in minor units."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from aggregates.chart_rules import HOLDINGS_ROLES, SECURITY_ROLES, TRADING_ROLES
from aggregates.holdings_plan import Plan, weights
from aggregates.money import QUANTITY_SCALE, divide_half_even, from_scaled, plain
from projections.holdings_dividends import Names, net_dividends
from projections.holdings_prices import Prices
from projections.holdings_records import HoldingsState, PriceThen, Reserves, SecurityRow
from projections.holdings_results import Results, codes_of, main_of
from projections.ledger_bulk import LedgerBulk
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf, Listing
from projections.performance_queries import PerformanceQueries
from strategies.holdings_allocation import float_target

HOLDINGS, VEHICLE = HOLDINGS_ROLES
_PRICE_SCALE = 10**6


class Held(NamedTuple):
    """One security in the accounts of some roles. 1e-9 units, minor units; ``value`` is None when
    there was no price."""

    units: int
    cost: int
    price: PriceThen | None
    value: int | None


class Wanted(NamedTuple):
    """What the plan says of one security."""

    symbol: str
    allocation: Decimal | None
    target: Fraction | None


class Moment:
    """What the ledger and the prices say at one as-of, read once."""

    def __init__(self, books: LedgerQueries, trading: PerformanceQueries, as_of: AsOf) -> None:
        self.codes = LedgerBulk(books).role_codes(as_of)
        self._currency = books.books().currency
        self.scale = 10 ** books.books().exponent
        self._sums, self._listed = books.sums(as_of), books.listed(as_of)
        self._names = Names(books, as_of)
        self._prices = Prices(books, trading, as_of)
        held = [a for a in self._sums if main_of(a) in self.codes[HOLDINGS]]
        self._results = Results(books).of(held, as_of)
        self._dividends = net_dividends(books, self.codes, self._names, as_of)
        self._known_prices: dict[str, PriceThen | None] = {}
        self._unpriced: set[str] = set()

    def state(self, plan: Plan | None) -> HoldingsState:
        found = [(wanted, suffix) for wanted, suffix in self._wanted(plan)]
        held = {s: self._held(s, (HOLDINGS,)) for _, s in found if s}
        parts = [h.value for h in held.values()]
        long_term = None if None in parts else sum(v for v in parts if v is not None)
        trading, vehicle = self._value(TRADING_ROLES), self._value((VEHICLE,))
        reserves = self._reserves()
        account = _total(self._minor(reserves.cash), long_term, trading, vehicle)
        rows = [
            self._row(wanted, suffix, held.get(suffix or ""), long_term) for wanted, suffix in found
        ]
        return HoldingsState(
            rows=tuple(rows),
            reserves=reserves,
            long_term_value=self._money_or_none(long_term),
            trading_value=self._money_or_none(trading),
            tax_vehicle_value=self._money_or_none(vehicle),
            account_value=self._money_or_none(account),
            float_target=self._float_target(plan, account),
            unpriced=tuple(sorted(self._unpriced)),
        )

    # -- which securities ------------------------------------------------------------------

    def _wanted(self, plan: Plan | None) -> Iterator[tuple[Wanted, str | None]]:
        """The plan's securities in its order, then by symbol what is or was held besides, each
        with its account's suffix: None where no instrument bears the symbol."""
        shares, seen = weights(plan) if plan else {}, set[str]()
        for planned in plan.securities if plan else ():
            suffix = self._names.bearer(planned.symbol, "9999-12-31")
            seen.add(suffix or "")
            symbol = self._listed[suffix].symbol if suffix else planned.symbol
            yield Wanted(symbol, planned.allocation, shares[planned.symbol]), suffix
        codes = self.codes[HOLDINGS]
        accounts = (account.partition(".") for account in self._sums)
        others = {suffix for main, _, suffix in accounts if suffix and main in codes} - seen
        for suffix in sorted(others, key=lambda s: self._listed[s].symbol):
            held = self._at(suffix, (HOLDINGS,))
            if any(held) or self._result(suffix) or self._dividends[suffix]:
                yield (
                    Wanted(self._listed[suffix].symbol, None, Fraction(0) if plan else None),
                    suffix,
                )

    # -- one security ----------------------------------------------------------------------

    def _row(
        self, wanted: Wanted, suffix: str | None, held: Held | None, long_term: int | None
    ) -> SecurityRow:
        listing = self._listed[suffix] if suffix else None
        if held is None or suffix is None:
            held = Held(0, 0, None, 0)
        units, cost, price, value = held
        realized = self._result(suffix) if suffix else 0
        dividends = self._dividends[suffix] if suffix else 0
        unrealized = None if value is None else value - cost
        actual = Fraction(value, long_term) if value is not None and long_term else None
        drift = None if actual is None or wanted.target is None else actual - wanted.target
        return SecurityRow(
            symbol=wanted.symbol,
            name=listing.name if listing else "",
            instrument_id=listing.instrument_id if listing else "",
            allocation=wanted.allocation,
            target=wanted.target,
            units=plain(from_scaled(units, QUANTITY_SCALE)),
            average_price=self._average(units, cost, listing),
            cost=self._money(cost),
            price=_rounded(price.price, _PRICE_SCALE) if price else None,
            price_at=price.at if price else None,
            value=self._money_or_none(value),
            realized=self._money(realized),
            dividends=self._money(dividends),
            unrealized=self._money_or_none(unrealized),
            total=self._money_or_none(_total(realized, dividends, unrealized)),
            actual=actual,
            deviation=None if drift is None else _rounded(drift * 100, 100),
        )

    def _at(self, suffix: str, roles: tuple[str, ...]) -> tuple[int, int]:
        """1e-9 units and cost in minor units."""
        sums = [self._sums.get(f"{m}.{suffix}") for m in codes_of(self.codes, roles)]
        return sum(s.quantity for s in sums if s), sum(s.amount for s in sums if s)

    def _held(self, suffix: str, roles: tuple[str, ...]) -> Held:
        units, cost = self._at(suffix, roles)
        listing = self._listed[suffix]
        price = self._price(suffix, listing)
        if not units:
            return Held(units, cost, price, 0)
        if price is None:
            self._unpriced.add(listing.symbol)
            return Held(units, cost, None, None)
        exact = price.price * units * listing.multiplier * self.scale / QUANTITY_SCALE
        return Held(units, cost, price, divide_half_even(exact.numerator, exact.denominator))

    def _price(self, suffix: str, listing: Listing) -> PriceThen | None:
        """Looked up once, in the accounts of all sleeves that were posted to."""
        if suffix not in self._known_prices:
            mains = codes_of(self.codes, SECURITY_ROLES)
            accounts = [a for a in (f"{main}.{suffix}" for main in mains) if a in self._sums]
            found = self._prices.of(listing.instrument_id, suffix, accounts)
            self._known_prices[suffix] = found
        return self._known_prices[suffix]

    def _result(self, suffix: str) -> int:
        mains = codes_of(self.codes, (HOLDINGS,))
        return sum(self._results[f"{main}.{suffix}"] for main in mains)

    def _average(self, units: int, cost: int, listing: Listing | None) -> Decimal | None:
        if not units or listing is None:
            return None
        return _rounded(
            Fraction(cost * QUANTITY_SCALE, units * self.scale * listing.multiplier), _PRICE_SCALE
        )

    # -- totals ----------------------------------------------------------------------------

    def _value(self, roles: tuple[str, ...]) -> int | None:
        """At market, of all that the accounts of these roles hold; None when a price is missing."""
        codes = codes_of(self.codes, roles)
        accounts = {a: s for a, s in self._sums.items() if s.quantity and main_of(a) in codes}
        suffixes = {account.partition(".")[2] for account in accounts}
        return _total(*(self._held(suffix, roles).value for suffix in sorted(suffixes)))

    def _reserves(self) -> Reserves:
        def purse(role: str) -> Decimal:
            codes = codes_of(self.codes, (role,))
            found = (s.amount for a, s in self._sums.items() if main_of(a) in codes)
            return self._money(sum(found))

        return Reserves(
            float=purse("cash_float"),
            tax_cash=purse("tax_reserve"),
            tax_vehicle=purse(VEHICLE),
            payroll=purse("payroll_reserve"),
            pool=purse("reinvestment_pool"),
        )

    def _float_target(self, plan: Plan | None, account: int | None) -> Decimal | None:
        if plan is None or account is None:
            return None
        return float_target(plan, self._money(account), self._currency)

    # -- money -----------------------------------------------------------------------------

    def _money(self, minor: int) -> Decimal:
        return from_scaled(minor, self.scale)

    def _money_or_none(self, minor: int | None) -> Decimal | None:
        return None if minor is None else self._money(minor)

    def _minor(self, amount: Decimal) -> int:
        return int(amount * self.scale)


def _total(*parts: int | None) -> int | None:
    """None when a part is not known."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _rounded(value: Fraction, scale: int) -> Decimal:
    """Half to even, with as many decimals as ``scale`` has zeros."""
    return from_scaled(divide_half_even(value.numerator * scale, value.denominator), scale)
