"""Trading halts over a real websocket: what denies an entry, and what nobody can know."""

import logging
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from brokers.alpaca_halts import AlpacaHalts
from brokers.alpaca_http import Keys
from brokers.port import Asset
from config.setting_forms import Secret
from strategies.risk import tradable


@pytest.fixture
def broker(alpaca: Any) -> Any:
    """An adapter that is told of halts."""
    alpaca.broker.asset("ALFA")
    assert alpaca.broker._halts.listening.wait(10)
    return alpaca.broker


@pytest.fixture
def make(alpaca: Any) -> Iterator[Callable[..., AlpacaHalts]]:
    """`make(url=..., wrong=...)`: a stream that has been started."""
    made: list[AlpacaHalts] = []

    def started(url: str = "", wrong: str = "", **options: Any) -> AlpacaHalts:
        keys = Keys(alpaca.access.key_id, Secret(wrong) if wrong else alpaca.access.secret)
        url = url or alpaca.server.url
        made.append(AlpacaHalts(keys, "iex", url, 0.3, alpaca.clock, **options))
        made[-1].start()
        return made[-1]

    yield started
    for one in made:
        one.close()


def until(good: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not good():
        assert time.monotonic() < deadline, "it did not come within 10 seconds"
        time.sleep(0.005)


def entry(asset: Asset) -> tuple[bool, str]:
    """What the rule of entries says of it: passed, and in which words."""
    inputs: Any = SimpleNamespace(tradable=asset.tradable, halted=asset.halted)
    found = tradable(SimpleNamespace(inputs=inputs))  # type: ignore[arg-type]
    return found.passed, found.value


def becomes(broker: Any, halted: bool | None, symbol: str = "ALFA") -> Asset:
    until(lambda: broker.asset(symbol).halted is halted)
    found = broker.asset(symbol)
    assert isinstance(found, Asset)
    return found


def said(halts: AlpacaHalts, outcome: str) -> None:
    found: list[str] = []

    def seen() -> bool:
        found.extend(action.outcome for action in halts.said())
        return outcome in found

    until(seen)


def test_a_halt_denies_and_a_resumption_allows(alpaca: Any, broker: Any) -> None:
    assert entry(broker.asset("ALFA")) == (True, "tradable")  # nothing told: left to the quote
    for code, reason, tape in (("H", "T1", "C"), ("P", "LUDP", "C"), ("2", "M", "A")):
        alpaca.server.status("ALFA", code, reason, tape)
        assert entry(becomes(broker, True)) == (False, "halted")
        alpaca.server.status("ALFA", "3" if tape == "A" else "T", tape=tape)
        assert entry(becomes(broker, False)) == (True, "tradable")
    assert broker.asset("BRVO").halted is None


def test_quotes_before_trading_resumes_and_imbalances_do_not_end_a_halt(
    alpaca: Any, broker: Any
) -> None:
    for code in "HQ5A":
        alpaca.server.status("ALFA", code)
    alpaca.server.status("BRVO", "T")
    becomes(broker, False, "BRVO")
    assert broker.asset("ALFA").halted is True


def test_after_a_drop_nothing_is_known_until_it_is_told(alpaca: Any, broker: Any) -> None:
    alpaca.server.status("ALFA", "H")
    alpaca.server.status("BRVO", "T")
    becomes(broker, True)
    becomes(broker, False, "BRVO")
    alpaca.server.hold_streams = True
    alpaca.server.drop_data_streams()
    becomes(broker, None)
    alpaca.server.status("ALFA", "T")  # to nobody
    alpaca.server.hold_streams = False
    assert broker._halts.listening.wait(10)
    assert [broker.asset(s).halted for s in ("ALFA", "BRVO")] == [None, None]
    assert entry(broker.asset("ALFA")) == (True, "tradable")
    alpaca.server.status("ALFA", "H")
    becomes(broker, True)


@pytest.mark.parametrize(
    "frame",
    [b"\xc1", "{", b"", b"\x91" * 3_000, msgspec.msgpack.encode([{"T": "s", "S": "ALFA"}]),
     msgspec.msgpack.encode([{"T": "error", "code": 407, "msg": "slow client"}])],
)  # fmt: skip
def test_what_cannot_be_read_may_have_been_anything(
    alpaca: Any, broker: Any, frame: str | bytes
) -> None:
    alpaca.server.status("BRVO", "H")
    becomes(broker, True, "BRVO")
    alpaca.server.say_data(frame)
    becomes(broker, None, "BRVO")
    alpaca.server.status("BRVO", "T")  # and the connection goes on
    becomes(broker, False, "BRVO")
    lines = [a for a in alpaca.actions if a.method == "STREAM"]
    assert lines[0].outcome == "200"
    assert lines[1].outcome in ("a message that cannot be read", "read too slowly")


def test_a_code_that_is_not_known_makes_its_symbol_not_known(alpaca: Any, broker: Any) -> None:
    for symbol in ("ALFA", "BRVO"):
        alpaca.server.status(symbol, "H")
    becomes(broker, True, "BRVO")
    alpaca.server.status("ALFA", "O")
    becomes(broker, None)
    assert broker.asset("BRVO").halted is True


def test_refused_keys_on_this_stream_end_this_stream_alone(
    alpaca: Any, make: Callable[..., AlpacaHalts], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    halts = make(wrong="canary-of-another-bot")
    said(halts, "keys refused; not asked again by this process")
    until(lambda: not halts._running._thread.is_alive())  # type: ignore[union-attr]
    assert halts.halted("ALFA") is None
    assert caplog.text
    assert "canary" not in caplog.text
    alpaca.server.refuse_data = "auth failed"
    assert alpaca.broker.asset("ALFA").halted is None
    alpaca.buy("a-1", "3")  # and trading goes on
    assert alpaca.broker.news().ask is True
    assert list(alpaca.broker.self_check()) == []


def test_a_feed_that_was_not_bought_is_not_asked_for_again(
    alpaca: Any, make: Callable[..., AlpacaHalts]
) -> None:
    alpaca.server.refuse_data = "insufficient subscription"
    said(make(), "feed not in the subscription; not asked again by this process")


def test_a_place_that_is_taken_is_asked_for_until_it_is_free(
    alpaca: Any, make: Callable[..., AlpacaHalts]
) -> None:
    """As after a kill, whose connection Alpaca still counts."""
    alpaca.server.refuse_data = "connection limit exceeded"
    halts = make()
    said(halts, "another connection of the account is open")
    alpaca.server.refuse_data = ""
    assert halts.listening.wait(10)


def test_a_greeting_that_does_not_come_is_not_waited_for(
    alpaca: Any, make: Callable[..., AlpacaHalts]
) -> None:
    alpaca.server.hold_streams = True
    halts = make()
    until(lambda: bool(alpaca.server.data_streams))
    alpaca.server.hold_streams = False  # too late for this connection
    said(halts, "no connection")
    assert halts.listening.wait(10)


def test_a_greeting_and_an_answer_to_the_keys_that_cannot_be_read_are_no_yes(
    fakes: Any, make: Callable[..., AlpacaHalts], monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = fakes.server.streams.DataStream
    told = socket._tell
    mangle = lambda stream, _message: stream.send(b"\xc1")  # noqa: E731
    monkeypatch.setattr(socket, "_tell", mangle)
    halts = make()
    said(halts, "no connection")
    monkeypatch.setattr(socket, "_tell", told)
    assert halts.listening.wait(10)


def test_statuses_that_are_refused_are_said(alpaca: Any, make: Callable[..., AlpacaHalts]) -> None:
    alpaca.server.refuse_statuses = "symbol limit exceeded"
    halts = make()
    said(halts, "too many symbols for the subscription")
    assert not halts.listening.is_set()


def test_a_mute_connection_is_given_up(alpaca: Any, make: Callable[..., AlpacaHalts]) -> None:
    halts = make(ping_s=0.2)
    assert halts.listening.wait(10)
    alpaca.server.status("ALFA", "T")
    until(lambda: halts.halted("ALFA") is False)
    for one in alpaca.server.data_streams:
        one.mute = True
    until(lambda: halts.halted("ALFA") is None)
    assert halts.listening.wait(10)  # on a new connection


def test_what_nobody_fetches_is_bounded(
    alpaca: Any, make: Callable[..., AlpacaHalts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokers.alpaca_halts.MOST_SYMBOLS", 3)
    monkeypatch.setattr("brokers.alpaca_halts.MOST_SAID", 4)
    halts = make()
    assert halts.listening.wait(10)
    for n in range(20):
        alpaca.server.status(f"S{n}", "H")
        alpaca.server.status(f"S{n}", "O")
        alpaca.server.say_data(b"\xc1")
    alpaca.server.status("ALFA", "T")
    until(lambda: halts.halted("ALFA") is False)
    assert len(halts.said()) == 4
    for n in range(5):
        alpaca.server.status(f"S{n}", "H")
    until(lambda: halts.halted("S4") is True)
    assert halts.halted("S0") is None


def test_it_opens_with_the_first_question_of_a_trading_day_and_ends_with_close(alpaca: Any) -> None:
    server, broker = alpaca.server, alpaca.broker
    broker.self_check()
    broker.quote("ALFA")
    time.sleep(0.1)
    assert server.data_streams == []
    broker.bars("ALFA", alpaca.show_market(), alpaca.clock.now())
    assert broker._halts.listening.wait(10)
    began = time.monotonic()
    broker.close()
    assert time.monotonic() - began < 3
    until(lambda: server.data_streams == [])


@pytest.mark.parametrize("held", [False, True])
def test_closing_is_quick_without_a_connection(
    alpaca: Any, make: Callable[..., AlpacaHalts], held: bool
) -> None:
    """Nobody there, or somebody who takes the connection and says nothing."""
    alpaca.server.hold_streams = held
    halts = make(url="" if held else "http://127.0.0.1:9")
    if held:
        until(lambda: bool(alpaca.server.data_streams))
    began = time.monotonic()
    halts.close()
    assert time.monotonic() - began < 3
