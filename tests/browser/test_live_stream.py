"""The stream of a real server: what it says, when it ends, and that pages never wait for it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

import web
from web import live_stream
from web.app import create_app
from web.cookie import COOKIE
from web.live import streams
from web.live_stream import IN_ALL, OF_ONE, Streams

ROOT = Path(web.__file__).parent.parent
PATIENCE_S = 10
Open = Callable[..., Any]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_stream, "EVERY_S", 0.05)
    monkeypatch.setattr(live_stream, "HEARTBEAT_S", 0.2)


@pytest.fixture
def follow() -> Iterator[Open]:
    """`follow(address, cookie, last)` opens a stream; its lines are read by `said`."""
    kept = []

    def opened(address: str, cookie: str = "", last: str = "", query: str = "") -> Any:
        headers = {"Last-Event-ID": last} if last else {}
        if cookie:
            headers["Cookie"] = f"{COOKIE}={cookie}"
        asked = Request(f"{address}/live/events{query}", headers=headers)  # noqa: S310 - our own
        kept.append(urlopen(asked, timeout=PATIENCE_S))  # noqa: S310
        return kept[-1]

    yield opened
    for stream in kept:
        stream.close()


def said(stream: Any, begin: str) -> str:
    """The next line that begins so; empty when the stream ended before."""
    while line := stream.readline():
        if line.decode().startswith(begin):
            return str(line.decode().strip())
    return ""


def cookie_of(bot: Any, role: str) -> str:
    return str(bot.client(role).get_cookie(COOKIE, domain="localhost").value)


def test_a_stream_tells_of_each_change_and_goes_on_where_it_was_cut(
    bot_address: str, provisioned: Any, trading: Any, follow: Open
) -> None:
    cookie = cookie_of(provisioned, "viewer")
    stream = follow(bot_address, cookie)
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert stream.headers["Cache-Control"] == "no-store"
    first = said(stream, "id:")
    assert said(stream, ":") == ": alive"  # nothing new, and the stream lives
    trading.open()
    second = said(stream, "id:")
    assert second != first
    stream.close()
    known = follow(bot_address, cookie, last=second.removeprefix("id: "))
    assert said(known, ":") == ": alive"  # before any id: there is nothing new
    trading.tell()
    assert said(known, "id:") not in (first, second)  # the session said something
    missed = follow(bot_address, cookie, last=second.removeprefix("id: "))
    assert said(missed, "id:")  # at once


def test_signing_out_ends_the_stream(bot_address: str, provisioned: Any, follow: Open) -> None:
    client = provisioned.client("operator")
    cookie = str(client.get_cookie(COOKIE, domain="localhost").value)
    stream = follow(bot_address, cookie)
    assert said(stream, "id:")
    assert client.post("/sign-out").status_code == 303
    assert said(stream, "event:") == "event: over"
    assert said(stream, "") == "data: signed out"
    assert not stream.read().strip()


def test_a_stream_does_not_keep_somebody_signed_in(
    bot_address: str, provisioned: Any, follow: Open
) -> None:
    stream = follow(bot_address, cookie_of(provisioned, "viewer"))
    assert said(stream, "id:")
    provisioned.later(minutes=31)
    assert said(stream, "event:") == "event: over"


def test_more_streams_than_there_is_room_for_are_refused_and_pages_answer(
    address: str, follow: Open
) -> None:
    opened = [patient(follow, address) for _ in range(OF_ONE)]
    assert all(said(stream, "id:") for stream in opened)
    with pytest.raises(HTTPError) as refused:
        follow(address)
    with refused.value as answer:
        assert answer.code == 503
        assert answer.headers["Retry-After"]
    begun = time.monotonic()
    with urlopen(f"{address}/", timeout=PATIENCE_S) as page:  # noqa: S310
        assert b"Wednesday 9 October 2013" in page.read()
    assert time.monotonic() - begun < 1
    opened[0].close()  # a browser that goes away makes room
    assert said(patient(follow, address), "id:")


def patient(follow: Open, address: str) -> Any:
    """A stream as soon as there is room: a browser that went away is noticed within a moment."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return follow(address)
        except HTTPError as e:
            e.close()
            assert time.monotonic() < end
            time.sleep(0.05)


def test_room_for_all_is_less_than_the_threads_of_the_server() -> None:
    from web.serve import THREADS

    assert IN_ALL <= THREADS // 2
    room = Streams()
    users = [f"user-{number}" for number in range(IN_ALL)]
    assert all(room.enter(user) for user in users)
    assert not room.enter("one more")
    room.leave(users[0])
    assert room.enter("one more")


def test_asking_about_a_stream_takes_no_room(queries: Any) -> None:
    app = create_app(queries)
    for _ in range(OF_ONE + 1):
        with app.test_client().head("/live/events") as answer:
            assert answer.status_code == 200
    with app.app_context():
        assert streams().count == 0


def test_an_open_stream_does_not_keep_the_process(sample: Any, follow: Open) -> None:
    command = [sys.executable, "-m", "web", "--data-dir", sample.folder.root, "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr is not None
        address = started.stderr.readline().split()[2]
        assert said(follow(address), "id:")
        begun = time.monotonic()
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=PATIENCE_S) == 0
        assert time.monotonic() - begun < 3
