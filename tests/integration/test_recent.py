"""Aggregates that a dispatcher keeps from one command to the next: never staler than the store."""

from datetime import date
from decimal import Decimal

import pytest

from aggregates.errors import DomainError
from aggregates.order import Order
from aggregates.order_messages import RecordAcceptance, RecordExpiry, RecordFill, RecordSubmission
from runtime.dispatch import Dispatcher
from runtime.recent import KEPT, Recent


def test_what_another_writer_recorded_meanwhile_is_seen(keeper) -> None:
    intent, fill = keeper.fill_commands("buy", "10", "100.00", "2024-01-02")
    order = {"order_id": intent.order_id}
    keeper.send(intent)
    keeper.send(keeper.command(RecordSubmission, **order))
    other = Dispatcher(keeper.store, "another")
    other(keeper.command(RecordExpiry, **order), command_id="other")

    with pytest.raises(DomainError, match="is expired; it cannot become accepted"):
        keeper.send(keeper.command(RecordAcceptance, **order, broker_order_id="SIM-1"))
    assert keeper.send(fill), "a fill is taken in every state"
    assert keeper.store.load(Order, f"order-{intent.order_id}").filled.decimal == 10


def test_a_batch_that_was_refused_leaves_nothing_behind(keeper) -> None:
    intent, fill = keeper.fill_commands("buy", "10", "100.00", "2024-01-02")
    keeper.send(intent)
    too_much = keeper.command(
        RecordFill, order_id=intent.order_id, execution_id="e99", quantity=Decimal(1),
        price=Decimal(1), currency="USD", commission=Decimal(0), fees=Decimal(0), net_amount=None,
        settles_on=date(2024, 1, 3),
    )  # fmt: skip
    with pytest.raises(DomainError, match="more than the 0 open"):
        keeper.send(fill, too_much)  # the first is decided, the second refuses both

    keeper.send(fill)
    assert keeper.store.load(Order, f"order-{intent.order_id}").version == 2


def test_no_more_are_kept_than_a_session_needs(keeper) -> None:
    recent = Recent()
    recent.keep(Order(f"order-{number}") for number in range(KEPT + 5))
    assert recent.take(keeper.store, Order, "order-4") is None
    assert recent.take(keeper.store, Order, "order-5") is not None
    assert recent.take(keeper.store, Order, "order-5") is None, "it is taken out"
