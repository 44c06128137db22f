"""Price, volume and costs of the simulated broker, number by number (decision 0002)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from aggregates.market import Bar, Quote
from aggregates.money import PRICE_SCALE, QUANTITY_SCALE, to_scaled
from brokers.simulated_fills import Fill, RestingOrder, costs, fill_minute

D = Decimal
MINUTE = datetime(2013, 10, 7, 14, 0, tzinfo=UTC)


def bar(opened="100.00", high="100.50", low="99.50", volume=100_000):
    return Bar(
        symbol="ALFA", start=MINUTE, open=D(opened), high=D(high), low=D(low), close=D(opened),
        volume=volume,
    )  # fmt: skip


def quote(bid="99.98", ask="100.03", known=MINUTE):
    return Quote(
        symbol="ALFA", start=known - timedelta(minutes=1), bid=D(bid), bid_size=1, ask=D(ask),
        ask_size=1,
    )  # fmt: skip


def order(side="buy", quantity="10", *, number=1, limit=None, stop=None, arrived=MINUTE):
    return RestingOrder(
        number=number,
        symbol="ALFA",
        side=side,
        order_type="limit" if limit else "stop" if stop else "market",
        open_units=to_scaled(quantity, QUANTITY_SCALE, "quantity"),
        limit_units=to_scaled(limit, PRICE_SCALE, "price") if limit else None,
        stop_units=to_scaled(stop, PRICE_SCALE, "price") if stop else None,
        arrived_at=arrived,
    )


def filled(fills) -> list[tuple[int, Decimal, Decimal]]:
    """(order number, quantity, price) of each fill."""
    fills = list(fills)
    assert all(isinstance(fill, Fill) for fill in fills)
    return [
        (f.order.number, D(f.quantity_units) / QUANTITY_SCALE, D(f.price_units) / PRICE_SCALE)
        for f in fills
    ]


def price_of(an_order, a_bar=None, a_quote=None) -> Decimal | None:
    fills = filled(fill_minute([an_order], a_bar or bar(), a_quote or quote()))
    return fills[0][2] if fills else None


@pytest.mark.parametrize(
    ("side", "opened", "ask", "price"),
    [
        ("buy", "100.00", "100.03", "100.025"),
        ("sell", "100.00", "100.03", "99.975"),
        ("buy", "100.000001", "99.980001", "100.000002"),  # half of 0.000001: to the even digit
        ("buy", "100.000002", "99.980001", "100.000002"),
        ("sell", "100.000001", "99.980001", "100"),
        ("buy", "100.00", "99.98", "100"),  # a locked market costs nothing
    ],
)
def test_a_market_order_pays_half_the_spread_on_the_open(side, opened, ask, price):
    assert price_of(order(side), bar(opened), quote(ask=ask)) == D(price)


@pytest.mark.parametrize(
    ("side", "limit", "price"),
    [
        ("buy", "99.49", None),  # low 99.50: never traded there
        ("buy", "99.50", "99.50"),  # touched is enough; the limit is better than the market
        ("buy", "100.02", "100.02"),
        ("buy", "100.60", "100.025"),  # the market is better than the limit
        ("sell", "100.51", None),
        ("sell", "100.50", "100.50"),
        ("sell", "99.00", "99.975"),
    ],
)
def test_a_limit_order_fills_at_the_better_of_limit_and_market(side, limit, price):
    assert price_of(order(side, limit=limit)) == (D(price) if price else None)


@pytest.mark.parametrize(
    ("side", "stop", "price"),
    [
        ("sell", "99.49", None),
        ("sell", "99.50", "99.475"),
        ("sell", "99.90", "99.875"),
        ("sell", "100.20", "99.975"),  # opened below the stop: the open is worse
        ("buy", "100.51", None),
        ("buy", "100.50", "100.525"),
        ("buy", "99.80", "100.025"),
    ],
)
def test_a_stop_order_fills_at_the_worse_of_stop_and_open(side, stop, price):
    assert price_of(order(side, stop=stop)) == (D(price) if price else None)


@pytest.mark.parametrize(("age_minutes", "fills"), [(0, 1), (5, 1), (6, 0)])
def test_a_quote_older_than_five_minutes_fills_nothing(age_minutes, fills):
    known = MINUTE - timedelta(minutes=age_minutes)
    assert len(filled(fill_minute([order()], bar(), quote(known=known)))) == fills


def test_no_quote_no_trade_or_a_spread_beyond_the_price_fills_nothing():
    assert not filled(fill_minute([order()], bar(), None))
    assert not filled(fill_minute([order(quantity="0.5")], bar(volume=0), quote()))
    assert price_of(order("sell"), bar("0.02", "0.02", "0.02"), quote("0.01", "0.09")) is None


def test_an_order_is_not_filled_by_a_bar_that_started_before_it_arrived():
    assert not filled(
        fill_minute([order(arrived=MINUTE + timedelta(microseconds=1))], bar(), quote())
    )


@pytest.mark.parametrize(
    ("quantity", "volume", "taken"),
    [
        ("10", 99, "9"),  # a tenth, rounded down to whole shares
        ("10", 100, "10"),
        ("10", 9, None),
        ("2.5", 20, "2.5"),  # the remainder comes along with the last whole share
        ("2.5", 19, "1"),
        ("0.4", 9, "0.4"),  # alone
    ],
)
def test_an_order_takes_a_tenth_of_the_volume(quantity, volume, taken):
    fills = filled(fill_minute([order(quantity=quantity)], bar(volume=volume), quote()))
    assert [q for _, q, _ in fills] == ([D(taken)] if taken else [])


def test_orders_of_one_symbol_share_the_tenth_in_order_of_arrival():
    orders = [order(quantity="7", number=1), order(quantity="7", number=2)]
    fills = filled(fill_minute(orders, bar(volume=100), quote()))
    assert [(number, quantity) for number, quantity, _ in fills] == [(1, 7), (2, 3)]


@pytest.mark.parametrize(
    ("quantity", "price"),
    [("100", "48.8355"), ("37.123456789", "48.835155"), ("0.000000001", "0.000001"), ("1", "0.01")],
)
def test_costs_are_exact_and_the_net_amount_is_rounded_once(quantity, price):
    units = (
        to_scaled(quantity, QUANTITY_SCALE, "quantity"),
        to_scaled(price, PRICE_SCALE, "price"),
    )
    q, p = Fraction(quantity), Fraction(price)
    bought, sold = costs("buy", *units, "USD"), costs("sell", *units, "USD")
    sold_fees = q * p * Fraction("0.0000278") + q * Fraction("0.000166")

    assert (Fraction(bought.commission), bought.fees) == (q * Fraction("0.005"), 0)
    assert Fraction(sold.fees) == sold_fees
    assert bought.net_minor == round(-(q * p + q * Fraction("0.005")) * 100)  # round: half to even
    assert sold.net_minor == round((q * p - q * Fraction("0.005") - sold_fees) * 100)


def test_a_known_purchase_and_sale_to_the_cent():
    # 100 × 48.8355 = 4,883.55; commission 0.50; SEC 0.13576269; FINRA 0.0166
    sold = costs("sell", 100 * QUANTITY_SCALE, 48_835_500, "USD")
    assert (sold.commission, sold.fees) == (D("0.5"), D("0.15236269"))
    assert sold.net_minor == 488_290
    assert costs("buy", 100 * QUANTITY_SCALE, 48_835_500, "USD").net_minor == -488_405
