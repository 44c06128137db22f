"""Answers of a broker over HTTP that are none: one that names another address, where neither an
order nor a key is sent, and one that takes for ever to come."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from brokers import http_wire
from brokers.port import BrokerUnavailable, KeysRefused, OutcomeUnknown
from config.setting_forms import Secret

HTTP = ("alpaca", "tradier", "webull", "robinhood")


@pytest.mark.parametrize("name", HTTP)
def test_an_order_that_is_redirected_is_unclear_and_not_sent_again(
    make_rig: Callable[..., Any], name: str
) -> None:
    rig = make_rig(name)
    rig.server.fault("redirect", "POST")
    with pytest.raises(OutcomeUnknown):
        rig.broker.submit(rig.ask())
    assert (rig.sent("a-1"), rig.orders_there("a-1")) == (1, 0)


@pytest.mark.parametrize("name", HTTP)
def test_a_question_that_is_redirected_is_no_answer(
    make_rig: Callable[..., Any], name: str
) -> None:
    rig = make_rig(name)
    rig.server.fault("redirect", "GET", times=3)
    with pytest.raises(BrokerUnavailable, match="307"):
        rig.broker.positions()
    assert rig.reads() == 3


@pytest.mark.parametrize("name", HTTP)
def test_an_answer_byte_by_byte_is_cut_in_time(
    make_rig: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(name)
    monkeypatch.setattr(http_wire, "LONGEST_BODY_S", 0.1)
    rig.server.fault("drip", times=99)
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="no answer in time"):
        rig.broker.positions()
    with pytest.raises(OutcomeUnknown):
        rig.broker.submit(rig.ask())
    assert time.monotonic() - began < 4, "twenty seconds each, byte by byte"


@pytest.mark.parametrize(("name", "of"), [("alpaca", "secret"), ("tradier", "token")])
def test_a_key_that_cannot_be_sent_is_refused(
    make_rig: Callable[..., Any], name: str, of: str
) -> None:
    """Copied with what an editor made of three dots."""
    rig = make_rig(name)
    broker = rig.again(replace(rig.access, **{of: Secret("canary-0002\u2026")}))
    with pytest.raises(KeysRefused):
        broker.account()
    assert rig.server.asked == []
