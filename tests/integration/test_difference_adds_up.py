"""Random late events, reversals, splits and closes: the entries are what the figures differ by.

The figures come from the balances and the entries from one pass over the ledger; the oracle here
adds up the journal, and reads the events' own dates from the stored payloads.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregates.capital import RecordFee
from aggregates.errors import DomainError
from aggregates.period import Period
from projections.difference import Views, difference
from projections.ledger_records import AsOf
from projections.orders import Orders

FIRST = date(2024, 1, 2)
DAYS = st.integers(0, 60).map(lambda n: FIRST + timedelta(days=n))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["deposit", "fee", "buy", "buy", "sell", "sell", "reverse", "reverse", "split", "close"]
        ),
        DAYS,
        st.integers(1, 999),
    ),
    min_size=4,
    max_size=14,
)
MOMENTS = st.tuples(st.floats(0, 1), st.floats(0, 1))
numbers = count()
Sums = dict[str, tuple[Decimal, Decimal]]


def live(keeper: Any, steps: Iterable[tuple[str, date, int]]) -> None:
    """Carry the steps out; what the rules refuse is left out."""
    keeper.buy("1000", "9.99", "2024-01-02")  # enough to sell from on any day
    standing = []
    for kind, on, number in steps:
        day, amount = on.isoformat(), f"{number}.37"
        try:
            match kind:
                case "deposit":
                    standing.append(keeper.deposit(amount, day))
                case "fee":
                    standing.append(keeper.capital(RecordFee, amount, day))
                case "buy":
                    standing.append(keeper.buy(f"{number}.5", amount, day, commission="0.35"))
                case "sell":
                    standing.append(keeper.sell(f"{number % 40 + 1}", amount, day, fees="0.03"))
                case "reverse" if standing:
                    keeper.reverse(standing[number % len(standing)])
                case "split":
                    keeper.split(number % 3 + 1, 2, day)
                case "close":
                    keeper.close_period(day)
        except DomainError:
            continue


def sums(entries: Iterable[Any]) -> Sums:
    """Amount and units by account, of the accounts that they leave changed."""
    found: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for posting in (p for e in entries for p in e.postings):
        found[posting.code][0] += posting.amount
        found[posting.code][1] += posting.quantity or 0
    return {code: (a, q) for code, (a, q) in found.items() if a or q}


@pytest.fixture
def orders() -> Any:
    view = Orders.in_memory()
    yield view
    view.close()


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, bounds=st.tuples(DAYS, DAYS), moments=MOMENTS)
def test_the_entries_add_up_to_the_difference_of_every_account(
    keep: Callable[..., Any], orders: Any, steps: Any, bounds: Any, moments: Any
) -> None:
    keeper = keep(f"case{next(numbers)}")
    keeper.register("SPY")
    live(keeper, steps)
    head = keeper.feed.head().position
    since, known = sorted(round(share * head) for share in moments)
    period = Period(*sorted(bounds))
    found = difference(Views(keeper.books, orders, keeper.feed), period, since, known)

    def journal(position: int) -> list[Any]:
        posted = keeper.books.journal(AsOf(position=position))
        return [e for e in posted if period.first <= e.effective_date <= period.last]

    then, now = sums(journal(since)), sums(journal(known))
    expected = {
        code: (
            now.get(code, (0, 0))[0] - then.get(code, (0, 0))[0],
            now.get(code, (0, 0))[1] - then.get(code, (0, 0))[1],
        )
        for code in then.keys() | now
    }
    shown = {
        a.code: (a.amount.difference, a.quantity.difference if a.quantity else Decimal(0))
        for a in found.accounts
    }
    assert shown == {code: moved for code, moved in expected.items() if any(moved)}
    assert sums(found.entries) == shown
    assert found.total.difference == 0
    assert {a.code: a.amount.now for a in found.accounts}.items() <= {
        code: now.get(code, (Decimal(0), 0))[0] for code in expected
    }.items()

    def own_date(position: int) -> date:
        return date.fromisoformat(json.loads(keeper.feed.at(position).state)["effective_date"])

    moved_out = [
        e
        for e in keeper.books.journal(AsOf(position=known))
        if e.position > since
        and e.effective_date > period.last
        and period.first <= own_date(e.about) <= period.last
    ]
    assert sums(found.posted_later) == sums(moved_out)
    assert len(found.posted_later) == len(moved_out)
    assert [e.own_date for e in found.entries] == [own_date(e.about) for e in found.entries]
    for order in (found.entries, found.posted_later):
        positions = [e.source.position for e in order]
        assert positions == sorted(positions)
        assert all(since < position <= known for position in positions)
