"""What the ledger reads of a fill's bytes is what the typed event says, number by number."""

import string
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates.errors import TradeBotError
from aggregates.money import PRICE_SCALE, QUANTITY_SCALE, exponent, minor_units, to_scaled
from aggregates.order_messages import OrderFilled
from eventstore.codec import encode
from eventstore.envelope import GENESIS, Envelope
from projections.fill_facts import FillFacts, FillTerms, fill_facts

EVENT = OrderFilled(
    occurred_at=datetime(2024, 1, 2, 14, 30, tzinfo=UTC),
    effective_date=date(2024, 1, 2),
    order_id="o", execution_id="x-1", instrument_id="XNYS:SPY", symbol="SPY", sleeve="trading",
    side="buy", quantity=Decimal("10"), price=Decimal("101.25"), currency="USD",
    commission=Decimal("0.35"), fees=Decimal(0), net_amount=None, settles_on=date(2024, 1, 4),
    strategy="OPEN", context="trading", cumulative_quantity=Decimal("10"),
)  # fmt: skip
UNITS = st.decimals(0, 10**6, places=9) | st.integers(0, 10**9).map(Decimal)
PRICES = st.decimals(0, 10**7, places=6) | st.decimals(0, 10**4, places=2)
MONEY = st.decimals(-(10**6), 10**6, places=4) | st.decimals(-(10**10), 10**10, places=2)
RATES = st.decimals(-(10**6), 10**6, places=11)  # what a percentage of a price gives
ODD = st.sampled_from([Decimal("1E+2"), Decimal("0E-9"), Decimal("-0"), Decimal("5E-3")])


def row_of(state: bytes, version: int = 1) -> Envelope:
    return Envelope(
        7, "order-1", 3, "Order.Filled", version, state, bytes(32), 0, "c", 0, bytes(32), "a", "",
        "", "0.1.0", 0, GENESIS,
    )  # fmt: skip


def facts_of(event: OrderFilled) -> FillFacts:
    return facts_in(encode(event))


def facts_in(payload: bytes) -> FillFacts:
    return FillFacts._make(fill_facts(row_of(payload), payload))


@given(
    quantity=UNITS | ODD.map(abs),
    price=PRICES | ODD.map(abs),
    commission=MONEY | RATES | ODD,
    fees=MONEY | RATES | ODD,
    net_amount=st.none() | MONEY | ODD,
    currency=st.sampled_from(["USD", "JPY", "KWD", "CLF"]),
    moment=st.datetimes(timezones=st.just(UTC)),
    day=st.dates(date(1990, 1, 1), date(2090, 1, 1)),
)
def test_facts_are_what_the_typed_event_says(moment: datetime, day: date, **amounts: Any) -> None:
    event = OrderFilled(
        **{name: getattr(EVENT, name) for name in EVENT.__struct_fields__}
        | amounts
        | {"occurred_at": moment, "effective_date": day}
    )
    found, digits = facts_of(event), exponent(event.currency)
    assert (found.units, found.price) == (
        to_scaled(event.quantity, QUANTITY_SCALE, "quantity"),
        to_scaled(event.price, PRICE_SCALE, "price"),
    )
    assert (found.commission, found.fees) == (
        minor_units(event.commission, digits),
        minor_units(event.fees, digits),
    )
    net = event.net_amount
    assert found.net == (None if net is None else minor_units(net, digits))
    assert (found.size_text, found.price_text) == (f"{event.quantity:f}", f"{event.price:f}")
    assert found.effective == day.isoformat()
    stated = datetime.strptime(found.timestamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert (stated, len(found.timestamp)) == (moment, 27)
    assert FillTerms._make(found.terms).currency == event.currency


def test_a_time_in_another_zone_is_stated_in_utc() -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    state = encode(EVENT).replace(
        b"2024-01-02T14:30:00Z", datetime(2024, 1, 2, 20, 15, tzinfo=zone).isoformat().encode()
    )
    assert facts_in(state).timestamp == "2024-01-02T14:30:00.000000Z"


@given(text=st.text(string.printable, max_size=12))
def test_no_number_is_guessed(text: str) -> None:
    """What the typed event refuses, or means otherwise, is never read as another number."""
    state = encode(EVENT).replace(b'"101.25"', msgspec.json.encode(text))
    try:
        found = facts_in(state).price
    except (ValueError, ArithmeticError, TradeBotError):
        return
    assert found == Decimal(text) * PRICE_SCALE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"price":"101.25"', b'"price":101.25'),
        (b'"price":"101.25"', b'"price":"101.2500001"'),
        (b'"price":"101.25"', b'"price":"NaN"'),
        (b'"side":"buy"', b'"side":"hold"'),
        (b'"effective_date":"2024-01-02"', b'"effective_date":"2024-02-30"'),
        (b'"2024-01-02T14:30:00Z"', b'"yesterday"'),
        (b'"currency":"USD"', b'"currency":"dollars"'),
    ],
)
def test_what_is_no_fill_is_refused(old: bytes, new: bytes) -> None:
    state = encode(EVENT)
    assert old in state
    with pytest.raises((ValueError, ArithmeticError, TradeBotError)):
        facts_in(state.replace(old, new))
