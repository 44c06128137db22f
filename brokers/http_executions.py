"""Executions that a broker lists again and again, each told once and numbered as it is first seen.

In memory: a restart reads and numbers them anew. What was told first of an execution stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from brokers.port import Execution


class Executions:
    """``contradictions`` says in words which execution was told twice with different content."""

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._known: dict[str, Execution] = {}
        self._in_order: list[Execution] = []
        self.contradictions: list[str] = []

    def since(self, sequence: int) -> Sequence[Execution]:
        return self._in_order[max(sequence, 0) :]

    def take(self, listed: Iterable[Execution]) -> None:
        """In the order of their times; their own ``sequence`` says nothing."""
        for one in sorted(listed, key=lambda e: (e.executed_at, e.broker_order_id, e.execution_id)):
            known = self._known.get(one.execution_id)
            if known is None:
                numbered = msgspec.structs.replace(one, sequence=len(self._in_order) + 1)
                self._known[one.execution_id] = numbered
                self._in_order.append(numbered)
            elif (known.quantity, known.price) != (one.quantity, one.price):
                said = f"{self._broker} told execution {one.execution_id} twice, differently."
                if said not in self.contradictions:
                    self.contradictions.append(said)
