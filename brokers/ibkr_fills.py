"""Executions at Interactive Brokers, numbered as they are first told with their costs.

IBKR tells the executions since midnight, and the cost of each in a message of its own, later. One
without its cost is not told on: it would be booked wrong. An execution id ends with its revision
(".01"): a correction comes as the same execution under the next one, so ours leaves it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from ib_async.objects import ExecutionFilter

from brokers.ibkr_line import IbkrLine, believed, no_answer
from brokers.ibkr_link import Refused
from brokers.ibkr_symbols import OPTION, multiplier_of, symbol_of
from brokers.ibkr_told import Cost, Fill, Told, Unreadable
from brokers.port import BrokerUnavailable, Execution, SessionCalendar
from config.clock import Clock, local_date

_LONGEST_CLOSURE_DAYS = 10
_CENT = Decimal("0.01")


class IbkrFills:
    """In memory; a restart reads and numbers the day's anew. ``contradictions`` says in words what
    was told twice with different content."""

    def __init__(self, line: IbkrLine, clock: Clock, calendar: SessionCalendar) -> None:
        self._line, self._clock, self._calendar = line, clock, calendar
        self._patience = timedelta(seconds=line.access.settle_s)
        self._known: dict[str, Fill] = {}  # told on, by our execution id
        self._executions: list[Execution] = []
        self._waiting: dict[str, datetime] = {}  # for their cost, since when
        self.contradictions: list[str] = []

    def since(self, sequence: int) -> Sequence[Execution]:
        """What has its cost is told at once. When nothing is left to tell and a cost is overdue,
        this raises BrokerUnavailable: the list is not complete, and will not become so by itself.
        """
        told = self._ask(costs=True)
        costs = _costs(told)
        fresh = self._fresh(_fills(told, self._line.access.account))
        believed("its fills", lambda: self._add(fresh, costs))
        new = self._executions[max(sequence, 0) :]
        waiting = [fill for fill in fresh if _id(fill) not in costs and self._ours(fill)]
        self._check_costs(waiting, bool(new))
        return new

    def of_order(self, order_ref: str) -> list[Fill]:
        """Today's executions of an order, each as it was told last."""
        told = _newest(_fills(self._ask(costs=False), self._line.access.account))
        return [fill for fill in told.values() if fill.order_ref == order_ref]

    def _ask(self, *, costs: bool) -> list[Told]:
        wanted = ExecutionFilter(acctCode=self._line.access.account)
        try:
            return self._line.ask(
                "its fills",
                lambda c, n: c.reqExecutions(n, wanted),
                ("fill", "cost") if costs else ("fill",),
                "fill_end",
                after=self._all_have_costs if costs else None,
            )
        except Refused as no:
            raise no_answer("its fills", no) from None

    def _all_have_costs(self, told: Sequence[Told]) -> bool:
        """Of those that are not told on yet and not overdue: for these nobody waits any more."""
        costs = _costs(told)
        fresh = self._fresh(_fills(told, self._line.access.account))
        waiting = [f for f in fresh if _id(f) not in costs and self._ours(f)]
        return all(self._is_overdue(_id(f)) for f in waiting)

    def _ours(self, fill: Fill) -> bool:
        """Costs of what other programs and people trade are told to a master client id alone."""
        return fill.client_id == self._line.access.client_id

    def _fresh(self, fills: Sequence[Fill]) -> list[Fill]:
        """Each execution that was not told on yet, as it was told last; the first that was told on
        stands, and another one under its id is a contradiction that reconciliation shows."""
        newest = _newest(fills)
        for id_, fill in newest.items():
            known = self._known.get(id_)
            if known is not None and (known.quantity, known.price) != (fill.quantity, fill.price):
                said = (
                    f"IBKR corrected execution {id_}: {known.quantity} at {known.price} is now "
                    f"{fill.quantity} at {fill.price}. The books have the first."
                )
                if said not in self.contradictions:
                    self.contradictions.append(said)
        return [fill for id_, fill in newest.items() if id_ not in self._known]

    def _add(self, fresh: Sequence[Fill], costs: dict[str, Cost]) -> None:
        """All are made before any is kept: one that cannot be read leaves no hole."""
        ready = [f for f in fresh if _id(f) in costs]
        ready.sort(key=lambda f: (f.executed_at, f.execution_id))
        first = len(self._executions) + 1
        made = [self._execution(n, f, costs[_id(f)]) for n, f in enumerate(ready, first)]
        self._executions += made
        self._known |= {_id(fill): fill for fill in ready}

    def _check_costs(self, waiting: Sequence[Fill], told_some: bool) -> None:
        now = self._clock.now()
        self._waiting = {_id(f): self._waiting.get(_id(f), now) for f in waiting}
        overdue = sorted(id_ for id_ in self._waiting if self._is_overdue(id_))
        if overdue and not told_some:
            raise BrokerUnavailable(
                f"IBKR does not tell the cost of execution {overdue[0]}. It was not booked; "
                "compare with IBKR's own list of trades."
            )

    def _is_overdue(self, execution_id: str) -> bool:
        began = self._waiting.get(execution_id)
        return began is not None and self._clock.now() - began > self._patience

    def _execution(self, sequence: int, fill: Fill, cost: Cost) -> Execution:
        """Of an option the change of cash is stated, by its multiplier; of a share it is left to
        the books. IBKR's commission holds the fees."""
        if cost.currency != fill.contract.currency:
            raise Unreadable("currency of a commission")
        option = fill.contract.secType == OPTION
        worth = fill.quantity * fill.price * multiplier_of(fill.contract)
        net = (-worth if fill.buys else worth) - cost.commission
        return Execution(
            sequence=sequence,
            execution_id=_id(fill),
            client_order_id=fill.order_ref or f"ibkr-{fill.perm_id}",
            broker_order_id=str(fill.perm_id),
            symbol=symbol_of(fill.contract),
            side="buy" if fill.buys else "sell",
            quantity=fill.quantity,
            price=fill.price,
            currency=fill.contract.currency,
            commission=cost.commission,
            fees=Decimal(0),
            net_amount=net.quantize(_CENT) if option else None,
            executed_at=fill.executed_at,
            settles_on=self._settles_on(local_date(fill.executed_at, "America/New_York")),
        )

    def _settles_on(self, day: date) -> date:
        """A fill overnight or on a day without a session counts as one of the next session."""
        for _ in range(_LONGEST_CLOSURE_DAYS):
            if self._calendar.session(day) is not None:
                break
            day += timedelta(days=1)
        return self._calendar.settles_on(day)


def _fills(told: Sequence[Told], account: str) -> list[Fill]:
    return [t.row for t in told if t.kind == "fill" and t.row.account == account]


def _newest(fills: Sequence[Fill]) -> dict[str, Fill]:
    """By our id, the last revision of each."""
    return {_id(fill): fill for fill in sorted(fills, key=lambda f: f.execution_id)}


def _costs(told: Sequence[Told]) -> dict[str, Cost]:
    return {_id(t.row): t.row for t in told if t.kind == "cost"}


def _id(row: Fill | Cost) -> str:
    return row.execution_id.rpartition(".")[0] or row.execution_id
