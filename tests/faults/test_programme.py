"""Seeded days with faults, kills and restarts: no double order, no lost fill, books and broker
equal, limits kept, and the same history for the same seed.

PROGRAMME=full runs 10,000; by default a share of them, the first seeds. A scenario that fails names
its seed; `SEED=17` runs that one alone.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from aggregates.order import Order
from brokers.port import BrokerError, Execution
from runtime.broker_line import NoAnswer
from runtime.order_records import OrderRecords
from runtime.outbox import Outbox, _request

SHARE, ALL = 40, 10_000
REPLAYED = 20  # every so many of the scenarios are played twice


def play(scenario: Any) -> str:
    """The head of the history that it comes to, when everything holds."""
    try:
        scenario.run()
        scenario.check()
        return str(scenario.head)
    except Exception as e:
        seed = scenario.seed
        pytest.fail(
            f"seed {seed}: {type(e).__name__}: {e}\n"
            f"This one alone: SEED={seed} .venv/bin/pytest tests/faults"
        )
    finally:
        scenario.behind.close()
        shutil.rmtree(scenario.folder.root)


def test_whatever_goes_wrong_the_books_come_to_the_truth(
    make_scenario: Callable[..., Any], full: bool, count: Callable[..., None]
) -> None:
    one = os.environ.get("SEED")
    seeds = range(int(one), int(one) + 1) if one else range(ALL if full else SHARE)
    began = time.monotonic()
    for seed in seeds:
        scenario = make_scenario(seed)
        head = play(scenario)
        for what, number in sorted(scenario.counts.items()):
            count(what, number)
        if seed % REPLAYED == 0:
            assert play(make_scenario(seed, "again")) == head, f"seed {seed}: another history"
            count("scenarios played twice, to the same head hash")
        count("scenarios")
    count(f"is the last of the seeds, which begin at {seeds[0]}", seeds[-1])
    count("seconds", round(time.monotonic() - began))


def test_with_all_strategies_and_puts_too(
    make_scenario: Callable[..., Any], full: bool, count: Callable[..., None]
) -> None:
    one = os.environ.get("SEED")
    seeds = range(int(one), int(one) + 1) if one else range(ALL // 4 if full else SHARE // 2)
    for seed in seeds:
        scenario = make_scenario(seed, "three", three=True)
        head = play(scenario)
        count("scenarios of all strategies")
        for what in ("orders at the broker", "orders of puts intended", "fills", "restarts"):
            count(f"{what} (all strategies)", scenario.counts[what])
        if seed % REPLAYED == 0:
            assert play(make_scenario(seed, "again", three=True)) == head


def first_failure(make_scenario: Callable[..., Any], seeds: int) -> str:
    for seed in range(seeds):
        try:
            play(make_scenario(seed, "broken"))
        except pytest.fail.Exception as failed:
            return str(failed)
    return ""


def test_an_outbox_that_sends_again_is_noticed(
    make_scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = Outbox._settle

    def send_again(self: Outbox, order: Order) -> None:
        if order.state == "unknown":
            with suppress(BrokerError, NoAnswer):
                self._line.answer(lambda: self._broker.submit(_request(order)))
        settle(self, order)

    monkeypatch.setattr(Outbox, "_settle", send_again)
    assert "sent again after an unclear outcome" in first_failure(make_scenario, 20)


def test_cancellations_that_are_asked_for_once_only_are_noticed(
    make_scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outbox, "_ask_to_cancel", ask_once)
    assert "bought after the end of entries" in first_failure(make_scenario, 60)


def ask_once(self: Outbox, order: Order) -> None:
    asked = self.__dict__.setdefault("asked", set())
    if order.terms.order_id not in asked:
        asked.add(order.terms.order_id)
        with suppress(BrokerError, NoAnswer):
            self._line.answer(lambda: self._broker.cancel(order.terms.client_order_id))


def test_fills_that_are_booked_with_another_quantity_are_noticed(
    make_scenario: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = OrderRecords.fill

    def halve(self: OrderRecords, order_id: str, execution: Execution, broker: str) -> None:
        half = msgspec.structs.replace(execution, quantity=execution.quantity / 2)
        record(self, order_id, half, broker)

    monkeypatch.setattr(OrderRecords, "fill", halve)
    assert first_failure(make_scenario, 20)
