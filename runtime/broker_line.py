"""The way to the broker: within its limit of requests, and silent when the broker is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from brokers.port import Broker, BrokerUnavailable, DuplicateOrder, OrderRefused, OutcomeUnknown
from config.clock import Clock
from runtime.pace import Pace, Urgency

T = TypeVar("T")


class NoAnswer(Exception):
    """The broker did not answer, or was not asked, to keep its limit. For callers in this room."""


class BrokerLine:
    """``unreachable_since`` (UTC) is None while the last question was answered.

    Refusals and KeysRefused pass through: they are answers.
    """

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self.broker, self._clock = broker, clock
        self.pace = Pace(broker.capabilities.requests_per_minute, clock)
        self.unreachable_since: datetime | None = None

    def ask(self, urgency: Urgency, question: Callable[[], T]) -> T:
        """Raises NoAnswer when the broker is silent or the pace holds the question back."""
        if not self.pace.take(urgency):
            raise NoAnswer("not asked yet, to keep the broker's limit of requests")
        return self.answer(question)

    def answer(self, question: Callable[[], T]) -> T:
        """Of a request that the pace has let through. Raises NoAnswer when the broker is silent."""
        asked = self._clock.now()
        try:
            answer = question()
        except (BrokerUnavailable, OutcomeUnknown) as silence:
            self.unreachable_since = self.unreachable_since or asked
            raise NoAnswer(str(silence)) from None
        except (OrderRefused, DuplicateOrder):
            self.unreachable_since = None
            raise
        self.unreachable_since = None
        return answer
