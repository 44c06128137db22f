"""What a demo of the long-term holdings did, from its events and views: figures, text, picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from aggregates.money import Money
from projections.ledger_records import AsOf
from runtime.cli_output import money, table
from runtime.holdings_demo import DEPOSIT, HoldingsDemo
from runtime.queries import Queries
from runtime.query_records import EventView
from strategies.indicators import EXACT

WIDTH = 40  # columns of the bars
BLOCKS = "▁▂▃▄▅▆▇█"
PARTS = (("holdings", "█"), ("tax reserve", "▓"), ("payroll reserve", "▒"),
         ("float and pool", "░"))  # fmt: skip
FAR = 2**60
_ZERO = Decimal(0)


class Month(NamedTuple):
    """At the close of a month's last session, at the prices of that moment. ``tax`` is cash and
    vehicle, at its price; ``float`` has the pool, which is cash on its way."""

    day: date
    holdings: Decimal
    tax: Decimal
    payroll: Decimal
    float: Decimal

    @property
    def account(self) -> Decimal:
        return self.holdings + self.tax + self.payroll + self.float


class Bought(NamedTuple):
    """Orders of one reason, filled: how many, and what changed hands, costs aside."""

    orders: int
    value: Decimal


class Figures(NamedTuple):
    """``without_price`` are month ends that some price is missing of: they are left out.
    ``through`` is the last day whose gains were allocated, empty when none were."""

    months: tuple[Month, ...]
    without_price: tuple[date, ...]
    orders: dict[tuple[str, str], Bought]
    set_aside: dict[str, Decimal]
    through: str
    rebalances: tuple[tuple[str, str], ...]


def figures(queries: Queries, demo: HoldingsDemo) -> Figures:
    months, without = list[Month](), list[date]()
    for day in _month_ends(queries.session_days()):
        s = queries.holdings(AsOf(date=day), demo.plan)
        if s.long_term_value is None or s.tax_vehicle_value is None:
            without.append(day)
            continue
        months.append(
            Month(
                day, s.long_term_value, s.reserves.tax_cash + s.tax_vehicle_value,
                s.reserves.payroll, s.reserves.float + s.reserves.pool,
            )
        )  # fmt: skip
    done = queries.events(topics=("Holdings.Rebalanced",), limit=FAR)
    allocated = queries.events(topics=("Holdings.GainsAllocated",), limit=FAR)
    return Figures(
        months=tuple(months),
        without_price=tuple(without),
        orders=_orders(queries),
        set_aside=_set_aside(allocated),
        through=str(allocated[-1].payload["through"]) if allocated else "",
        rebalances=tuple((e.effective_date, str(e.payload["said"])) for e in done),
    )


def _month_ends(days: Sequence[date]) -> list[date]:
    last = {(day.year, day.month): day for day in sorted(days)}
    return list(last.values())


def _orders(queries: Queries) -> dict[tuple[str, str], Bought]:
    """By context and side, from the postings; each order's value rounded once."""
    value: defaultdict[tuple[str, str], defaultdict[str, Decimal]] = defaultdict(
        lambda: defaultdict(Decimal)
    )
    for entry in queries.journal():
        price = entry.entry_price or entry.exit_price
        if entry.topic == "Order.Filled" and price and entry.size:
            key = entry.context if entry.sleeve == "holdings" else "trading", entry.side
            value[key][entry.reference] += EXACT.multiply(Decimal(entry.size), Decimal(price))
    currency = queries.books().currency
    rounded = {k: [Money.rounded(v, currency).decimal for v in value[k].values()] for k in value}
    return {k: Bought(len(rounded[k]), sum(rounded[k], _ZERO)) for k in sorted(rounded)}


def _set_aside(allocated: Sequence[EventView]) -> dict[str, Decimal]:
    names = ("trading", "holdings", "tax", "payroll", "reinvested")
    found = dict.fromkeys(names, _ZERO)
    for event in allocated:
        for name in names:
            found[name] += Decimal(event.payload[name])
    return found


# -- the text --------------------------------------------------------------------------------


def report(queries: Queries, demo: HoldingsDemo, found: Figures) -> str:
    """Everything that the demo shows at its end, as text."""
    status = queries.status()
    source = (
        f"daily prices of {demo.prices.rpartition('/')[2]}" if demo.prices else "made-up prices"
    )
    planned = ", ".join(demo.symbols[:3])
    return "\n".join(
        [
            f"{status.identity}  {demo.first} to {demo.last}  ({source}, trading made up by seed "
            f"{demo.seed})",
            f"Planned: {planned}, the first at 40 %; tax reserve held in {demo.symbols[3]}; float "
            "10 %, tax 20 %, payroll 10 %, rebalanced every 6 months, cash above the float swept",
            "",
            f"Month by month (amounts {status.currency}; "
            + ", ".join(f"{sign} {name}" for name, sign in PARTS)
            + ")",
            _months(found.months),
            f"Float has the cash of the reinvestment pool; tax is cash and {demo.symbols[3]} at "
            "its price.",
            *(
                [f"No price, so left out: {', '.join(map(str, found.without_price))}"]
                if found.without_price
                else []
            ),
            "",
            *_lines(found.months),
            "",
            *_gains(found),
            "",
            "Orders filled",
            _order_table(found.orders),
            *_top_ups(found.orders),
            "",
            "Rebalances",
            *(f"  {day}  {said}" for day, said in found.rebalances or (("", "none was due"),)),
            "",
            f"Deposited  {money(DEPOSIT)} {status.currency}",
            f"Events     {status.position:,}",
            f"Head hash  {status.head_hash}",
        ]
    )


def _gains(found: Figures) -> list[str]:
    if not found.through:
        return ["No gains were allocated."]
    gains = found.set_aside
    return [
        f"Realized, allocated up to {found.through}: trading {money(gains['trading'])}, holdings "
        f"{money(gains['holdings'])}",
        f"Set aside: tax {money(gains['tax'])}, payroll {money(gains['payroll'])}, reinvested "
        f"{money(gains['reinvested'])}",
        "A day with a gain sets aside its share of it, a day with a loss takes nothing back: so "
        "more may be set aside than was realized in all.",
    ]


def _top_ups(orders: dict[tuple[str, str], Bought]) -> list[str]:
    sold = orders.get(("top-up", "sell"))
    if sold is None:
        return []
    return [
        "A top-up sells as much as brings the float back to its target, which a day's loss, or a "
        "larger account, leaves it short of."
    ]


def _months(months: Sequence[Month]) -> str:
    most = max((m.account for m in months), default=_ZERO)
    rows = [
        (str(m.day), money(m.float), money(m.tax), money(m.payroll), money(m.holdings),
         money(m.account), _bar(m, most))
        for m in months
    ]  # fmt: skip
    head = ("Month end", "Float", "Tax", "Payroll", "Holdings", "Account", "")
    return table(head, rows, right={1, 2, 3, 4, 5})


def _bar(month: Month, most: Decimal) -> str:
    """Parts of the account, cumulative, so that the bar is as long as the account is large."""
    drawn, running, bar = 0, _ZERO, ""
    for (_, sign), part in zip(
        PARTS, (month.holdings, month.tax, month.payroll, month.float), strict=True
    ):
        running += part
        upto = int(running * WIDTH / most) if most else 0
        bar += sign * (upto - drawn)
        drawn = upto
    return bar


def _lines(months: Sequence[Month]) -> list[str]:
    """One line each, from its lowest to its highest, month by month."""
    found = []
    for name in ("float", "tax", "payroll", "holdings", "account"):
        values = [getattr(m, name) for m in months]
        if values:
            low, high = min(values), max(values)
            drawn = "".join(BLOCKS[int((v - low) * 7 / (high - low)) if high > low else 0]
                            for v in values)  # fmt: skip
            found.append(f"{name.capitalize():9} {drawn}  {money(low)} to {money(high)}")
    return found


def _order_table(orders: dict[tuple[str, str], Bought]) -> str:
    rows = [
        (context, side, f"{found.orders:,}", money(found.value))
        for (context, side), found in orders.items()
    ]
    return table(("For", "Side", "Orders", "Value"), rows, right={2, 3})
