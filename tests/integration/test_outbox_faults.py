"""Orders on a bad line: refused, doubled, unanswered. Nothing is sent twice, nothing is lost."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.port import BrokerOrder, Execution, OrderRefused, OrderRequest, OutcomeUnknown
from brokers.simulated import SimulatedBroker
from brokers.synthetic import SyntheticMarketData
from config.calendar import TradingCalendar
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import settings_from
from runtime.bootstrap import Bot, provision
from runtime.queries import Queries
from runtime.supervisor import Supervisor

DAY = date(2026, 3, 4)  # three entries with seed 1
CASH = Decimal("100000.00")


class BadLine(SimulatedBroker):
    """The simulated broker behind a line that misbehaves as told, on the n-th submission."""

    fault: Callable[[OrderRequest], None] | None = None
    on = 1
    sent: list[str]
    intent_was_on_disk: Callable[[str], bool]

    def submit(self, request: OrderRequest) -> BrokerOrder:
        self.sent.append(request.client_order_id)
        assert self.intent_was_on_disk(request.client_order_id), "sent before its intent was stored"
        if self.fault and len(self.sent) == self.on:
            if self.fault is lost_after_arrival:
                super().submit(request)
            self.fault(request)
        return super().submit(request)

    def fills_since(self, sequence: int) -> list[Execution]:
        """Every report comes again, and again."""
        found = list(super().fills_since(sequence))
        return found + found


def lost_before_arrival(_: OrderRequest) -> None:
    raise OutcomeUnknown("timed out; it never left the building")


def lost_after_arrival(_: OrderRequest) -> None:
    raise OutcomeUnknown("timed out; the answer was lost")


def refused(_: OrderRequest) -> None:
    raise OrderRefused("halted", "trading in this symbol is halted")


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Callable[..., tuple[BadLine, Queries]]]:
    """Play one synthetic day over a line with one fault; gives the line and what was booked."""
    opened: list[Queries] = []

    def play(
        fault: Callable[[OrderRequest], None] | None = None, on: int = 1
    ) -> tuple[BadLine, Queries]:
        folder = DataFolder(tmp_path / f"day{len(opened)}")
        folder.simulated_broker.parent.mkdir(parents=True)
        calendar = TradingCalendar("XNYS", DAY, DAY)
        sessions = calendar.sessions(DAY - timedelta(days=2), DAY)
        market = SyntheticMarketData(1, sessions)
        clock = VirtualClock(sessions[-2].close)
        line = BadLine(folder.simulated_broker, market, clock, calendar, starting_cash=CASH, seed=1)
        line.fault, line.on, line.sent = fault, on, []
        bot = Bot(
            folder,
            settings_from({"ENTITY_CODE": "DEMO"}),
            clock=clock,
            broker=line,
            calendar=calendar,
            fresh_blind_key=bytes(32),
        )
        provision(bot, symbols=market.symbols(), deposit=CASH, at=clock.now(), demo=True)
        line.intent_was_on_disk = lambda client_id: bool(
            bot.views.feed.page(topics=("Order.Intended",), text=client_id)
        )
        Supervisor(bot, market.symbols()).run_session(sessions[-1])
        bot.close()
        queries = Queries(folder)
        opened.append(queries)
        return line, queries

    yield play
    for queries in opened:
        queries.close()


def states(queries: Queries) -> list[tuple[str, str]]:
    report = queries.day(DAY)
    assert report is not None
    return [(o.symbol, o.state) for o in report.orders]


def test_reports_that_come_twice_are_booked_once(
    day: Callable[..., tuple[BadLine, Queries]],
) -> None:
    line, queries = day()
    report = queries.day(DAY)
    assert report is not None
    assert len(report.trades) == 3
    assert report.differences == ()
    assert len(line.sent) == len(set(line.sent))


@pytest.mark.parametrize("on", [1, 2, 4])
def test_an_answer_that_was_lost_is_asked_for_and_never_sent_again(
    day: Callable[..., tuple[BadLine, Queries]], on: int
) -> None:
    line, queries = day(lost_after_arrival, on)
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
    day: Callable[..., tuple[BadLine, Queries]],
) -> None:
    line, queries = day(lost_before_arrival, 1)
    assert len(line.sent) == len(set(line.sent))
    assert states(queries)[0][1] == "rejected"
    rejected = queries.events(topics=("Order.Rejected",))
    assert rejected[0].payload["error_code"] == "not_at_broker"
    report = queries.day(DAY)
    assert report is not None
    assert len(report.trades) == 2
    assert report.differences == ()


def test_an_exit_that_was_refused_is_decided_again_until_flat(
    day: Callable[..., tuple[BadLine, Queries]],
) -> None:
    _, queries = day(refused, 4)  # the first three are the entries
    report = queries.day(DAY)
    assert report is not None
    assert "rejected" in {o.state for o in report.orders}
    assert not report.positions
    assert report.differences == ()
