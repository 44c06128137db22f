"""Orders on a bad line: refused, doubled, unanswered. Nothing is sent twice, nothing is lost."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from brokers.port import OrderRefused, OrderRequest, OutcomeUnknown
from runtime.queries import Queries

DAY = date(2026, 3, 4)


def no_answer(_: OrderRequest) -> None:
    raise OutcomeUnknown("timed out")


def refused(_: OrderRequest) -> None:
    raise OrderRefused("halted", "trading in this symbol is halted")


def states(queries: Queries) -> list[tuple[str, str]]:
    report = queries.day(DAY)
    assert report is not None
    return [(o.symbol, o.state) for o in report.orders]


def test_reports_that_come_twice_are_booked_once(
    day: Callable[..., tuple[Any, Queries]],
) -> None:
    line, queries = day()
    report = queries.day(DAY)
    assert report is not None
    assert len(report.trades) == 3
    assert report.differences == ()
    assert len(line.sent) == len(set(line.sent))


@pytest.mark.parametrize("on", [1, 2, 4])
def test_an_answer_that_was_lost_is_asked_for_and_never_sent_again(
    day: Callable[..., tuple[Any, Queries]], on: int
) -> None:
    line, queries = day(no_answer, on, arrives=True)
    _, calm = day()
    assert len(line.sent) == len(set(line.sent))
    assert queries.events(topics=("Order.OutcomeUnknown",))
    a, b = queries.day(DAY), calm.day(DAY)
    assert a is not None
    assert b is not None
    assert [(t.symbol, t.quantity, t.pnl) for t in a.trades] == [
        (t.symbol, t.quantity, t.pnl) for t in b.trades
    ]
    assert a.differences == ()


def test_an_entry_that_never_arrived_is_given_up_and_said_so(
    day: Callable[..., tuple[Any, Queries]],
) -> None:
    line, queries = day(no_answer, 1)
    assert len(line.sent) == len(set(line.sent))
    assert states(queries)[0][1] == "rejected"
    rejected = queries.events(topics=("Order.Rejected",))
    assert rejected[0].payload["error_code"] == "not_at_broker"
    report = queries.day(DAY)
    assert report is not None
    assert len(report.trades) == 2
    assert report.differences == ()


def test_an_exit_that_was_refused_is_decided_again_until_flat(
    day: Callable[..., tuple[Any, Queries]],
) -> None:
    _, queries = day(refused, 4)  # the first three are the entries
    report = queries.day(DAY)
    assert report is not None
    assert "rejected" in {o.state for o in report.orders}
    assert not report.positions
    assert report.differences == ()
