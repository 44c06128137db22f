"""Whether a broker answers, as the watchdog sees it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from brokers.port import BrokerUnavailable, OrderRefused
from config.clock import VirtualClock
from runtime.watched_broker import WatchedBroker

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


class HalfDead:
    """Answers all but what is named in ``dead``."""

    def __init__(self) -> None:
        self.dead: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        def answer(*_given: object) -> tuple[()]:
            if name in self.dead:
                raise BrokerUnavailable("no answer.")
            return ()

        return answer


@pytest.mark.parametrize(("dead", "alive"), [("positions", "bars"), ("bars", "positions")])
def test_prices_that_come_do_not_hide_that_orders_get_no_answer_nor_the_other_way(
    dead: str, alive: str
) -> None:
    broker, clock, beats = HalfDead(), VirtualClock(START), list[datetime]()
    watched = WatchedBroker(broker, clock, lambda: beats.append(clock.now()))  # type: ignore[arg-type]
    ask = {
        "positions": watched.positions,
        "bars": lambda: watched.bars("ALFA", START, START),
    }
    broker.dead = {dead}
    for _minute in range(3):
        with pytest.raises(BrokerUnavailable):
            ask[dead]()
        ask[alive]()
        clock.wait_until(clock.now() + timedelta(minutes=1))
    assert watched.unreachable_since == START
    broker.dead = set()
    ask[dead]()
    assert watched.unreachable_since is None
    assert len(beats) == 7  # every answer and every failure shows that the loop goes on


def test_a_refusal_is_an_answer() -> None:
    class Refusing(HalfDead):
        def submit(self, _request: object) -> None:
            raise OrderRefused("market_closed", "The market is closed.")

    broker = Refusing()
    watched = WatchedBroker(broker, VirtualClock(START), lambda: None)  # type: ignore[arg-type]
    broker.dead = {"positions"}
    with pytest.raises(BrokerUnavailable):
        watched.positions()
    assert watched.unreachable_since == START
    with pytest.raises(OrderRefused):
        watched.submit(None)  # type: ignore[arg-type]
    assert watched.unreachable_since is None
