"""The requests of the long-term holdings as they stood at a moment of both clocks."""

from __future__ import annotations

from decimal import Decimal

from aggregates.holdings_requests import STREAM, HoldingsRequests
from eventstore.feed import Feed
from projections.known_events import known_events
from projections.ledger_records import NOW, AsOf
from strategies.rebalance_checks import unspent


def requests_then(feed: Feed, as_of: AsOf = NOW) -> HoldingsRequests:
    found = HoldingsRequests(STREAM)
    for _, event in known_events(feed, STREAM, as_of):
        found.fold(event)
    return found


def unspent_of(requests: HoldingsRequests) -> Decimal:
    """What an unfinished rebalance sold and bought nothing for; 0 when the last one was finished.
    In the books' currency."""
    last = requests.unfinished
    return unspent(last.preview, last.result) if last else Decimal(0)
