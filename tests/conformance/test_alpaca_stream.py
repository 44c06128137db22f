"""The trade stream over a real websocket: what it tells, and that nothing is missed in silence."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from brokers.alpaca_http import Keys
from brokers.alpaca_stream import AlpacaStream
from brokers.port import KeysRefused, News


@pytest.fixture
def connect(alpaca: Any) -> Iterator[Callable[..., AlpacaStream]]:
    """A stream that is listening; what there was to ask at first is asked."""
    made: list[AlpacaStream] = []

    def connected(**options: Any) -> AlpacaStream:
        keys = Keys(alpaca.access.key_id, alpaca.access.secret)
        made.append(AlpacaStream(keys, True, alpaca.server.stream_url, 0.5, **options))
        made[-1].start()
        assert made[-1].listening.wait(10)
        until(made[-1], lambda news: news.ask)
        return made[-1]

    yield connected
    for stream in made:
        stream.close()


@pytest.fixture
def stream(connect: Callable[..., AlpacaStream]) -> AlpacaStream:
    return connect()


def until(stream: Any, good: Callable[[News], bool]) -> News:
    """The first news that is as expected."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if good(news := stream.news()):
            return news
        time.sleep(0.005)
    raise AssertionError("no such news came within 10 seconds")


def test_a_change_of_an_order_is_told_at_once_and_exactly(
    alpaca: Any, stream: AlpacaStream
) -> None:
    alpaca.broker.submit(alpaca.ask(quantity="2.5"))
    alpaca.trade("ALFA", "2")
    alpaca.trade("ALFA", "2")
    told = []
    while len(told) < 3:
        news = until(stream, lambda news: bool(news.orders))
        assert news.ask is False
        told += news.orders
    assert [(o.state, str(o.filled_quantity)) for o in told] == [
        ("accepted", "0"), ("partially_filled", "2"), ("filled", "2.5"),
    ]  # fmt: skip
    assert told[-1] == alpaca.broker.order("a-1")
    assert stream.news() == News(orders=(), ask=False)


def test_what_happened_without_a_connection_is_asked_for(alpaca: Any, stream: AlpacaStream) -> None:
    alpaca.broker.submit(alpaca.ask())
    until(stream, lambda news: bool(news.orders))
    alpaca.server.hold_streams = True
    alpaca.server.drop_streams()
    until(stream, lambda news: news.ask)
    alpaca.trade("ALFA", "10")  # told to nobody
    assert stream.news().ask is True  # and again, as long as nobody tells
    alpaca.server.hold_streams = False
    assert stream.listening.wait(10)
    assert stream.news() == News(orders=(), ask=True)  # once more for what was before that
    assert [f.quantity for f in alpaca.broker.fills_since(0)] == [10]
    assert stream.news() == News(orders=(), ask=False)


@pytest.mark.parametrize(
    "frame",
    ['{"stream": "trade_upd', "[]", '{"stream": "trade_updates", "data": {"order": {}}}',
     '{"stream": "trade_updates", "data": null}', "\x00"],
)  # fmt: skip
def test_a_message_that_cannot_be_read_is_asked_for(
    alpaca: Any, stream: AlpacaStream, frame: str
) -> None:
    alpaca.server.say(frame)
    assert until(stream, lambda news: news.ask).orders == ()
    alpaca.broker.submit(alpaca.ask())  # and the connection goes on
    until(stream, lambda news: bool(news.orders))


def test_a_reader_that_fails_loses_nothing(alpaca: Any, stream: AlpacaStream) -> None:
    def fail() -> None:
        raise RuntimeError("the reader is gone")

    stream._wake = fail
    alpaca.broker.submit(alpaca.ask())
    news = until(stream, lambda news: bool(news.orders))
    assert [o.client_order_id for o in news.orders] == ["a-1"]
    assert news.ask is True


def test_a_mute_connection_is_given_up(alpaca: Any, connect: Callable[..., AlpacaStream]) -> None:
    stream = connect(ping_s=0.2)
    for one in alpaca.server.streams:
        one.mute = True
    alpaca.broker.submit(alpaca.ask())
    until(stream, lambda news: news.ask)
    assert stream.listening.wait(10)  # on a new connection
    assert len(alpaca.server.streams) > 1


def test_more_news_than_anybody_fetches_is_dropped_and_said(
    alpaca: Any, stream: AlpacaStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokers.alpaca_stream.MOST_KEPT", 3)
    for n in range(5):
        alpaca.broker.submit(alpaca.ask(f"o-{n}", quantity="1"))
    deadline = time.monotonic() + 5
    while not stream._ask and time.monotonic() < deadline:
        time.sleep(0.005)
    assert stream.news().ask is True


def test_refused_keys_are_told_to_whoever_asks_for_news(alpaca: Any) -> None:
    alpaca.server.refuse_streams = True
    alpaca.broker.news()
    with pytest.raises(KeysRefused):
        until(alpaca.broker, lambda _news: False)


def test_no_log_of_any_library_holds_a_key(alpaca: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    alpaca.broker.news()
    alpaca.broker.submit(alpaca.ask())
    assert alpaca.broker._stream.listening.wait(10)
    alpaca.server.drop_streams()
    time.sleep(0.1)
    assert caplog.text
    assert "canary" not in caplog.text


def test_closing_is_quick_connected_or_not(alpaca: Any) -> None:
    keys = Keys(alpaca.access.key_id, alpaca.access.secret)
    for url in (alpaca.server.stream_url, "ws://127.0.0.1:9/stream"):
        made = AlpacaStream(keys, True, url, 0.3)
        made.start()
        began = time.monotonic()
        made.close()
        assert time.monotonic() - began < 3
