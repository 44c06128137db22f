"""Our books against the broker's statement, in words, exactly."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from brokers.port import Broker
from projections.ledger_queries import LedgerQueries


def differences(books: LedgerQueries, broker: Broker) -> list[str]:
    """Every difference of cash and of units, the sum of both sleeves; empty when equal."""
    found = []
    ours, theirs = books.broker_cash(), broker.account().cash
    if ours != theirs:
        found.append(f"cash: our books say {ours}, the broker says {theirs}")
    units: defaultdict[str, Decimal] = defaultdict(Decimal)
    for position in books.positions():
        units[position.symbol] += position.quantity
    at_broker = {p.symbol: p.quantity for p in broker.positions()}
    for symbol in sorted(units.keys() | at_broker.keys()):
        held, said = units.get(symbol, Decimal(0)), at_broker.get(symbol, Decimal(0))
        if held != said:
            found.append(f"{symbol}: our books hold {held:f}, the broker says {said:f}")
    return found
