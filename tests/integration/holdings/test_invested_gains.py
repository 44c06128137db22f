"""Which of the long-term gains are no money to invest: rebalances', and the tax vehicle's."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from aggregates.capital import Earmark
from projections.reserve_losses import reserve_short

D = Decimal
YEAR = (date(2024, 1, 1), date(2024, 12, 31))
COSTS = {"commission": "0.35", "fees": "0.05"}


@pytest.fixture
def bought(keeper: Any) -> Any:
    """Ten of SCHD at 20.00 without costs, and 900.00 of 1,000.00 of tax reserve in SGOV."""
    keeper.register("SCHD")
    keeper.register("SGOV")
    keeper.capital(Earmark, "1000.00", purse_from="float", purse_to="tax_reserve")
    keeper.buy("10", "20.00", symbol="SCHD", sleeve="holdings", context="reinvestment")
    keeper.buy("9", "100.00", symbol="SGOV", sleeve="holdings", context="tax-reserve")
    return keeper


def sell(keeper: Any, quantity: str, price: str, context: str, symbol: str = "SCHD") -> int:
    fields = {"symbol": symbol, "sleeve": "holdings", "context": context}
    position: int = keeper.sell(quantity, price, "2024-02-01", **fields, **COSTS)
    return position


def test_gains_of_rebalances_and_of_the_reserve_s_security_are_told_apart(
    bought: Any, look_at: Callable[..., Any]
) -> None:
    sell(bought, "2", "30.00", "top-up")
    sell(bought, "3", "30.00", "rebalance")
    sell(bought, "9", "101.00", "tax-reserve", "SGOV")
    bought.buy("1", "30.00", "2024-02-02", symbol="SPY", commission="0.35")
    found = look_at(bought).queries.realized(*YEAR)
    assert found.holdings == D("19.60") + D("29.60") + D("8.60")
    assert found.invested == D("29.60") + D("8.60")


def test_what_is_corrected_counts_where_the_sale_did(
    bought: Any, look_at: Callable[..., Any]
) -> None:
    wrong = sell(bought, "3", "30.00", "rebalance")
    sell(bought, "2", "30.00", "top-up")
    known = bought.store.head().position
    bought.reverse(wrong)
    queries = look_at(bought).queries
    found = queries.realized(*YEAR)
    assert (found.holdings, found.invested) == (D("19.60"), D(0))
    news = queries.realized(*YEAR, since_position=known)
    assert (news.holdings, news.invested) == (D("-29.60"), D("-29.60"))


def test_a_re_cost_counts_where_the_sale_did(bought: Any, look_at: Callable[..., Any]) -> None:
    sell(bought, "2", "30.00", "rebalance")
    sell(bought, "4", "30.00", "top-up")
    known = bought.store.head().position
    bought.buy("10", "22.00", "2024-01-15", symbol="SCHD", sleeve="holdings", context="top-up")
    news = look_at(bought).queries.realized(*YEAR, since_position=known)
    assert (news.holdings, news.invested) == (D("-6.00"), D("-2.00"))


def test_the_reserve_is_short_of_what_its_security_cost_and_lost_below_its_highest(
    bought: Any,
) -> None:
    assert reserve_short(bought.books).amount == 0
    gained = sell(bought, "4", "105.00", "tax-reserve", "SGOV")  # 19.60
    assert reserve_short(bought.books).amount == 0
    sell(bought, "1", "90.00", "tax-reserve", "SGOV")  # -10.40
    assert reserve_short(bought.books).amount == D("10.40")
    at = reserve_short(bought.books).position
    bought.capital(
        Earmark, "4.00", reference=f"holdings-vehicle-{at}", purse_from="float",
        purse_to="tax_reserve", context="tax-reserve",
    )  # fmt: skip
    assert reserve_short(bought.books).amount == D("6.40")
    assert reserve_short(bought.books).position > at
    bought.capital(Earmark, "50.00", purse_from="float", purse_to="tax_reserve")  # more set aside
    assert reserve_short(bought.books).amount == D("6.40")
    bought.reverse(gained)
    assert reserve_short(bought.books).amount == D("26.00")
