"""What purchases that are under way may still take from the float: nobody else spends it (M31)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from aggregates.errors import DomainError
from aggregates.holdings_requests import STREAM, HoldingsRequests
from aggregates.money import Money
from aggregates.order import FINAL, Order, order_stream
from aggregates.rebalance_values import Preview
from aggregates.session import Session, session_stream
from eventstore.application import Store
from runtime.holdings_sizes import purse_of
from runtime.queries import Queries
from strategies.cost_rates import rates_of
from strategies.planned_order import most_cost

_ZERO = Decimal(0)


def promised(store: Store, queries: Queries) -> Decimal:
    """Of both sleeves, costs included, in the books' currency: open purchases, and those that a
    rebalance under way is still to pay for of what its sales have brought.

    Raises DomainError while nobody can say what an open purchase costs.
    """
    rates = rates_of(queries.settings()[-1].values.get("BROKER_NAME", ""))
    total = _ZERO
    for seen in queries.orders(only_open=True):
        order = store.load(Order, order_stream(seen.order_id))
        if order.terms.side == "buy" and purse_of(order.terms.context) == "float":
            units = order.open_quantity.decimal * _multiplier(queries, order)
            total += most_cost(units, _price(store, queries, order), rates)
    requests = store.load(HoldingsRequests, STREAM)
    for name, day in requests.started.items():
        if (preview := requests.waiting[name].preview) is not None:
            total += _still_to_buy(store, preview, f"{day}-{name}")
    return Money.rounded(total, queries.books().currency).decimal


def _multiplier(queries: Queries, order: Order) -> int:
    """How many units of its price one unit of the instrument is: 100 of most options."""
    books, _ = queries.sources()
    found = (
        m.multiplier
        for m in books.listed().values()
        if m.instrument_id == order.terms.instrument_id
    )
    return next(found, 1)


def _price(store: Store, queries: Queries, order: Order) -> Decimal:
    """Its limit; of one at the market what it was decided at, else the newest mark."""
    terms = order.terms
    if terms.limit_price is not None:
        return terms.limit_price
    session = store.load(Session, session_stream(terms.effective_date.isoformat()))
    for decision in session.decided.values():
        if decision.order_id == terms.order_id and "price" in decision.inputs:
            return Decimal(decision.inputs["price"])
    if (marked := queries.marks().get(terms.instrument_id)) is not None:
        return marked.price
    raise DomainError(
        f"A purchase of {terms.symbol} is under way, and no price says what it takes from the "
        "float. Nothing was recorded; try again when it has ended."
    )


def _still_to_buy(store: Store, preview: Preview, prefix: str) -> Decimal:
    """Purchases that were not intended yet, less what the sales are still to bring; at least 0."""

    def order(symbol: str, side: str) -> Order:
        return store.load(Order, order_stream(f"{prefix}-{symbol}-{side}"))

    left = (o for o in preview.of("buy") if order(o.symbol, "buy").intent is None)
    wanted = _sum(o.value + o.costs for o in left)
    expected = _sum(
        o.value - o.costs for o in preview.of("sell") if order(o.symbol, "sell").state not in FINAL
    )
    return max(wanted - expected, _ZERO)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, _ZERO)
