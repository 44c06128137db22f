"""What every broker adapter does with puts: the chain, whole contracts, never more than is held.

A rig that offers none says so under "options" in its CANNOT; see ``puts``, ``trade_put`` and
``expire_put`` of ``Rig`` for what the others bring.
"""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregates.market import OptionContract
from aggregates.occ import occ_terms
from brokers.port import OrderRefused

D = Decimal


@pytest.fixture
def options(rig: Any) -> Any:
    rig.need("options")
    return rig


def chain_of(rig: Any) -> list[OptionContract]:
    return list(rig.broker.option_chain(*rig.puts()))


def cheap(rig: Any) -> OptionContract:
    """A put that is quoted and costs less than 10 a unit."""
    return next(c for c in chain_of(rig) if c.bid is not None and c.ask is not None and c.ask < 10)


def buy(rig: Any, contract: OptionContract, contracts: str = "3") -> None:
    """Bought at the ask, as the bot does, and filled."""
    rig.broker.submit(
        rig.ask("put", symbol=contract.symbol, quantity=contracts, order_type="limit",
                limit_price=contract.ask)
    )  # fmt: skip
    rig.trade_put(contract.symbol, contracts)
    assert rig.broker.order("put").state == "filled"


def held(rig: Any) -> dict[str, Decimal]:
    return {one.symbol: one.quantity for one in rig.broker.positions()}


def test_puts_are_offered(options: Any) -> None:
    assert options.broker.capabilities.long_put


def test_the_chain_lists_puts_of_those_expiries_with_their_terms(options: Any) -> None:
    underlying, first, last = options.puts()
    chain = options.broker.option_chain(underlying, first, last)
    assert chain
    assert {(c.underlying, c.right, c.adjusted, c.multiplier) for c in chain} == {
        (underlying, "put", False, 100)
    }
    assert all(first <= c.expiry <= last for c in chain)
    assert [(c.expiry, c.strike) for c in chain] == sorted((c.expiry, c.strike) for c in chain)
    assert [occ_terms(c.symbol) for c in chain] == [
        (underlying, c.expiry, "put", c.strike) for c in chain
    ]
    for c in chain:
        if c.bid is not None and c.ask is not None:
            assert 0 < c.bid <= c.ask
            assert c.quote_known_at <= options.broker.clock() + timedelta(seconds=1)
        assert c.delta is None or -1 <= c.delta <= 0
        assert type(c.strike) is Decimal


def test_there_are_no_puts_of_other_days_or_on_what_is_not_known(options: Any) -> None:
    underlying, _, _ = options.puts()
    long_ago = date(2001, 1, 5)
    assert list(options.broker.option_chain(underlying, long_ago, long_ago)) == []


def test_a_put_is_an_asset_that_is_traded_whole(options: Any) -> None:
    put = cheap(options)
    asset = options.broker.asset(put.symbol)
    assert (asset.symbol, asset.tradable, asset.fractionable) == (put.symbol, True, False)


def test_the_quote_of_a_put_is_that_of_the_chain(options: Any) -> None:
    put = cheap(options)
    quote = options.broker.quote(put.symbol)
    assert (quote.symbol, quote.bid, quote.ask) == (put.symbol, put.bid, put.ask)


def test_a_put_is_bought_and_sold_and_costs_a_hundred_times_its_price(options: Any) -> None:
    put, before = cheap(options), options.broker.account().cash
    buy(options, put)
    assert held(options) == {put.symbol: 3}
    options.broker.submit(options.ask("out", "sell", symbol=put.symbol, quantity="3"))
    options.trade_put(put.symbol, "3")
    assert held(options) == {}

    fills = options.broker.fills_since(0)
    assert {(f.client_order_id, f.symbol) for f in fills} == {
        ("put", put.symbol), ("out", put.symbol)
    }  # fmt: skip
    assert {f.side for f in fills} == {"buy", "sell"}
    assert all(f.price <= put.ask for f in fills if f.side == "buy")
    for f in fills:
        gross = f.quantity * f.price * 100 * (1 if f.side == "sell" else -1)
        assert f.net_amount is None or abs(f.net_amount - (gross - f.commission - f.fees)) <= D(
            "0.01"
        )
    signed = sum((f.quantity * f.price * (1 if f.side == "sell" else -1) for f in fills), D(0))
    costs = sum((f.commission + f.fees for f in fills), D(0))
    cash = options.broker.account().cash
    assert abs(cash - (before + 100 * signed - costs)) <= D("0.01") * len(fills)


@pytest.mark.parametrize(
    ("terms", "error_code"),
    [
        ({"quantity": "0.5"}, "not_fractionable"),
        ({"quantity": "1.000000001"}, "not_fractionable"),
        ({"quantity": "1", "side": "sell"}, "short_sale"),
        ({"quantity": "100000"}, "insufficient_cash"),
    ],
)
def test_no_part_of_a_contract_none_that_is_not_held_none_that_is_not_paid(
    options: Any, terms: dict[str, Any], error_code: str
) -> None:
    put = cheap(options)
    with pytest.raises(OrderRefused) as refusal:
        options.broker.submit(options.ask(symbol=put.symbol, **terms))
    assert refusal.value.error_code == error_code
    assert options.broker.order("a-1") is None
    assert options.orders_there("a-1") == 0


def test_never_more_is_sold_than_is_held(options: Any) -> None:
    put = cheap(options)
    buy(options, put, "2")
    with pytest.raises(OrderRefused, match="short_sale"):
        options.broker.submit(options.ask("out", "sell", symbol=put.symbol, quantity="3"))
    assert options.orders_there("out") == 0
    assert held(options) == {put.symbol: 2}


def test_a_put_that_expires_is_gone_and_an_activity_says_so(options: Any) -> None:
    options.need("expiry")
    put = min((c for c in chain_of(options) if c.ask is not None), key=lambda c: c.strike)
    buy(options, put, "2")
    first = options.broker.clock().date()
    options.expire_put(put.symbol)
    assert held(options) == {}
    (told,) = options.broker.activities(first)
    assert (told.kind, told.symbol, told.quantity) == ("option_expiry", put.symbol, -2)
    assert not told.net_amount
    assert told.activity_id
    assert not told.cancelled
    assert list(options.broker.activities(first)) == [told]
    assert list(options.broker.self_check()) == []
