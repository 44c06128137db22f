"""Size: the least of risk, allocation and cash, exact, rounded down (docs/decisions/0001)."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates.errors import DomainError, InexactNumber
from config.settings import Settings
from strategies.sizing import Sizing, size

D = Decimal
STEP = D("0.000000001")


def sized(settings: Settings | None = None, **changes: Any) -> Sizing:
    """100,000 of equity and cash; at 50 with a stop of 49.50 the allocation binds: 250 shares."""
    values = {
        "equity": D(100_000), "cash_float": D(100_000), "price": D(50), "stop": D("49.50"),
        "step": STEP, "weight": D(1),
    }  # fmt: skip
    return size(settings or Settings(), **(values | changes))


def test_allocation_binds_when_it_is_the_least() -> None:
    s = sized()
    assert s.risk_per_share == D("0.50")
    assert (s.by_risk, s.by_allocation, s.by_cash) == (D(1000), D(250), D(1980))
    assert s.quantity == D(250)


def test_risk_binds_when_the_stop_is_far() -> None:
    s = sized(stop=D("40"))
    assert (s.by_risk, s.quantity) == (D(50), D(50))


def test_cash_binds_when_the_float_is_small_and_keeps_one_percent_back() -> None:
    s = sized(cash_float=D(1000))
    assert (s.by_cash, s.quantity) == (D("19.8"), D("19.8"))


def test_the_weight_of_the_strategy_and_the_open_positions_share_the_allocation() -> None:
    assert sized(weight=D("0.5")).by_allocation == D(125)
    assert sized(Settings(MAX_OPEN_POSITIONS=5)).by_allocation == D(200)
    assert sized(Settings(TOTAL_ALLOCATION=D("0.25"))).by_allocation == D(125)
    assert sized(Settings(MAX_RISK_PER_TRADE=D("0.001"))).by_risk == D(200)


@pytest.mark.parametrize(
    ("changes", "quantity"),
    [
        ({"weight": D(0)}, 0),
        ({"cash_float": D(0)}, 0),
        ({"cash_float": D("-5")}, 0),
        ({"equity": D(0)}, 0),
        ({"equity": D("-1")}, 0),
        ({"stop": D(50)}, 0),
        ({"stop": D(51)}, 0),
    ],
    ids=["no weight", "no cash", "cash owed", "no equity", "debt", "stop at price", "stop above"],
)
def test_nothing_is_bought_when_a_bound_is_nothing(
    changes: dict[str, Decimal], quantity: int
) -> None:
    s = sized(**changes)
    assert (s.quantity, str(s.quantity)) == (quantity, "0")


def test_fractional_rounds_down_to_the_brokers_step() -> None:
    # 12,500 / 3 = 4166.6666666666…: the last digit is cut, not rounded up.
    assert sized(price=D(3), stop=D("2.99")).quantity == D("4166.666666666")
    assert sized(price=D(3), stop=D("2.99"), step=D("0.25")).quantity == D("4166.50")


def test_without_fractions_only_whole_shares_are_bought_whatever_the_broker_can() -> None:
    whole = Settings(FRACTIONAL=False)
    assert sized(whole, price=D(3), stop=D("2.99")).quantity == D(4166)
    assert sized(whole, price=D("12500.01"), stop=D(12000)).quantity == 0
    assert sized(whole, price=D(3), stop=D("2.99"), step=D(100)).quantity == D(4100)


def test_a_quotient_that_is_exactly_on_a_step_is_kept_whole() -> None:
    # 0.5 × 100,000 ÷ 4 ÷ 0.1 is 125,000 exactly, where binary fractions would fall short of it.
    assert sized(price=D("0.1"), stop=D("0.09"), step=D(1)).by_allocation == D(125_000)


@pytest.mark.parametrize("bad", [{"step": D(0)}, {"price": D(0)}, {"price": D(-1)}], ids=str)
def test_a_step_or_price_that_is_not_above_zero_is_refused(bad: dict[str, Decimal]) -> None:
    with pytest.raises(DomainError, match="must be above 0"):
        sized(**bad)


@pytest.mark.parametrize("name", ["equity", "cash_float", "price", "stop", "step", "weight"])
def test_no_float_gets_in(name: str) -> None:
    with pytest.raises(InexactNumber):
        sized(**{name: 1.5})


cents = st.decimals("0.01", "5000", places=2)


@given(
    price=cents,
    below=st.decimals("0.01", "0.99", places=2),
    equity=st.decimals("0", "10000000", places=2),
    cash=st.decimals("0", "10000000", places=2),
    step=st.sampled_from([STEP, D("0.001"), D(1)]),
)
def test_every_limit_holds_and_one_step_more_would_break_one(
    price: Decimal, below: Decimal, equity: Decimal, cash: Decimal, step: Decimal
) -> None:
    stop = price * below
    q = sized(price=price, stop=stop, equity=equity, cash_float=cash, step=step).quantity

    def fits(quantity: Decimal) -> bool:
        return (
            (price - stop) * quantity <= D("0.005") * equity
            and price * quantity * 4 <= D("0.5") * equity
            and price * quantity <= D("0.99") * cash
        )

    assert q % step == 0
    assert fits(q)
    assert not fits(q + step)


def test_defense_mode_makes_a_trade_smaller_and_shares_out_less() -> None:
    usual = Settings(MAX_RISK_PER_TRADE=Decimal("0.2"))
    active = Settings(MAX_RISK_PER_TRADE=Decimal("0.2"), DEFENSE_MODE_ACTIVE=True)
    given = {
        "equity": Decimal(100_000), "cash_float": Decimal(100_000), "price": Decimal(100),
        "stop": Decimal(99), "step": Decimal("0.001"), "weight": Decimal(1),
    }  # fmt: skip
    assert size(usual, **given).quantity == size(usual, **given).usual == 125  # 0.5 of it, in 4
    found = size(active, **given)
    assert (found.usual, found.quantity) == (Decimal("62.5"), Decimal("31.25"))  # 0.25 in 4, half
