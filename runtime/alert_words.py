"""Which events are alerts, and their words: an entry filled, a position closed, a failure (M19).

Of an order one alert is made, when it is over; of fills that come after that, one each. The words
of failures are those of the log. Trading alone is told of: what the long-term holdings do stands in
the report of the day, unless it fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from aggregates import control, reconciliation
from aggregates import order_messages as orders
from aggregates import session as sessions
from aggregates.base import Event
from aggregates.instrument import InstrumentRegistered, instrument_stream
from aggregates.money import plain
from aggregates.occ import occ_terms
from aggregates.order import FINAL, Order
from config.clock import utc_to_local
from eventstore.envelope import Envelope
from eventstore.feed import Feed
from runtime.alert_records import Alert, Kind
from runtime.log_facts import FactsAt
from runtime.log_topics import ROUTES

ENDS: tuple[type[Event], ...] = (orders.OrderFilled, orders.OrderCancelled, orders.OrderExpired)
FAILURES: dict[type[Event], str] = {
    orders.OrderRejected: "Order rejected",
    orders.OrderOutcomeUnknown: "Outcome of an order not known",
    reconciliation.DifferenceFound: "Books and broker differ",
    reconciliation.BrokerNotKnown: "The broker's statement is not known",
    control.KillStarted: "KILL begun",
    control.Killed: "KILLED",
    sessions.SessionReconciled: "Books and broker differ at the close",
    sessions.PhaseEnded: "Phase ended otherwise than planned",
}
# of the words that a phase ends with, those that somebody must look at
TROUBLE = (
    "not flat",
    "not run",
    "stopped",
    "not checked",
    "failed",
    "not known",
    "no new universe",
    "no universe",
)
NOT_KNOWN = "?"  # a result that no view knows yet
_TOLD: tuple[type[Event], ...] = (*ENDS, *FAILURES, sessions.SessionClosed)
TOPICS = tuple(event.topic for event in _TOLD)
Rows = list[tuple[str, str | Decimal]]


class Words:
    """Makes alerts of the events of one store. Times are told in UTC and in ``zone``."""

    def __init__(self, feed: Feed, zone: str) -> None:
        self._feed, self._zone = feed, zone

    def of(self, row: Envelope, event: Event, facts: FactsAt) -> Iterator[Alert]:
        """Raises NotYetKnown while the result of a round trip is not known."""
        if isinstance(event, sessions.SessionClosed):
            yield self._alert(row, event, "day", f"Day report of {event.label}", [])
        elif type(event) in FAILURES:
            yield from self._failure(row, event, facts)
        elif isinstance(event, ENDS):
            yield from self._order(row, event, facts)

    def _order(self, row: Envelope, event: Event, facts: FactsAt) -> Iterator[Alert]:
        order = self._order_at(row)
        if order.intent is None or order.terms.sleeve != "trading":
            return
        if order.terms.side == "buy":
            if order.state in FINAL and order.filled.units:
                yield self._bought(row, event, order)
        elif isinstance(event, orders.OrderFilled) and (result := facts.result()):
            yield self._closed(row, event, order, result)

    def _order_at(self, row: Envelope) -> Order:
        order = Order(row.originator_id)
        for each in self._feed.stream(row.originator_id):
            if each.position <= row.position:
                order.fold(self._feed.event(each))
        return order

    def _bought(self, row: Envelope, event: Event, order: Order) -> Alert:
        terms = order.terms
        part = f" of {_text(plain(terms.quantity))}" if order.state != "filled" else ""
        said = (
            f"Bought {_text(plain(order.filled.decimal))}{part} {terms.symbol} ({terms.strategy})"
        )
        return self._alert(row, event, "fill", said, self._of_order(order))

    def _closed(self, row: Envelope, event: Event, order: Order, result: str) -> Alert:
        terms = order.terms
        if result == NOT_KNOWN:
            said = f"Sold {terms.symbol} ({terms.strategy}), result not known yet"
            return self._alert(row, event, "exit", said, self._of_order(order))
        gained = Decimal(result)
        said = f"Closed {terms.symbol} ({terms.strategy}), {gained:+,f}"
        figures: Rows = [("Result after costs", gained), *self._of_order(order)]
        return self._alert(row, event, "exit", said, figures)

    def _of_order(self, order: Order) -> Rows:
        terms = order.terms
        return [
            ("Units", plain(order.filled.decimal)),
            ("Average price", price_of(order.filled_value / order.filled.decimal)),
            ("Symbol", terms.symbol),
            *self._contract(terms.symbol, terms.instrument_id),
            ("Strategy", terms.strategy),
            ("Reason", terms.reason),
            ("Order", terms.order_id),
        ]

    def _contract(self, symbol: str, instrument_id: str) -> Rows:
        """What an option's symbol says, and what its price is for; nothing for a share."""
        if (option := occ_terms(symbol)) is None:
            return []
        said = f"{option.root} {option.right} {option.strike:f}, expires {option.expiry}"
        for each in self._feed.stream(instrument_stream(instrument_id)):
            event = self._feed.event(each)
            if isinstance(event, InstrumentRegistered):
                said += f"; of {event.multiplier} shares, the price is for one"
        return [("Contract", said)]

    def _failure(self, row: Envelope, event: Event, facts: FactsAt) -> Iterator[Alert]:
        if isinstance(event, sessions.SessionReconciled) and not event.differences:
            return
        if isinstance(event, sessions.PhaseEnded) and not _is_trouble(event.outcome):
            return
        fields = ROUTES[type(event)].words(event, facts)
        of = [fields[name] for name in ("side", "size", "ticker") if fields.get(name)]
        said = f"{FAILURES[type(event)]}{': ' if of else ''}{' '.join(of)}"
        if isinstance(event, control.Killed) and not event.flat:
            said += ", NOT flat: look at the broker"
        rows: Rows = [("What", fields["message"])]
        yield self._alert(row, event, "failure", said, rows)

    def _alert(self, row: Envelope, event: Event, kind: Kind, subject: str, rows: Rows) -> Alert:
        more: Rows = [("Time", when(event.occurred_at, self._zone)), ("Event", str(row.position))]
        key = f"day:{event.effective_date}" if kind == "day" else f"event:{row.position}"
        return Alert(key, kind, event.occurred_at, row.position, subject, table([*rows, *more]))


def _is_trouble(outcome: str) -> bool:
    return any(words in outcome for words in TROUBLE)


def when(moment: datetime, zone: str) -> str:
    """UTC, and the local time with its zone."""
    local = utc_to_local(moment, zone)
    day = "" if local.date() == moment.date() else f"{local:%Y-%m-%d} "
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC, {day}{local:%H:%M:%S %Z} ({zone})"


def table(rows: Rows) -> str:
    """Names in one column, texts in the next; numbers stand with their decimal points together."""
    if not rows:
        return ""
    wide = max(len(name) for name, _ in rows)
    numbers = [_text(value) for _, value in rows if isinstance(value, Decimal)]
    whole = max((len(number.partition(".")[0]) for number in numbers), default=0)
    return "".join(f"{name:{wide}}  {_cell(value, whole)}\n" for name, value in rows)


def _cell(value: str | Decimal, whole: int) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    text = _text(value)
    return " " * (whole - len(text.partition(".")[0])) + text


def price_of(exact: Decimal) -> Decimal:
    """To six decimals at the most, and at least to cents."""
    found = plain(round(exact, 6))
    return max(found, found.quantize(Decimal("0.01")), key=lambda n: -int(n.as_tuple().exponent))


def _text(number: Decimal) -> str:
    return f"{number:,f}"


__all__ = ["FAILURES", "TOPICS", "Words", "price_of", "table", "when"]
