"""Our books against the broker's statement: every difference, what is known of it, what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal

from aggregates.money import from_scaled, minor_units
from aggregates.occ import occ_terms
from aggregates.order import Order
from aggregates.reconciliation import Difference, Kind
from brokers.port import Activity, Broker, BrokerOrder, Execution
from projections.ledger_queries import LedgerQueries

_ZERO = Decimal(0)
ACCEPT = "or accept it with a reason"
EXERCISED = (
    "exercised or assigned, which is never booked by itself: shares that were delivered for it may "
    "be sold short there now"
)


def differences(books: LedgerQueries, broker: Broker) -> list[str]:
    """Every difference of cash and of units, the sum of both sleeves; empty when equal.

    The broker's cash counts in minor units: some brokers state fractions of them.
    """
    found = []
    ours, digits = books.broker_cash(), books.books().exponent
    theirs = from_scaled(minor_units(broker.account().cash, digits), 10**digits)
    if ours != theirs:
        found.append(f"cash: our books say {ours}, the broker says {theirs}")
    units, at_broker = units_of(books), {p.symbol: p.quantity for p in broker.positions()}
    for symbol in sorted(units.keys() | at_broker.keys()):
        held, said = units.get(symbol, _ZERO), at_broker.get(symbol, _ZERO)
        if held != said:
            found.append(f"{symbol}: our books hold {held:f}, the broker says {said:f}")
    return found


def units_of(books: LedgerQueries) -> dict[str, Decimal]:
    """Units by symbol, the sum of both sleeves."""
    units: defaultdict[str, Decimal] = defaultdict(Decimal)
    for position in books.positions():
        units[position.symbol] += position.quantity
    return dict(units)


def cash_differences(books: LedgerQueries, broker_cash: Decimal, currency: str) -> list[Difference]:
    found = []
    if broker_cash != (ours := books.broker_cash()):
        found.append(
            _number(
                "cash", currency, ours, broker_cash,
                "cash that no execution and no booked activity explains",
                f"compare the day with the broker's statement and book what is missing, {ACCEPT}",
            )
        )  # fmt: skip
    suspense = books.balance_of(books.chart().mapping["suspense"])
    if suspense:
        found.append(
            _number(
                "suspense", currency, suspense, _ZERO,
                "the broker's amount of a trade is further from quantity and price than rounding "
                "explains; the journal of the suspense account names the trade",
                f"reverse the entry and book the right one, {ACCEPT}",
            )
        )  # fmt: skip
    return found


def position_differences(
    ours: Mapping[str, Decimal],
    theirs: Mapping[str, Decimal],
    strangers: Sequence[Execution],
    actions: Collection[Activity],
    today: date,
) -> list[Difference]:
    """Units by symbol. ``strangers`` are executions of orders that are none of ours, ``actions``
    corporate actions: what they say makes the difference known, and nobody guesses its booking."""
    found = []
    for symbol in sorted(ours.keys() | theirs.keys()):
        held, said = ours.get(symbol, _ZERO), theirs.get(symbol, _ZERO)
        if held == said:
            continue
        told = [a for a in actions if a.symbol == symbol]
        by_hand = [e for e in strangers if e.symbol == symbol]
        if told:
            kind, known, to_do = _told(told)
        elif said > held:
            kind, known = "stranger_position", "units that no order of ours bought"
            to_do = f"sell them at the broker, {ACCEPT}"
        elif any(e.side == "sell" for e in by_hand):
            kind, known = "closed_by_hand", "sold by an order that is none of ours"
            to_do = "accept it with a reason: then the sale is booked with the next comparison"
        else:
            kind, known, to_do = _missing(symbol, theirs, today)
        if by_hand:
            known += ": " + ", ".join(
                f"{e.side} {e.quantity:f} at {e.price:f} on {e.executed_at:%Y-%m-%d %H:%M} UTC"
                for e in by_hand[-5:]
            )
        elif not told and (ratio := _ratio(held, said)):
            known += f". The broker has exactly {ratio} of ours: perhaps a split"
        found.append(_number(kind, symbol, held, said, known, to_do))
    return found


_Explained = tuple[Kind, str, str]  # what it is, what is known of it, what is to be done


def _told(actions: Sequence[Activity]) -> _Explained:
    """By what the broker says of that symbol itself."""
    if any(a.kind == "option_exercise" for a in actions):
        known = f"{EXERCISED}: {actions[-1].code} of {actions[-1].day}"
        to_do = f"look at the account now, buy back what is short, and book the rest, {ACCEPT}"
        return "missing_position", known, to_do
    text = "; ".join(f"{a.code} of {a.day}: {a.description or 'no text'}" for a in actions)
    known = f"a corporate action at the broker: {text}"
    return "split_overnight", known, f"book the split, {ACCEPT}"


def _missing(symbol: str, theirs: Mapping[str, Decimal], today: date) -> _Explained:
    """Fewer there than here, and nothing says why."""
    option = occ_terms(symbol)
    if option is not None and option.expiry < today:
        known = f"its last day was {option.expiry}; the broker does not tell what became of it"
        to_do = (
            "if its statement says that it expired worthless, accept it with a reason: then it is "
            "booked so with the next comparison. If it was exercised, buy back what is short"
        )
        return "option_expired", known, to_do
    known = "units that no order of ours sold"
    if renamed := adjusted_names(symbol, theirs):
        known += f". Perhaps adjusted: the broker holds {', '.join(renamed)}"
    return "missing_position", known, f"ask the broker where they went, and book it, {ACCEPT}"


def adjusted_names(held: str, at_broker: Mapping[str, Decimal]) -> list[str]:
    """Options at the broker that may be what became of ``held``: the same expiry under a root that
    has a digit more, as the OCC names adjusted contracts."""
    terms = occ_terms(held)
    if terms is None:
        return []
    others = {symbol: occ_terms(symbol) for symbol in sorted(at_broker)}
    return [
        symbol
        for symbol, other in others.items()
        if other is not None
        and (other.expiry, other.right) == (terms.expiry, terms.right)
        and other.root[:-1] == terms.root
        and other.root[-1].isdigit()
    ]


def _ratio(held: Decimal, said: Decimal) -> str:
    """Whether one is a whole multiple of the other, in words."""
    if min(held, said) <= 0:
        return ""
    large, small = max(held, said), min(held, said)
    if large % small:
        return ""
    times = f"{large // small:f}"
    return f"{times} times" if said > held else f"one {times}th"


def stranger_order(order: BrokerOrder) -> Difference:
    said = f"{order.side} {order.quantity:f}"
    return Difference(
        difference_id=f"stranger_order:{order.broker_order_id}",
        kind="stranger_order",
        subject=f"{order.symbol} {order.broker_order_id}",
        ours="no such order",
        theirs=f"{said}, {order.state}",
        amount=said,
        known=f"an open {order.order_type} order since {order.submitted_at:%Y-%m-%d %H:%M} UTC "
        "that this bot never intended",
        to_do=f"cancel it at the broker, {ACCEPT}",
    )


def missing_fill(order: Order, filled: Decimal, known: str) -> Difference:
    """``filled`` is what the broker says of the order as a whole."""
    return _number(
        "missing_fill", order.terms.order_id, order.filled.decimal, filled, known,
        f"wait for the broker to list the execution, or ask for it, {ACCEPT}",
    )  # fmt: skip


def unknown_activity(activity: Activity, why: str) -> Difference:
    said = f"{activity.net_amount:f}" if activity.net_amount is not None else ""
    if activity.quantity is not None:
        said = f"{said} {activity.quantity:f} {activity.symbol}".strip()
    return Difference(
        difference_id=f"unknown_activity:{activity.activity_id}",
        kind="unknown_activity",
        subject=f"{activity.code} of {activity.day}",
        ours="not booked",
        theirs=said or "no amount",
        amount=said,
        known=f"{activity.description or activity.code} {activity.symbol}".strip() + f": {why}",
        to_do=f"book it as what it is, {ACCEPT}",
    )


def _number(
    kind: Kind, subject: str, ours: Decimal, theirs: Decimal, known: str, to_do: str
) -> Difference:
    return Difference(
        difference_id=f"{kind}:{subject}",
        kind=kind,
        subject=subject,
        ours=f"{ours:f}",
        theirs=f"{theirs:f}",
        amount=f"{theirs - ours:f}",
        known=known,
        to_do=to_do,
    )
