"""`tbot run` as a process, over its socket: from the empty folder to the dashboard; its ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from html import unescape
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from config.clock import SystemClock
from config.paths import DataFolder
from config.settings import settings_from
from runtime.bot_state import state_of
from runtime.custody import Custody
from runtime.people import People
from runtime.provisioning import provision_bot
from runtime.recovery_key import new_recovery_key

PASSWORD = "four unrelated words here"  # noqa: S105 - of a throw-away bot
LONGEST_S = 40.0


class Visitor:
    """A browser without script: keeps its cookie, is led on, sends forms with their guard."""

    def __init__(self, port: int) -> None:
        self.port, self.cookie, self.page, self.place, self.status = port, "", "", "", 0

    def get(self, place: str) -> str:
        return self._ask("GET", place)

    def send(self, place: str, **fields: str) -> str:
        """POST a form of the page that is shown."""
        guard = dict(re.findall(r'name="(csrf|command_id)" value="([^"]*)"', self.page))
        return self._ask("POST", place, urlencode(guard | fields))

    def _ask(self, method: str, place: str, body: str = "") -> str:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=LONGEST_S)
        headers = {"Cookie": self.cookie}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, place, body, headers)
        answer: HTTPResponse = connection.getresponse()
        self.page, self.place, self.status = answer.read().decode(), place, answer.status
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                self.cookie = value.partition(";")[0]
        connection.close()
        if answer.status == 303:
            return self._ask("GET", urlsplit(str(answer.headers["Location"])).path)
        return self.page

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", self.page)))


class Running:
    """A `tbot run`; its lines are read as they come."""

    def __init__(self, folder: Path, port: int, **environment: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("run_on_saturday.py"))]
        self.process = subprocess.Popen(
            [*command, str(folder), str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=os.environ | environment,
        )  # fmt: skip
        self.folder, self.port = DataFolder(folder), port

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def visitor(self) -> Visitor:
        """One who has opened the link of the next line."""
        found = re.search(r"http://127\.0\.0\.1:\d+(/setup\?token=\S+)", line := self.line())
        assert found is not None, line
        visitor = Visitor(self.port)
        visitor.get(found[1])
        return visitor

    def child(self) -> int:
        """The process of the pages."""
        own = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(own.split()[0])

    def log(self) -> list[dict[str, Any]]:
        path = self.folder.global_logs / "main_bot.log"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def end(self, how: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=20)
        assert "Traceback" not in errors, errors
        return self.process.returncode


def until(what: Callable[[], Any], longest: float = LONGEST_S) -> Any:
    """What it gives once it gives something."""
    end = time.monotonic() + longest
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    """`start()` runs the folder of the test; what still runs at the end is killed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    started: list[Running] = []

    def run(folder: str = "data", port: int = 0, **environment: str) -> Running:
        started.append(Running(tmp_path / folder, port or free_port(), **environment))
        return started[-1]

    yield run
    for one in started:
        one.process.kill()
        with one.process:  # waits, and closes its pipes
            pass


def through_the_steps(v: Visitor) -> None:
    """As a newcomer: one field, then on and on, and the recovery key given back."""
    assert v.place == "/setup/step/identity", v.place
    v.send(v.place, ENTITY_CODE="ACME")
    for step in ("broker", "data", "mail", "settings"):
        assert v.place == f"/setup/step/{step}", v.words
        v.send(v.place, go="on")
    key = re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", v.page)
    assert key is not None
    v.send("/setup/recovery", kept=key[0], go="on")
    assert v.place == "/setup/summary", v.words


def set_up(v: Visitor) -> None:
    through_the_steps(v)
    v.send("/setup/summary")
    until(lambda: v.get("/setup") and v.place == "/setup/admin")


def register(v: Visitor) -> None:
    v.send("/setup/admin", name="anna", password=PASSWORD, again=PASSWORD, email="")


def test_from_the_empty_folder_to_the_dashboard_and_started_again(start: Any) -> None:
    running = start()
    v = running.visitor()
    set_up(v)
    assert state_of(running.folder) == "registration"
    until(lambda: running.folder.bot_state.read_text() == "registration\n", 5)
    register(v)
    assert v.place.startswith("/sign-in"), v.words
    assert "anna is registered" in v.words
    until(lambda: running.folder.bot_state.read_text() == "idle\n", 5)
    v.send(v.place, name="anna", password=PASSWORD)
    assert v.place == "/"
    for words in ("ACME_USA_SIM_01 is set up and idle", "What comes next", "bot idle"):
        assert words in v.words
    assert not running.folder.setup_token.exists()
    until(running.folder.status.exists)
    people = running.folder.global_logs / "user_activity_monitoring.log"
    until(lambda: people.exists() and "anna" in people.read_text())  # main logs the history
    assert running.end() == 0
    assert running.folder.bot_state.read_text() == "shutdown\n"
    said = [line["message"] for line in running.log()]
    states = [s for s in said if s.startswith("The bot is ")]
    assert states[0] == "The bot is bootstrapping."
    assert states[-2:] == ["The bot is registration.", "The bot is idle."]
    check_schedule(running.folder)
    check_second_start(start, running.port)
    check_stray_file(start, running)


def check_schedule(folder: DataFolder) -> None:
    """On a Saturday nothing is due before Monday, at the time of the settings."""
    status = json.loads(folder.status.read_text())
    assert (status["state"], status["next_phase"]["name"]) == ("idle", "supervisor")
    due = datetime.fromisoformat(status["next_phase"]["at"])
    assert (due.weekday(), f"{due:%H:%M}") in {(0, "06:00"), (1, "06:00")}  # a holiday, perhaps


def check_second_start(start: Any, port: int) -> None:
    """A bot that is set up waits for its port, and has no set-up any more."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        second = start(port=port)
        assert "The pages have ended (code 2)" in second.line()
    until(lambda: second.line().startswith("Pages at"))
    check_no_set_up(second)
    assert second.end() == 0


def check_no_set_up(second: Running) -> None:
    fresh = Visitor(second.port)
    for place in ("/", "/setup", "/setup/admin", "/ledger"):
        fresh.get(place)
        assert fresh.place.startswith("/sign-in"), place


def check_stray_file(start: Any, running: Running) -> None:
    stray = running.folder.root / ".env"
    stray.write_text("SMTP_PASSWORD=x\n")
    refused = start(port=running.port)
    assert refused.process.wait(20) == 3
    assert str(stray) in refused.process.stderr.read()
    *before, last = refused.log()
    assert last["level"] == "FATAL"
    assert any(" starts: Python" in line["message"] for line in before[-3:])  # was held until then


def test_a_kill_starts_clean_before_provisioning_and_goes_on_after_it(start: Any) -> None:
    """The second one runs under systemd, whose journal gets no token."""
    first = start()
    v = first.visitor()
    through_the_steps(v)
    killed(first)
    second = start(port=first.port, JOURNAL_STREAM="8:1")
    line, token = second.line(), second.folder.setup_token.read_text().strip()
    assert str(second.folder.setup_token) in line
    assert token not in line
    v.get("/setup/summary")
    assert "kept in memory only" in v.words
    v.get(f"/setup?token={token}")
    assert v.place == "/setup/step/identity"
    assert 'value="ACME"' not in v.page
    set_up(v)
    killed(second)
    third = start(port=first.port)
    v = third.visitor()
    assert v.place == "/setup/admin"
    register(v)
    assert v.place.startswith("/sign-in")


def killed(running: Running) -> None:
    running.process.kill()
    running.process.communicate()
    until(lambda: refused(running.port), 10)  # the pages do not outlive the bot


def refused(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def test_one_token_one_run_one_port_and_pages_that_come_back(start: Any) -> None:
    running = start()
    token = running.line().rpartition("=")[2].strip()
    check_token(running, token)
    second = start()
    assert second.process.wait(20) == 2
    assert f"already runs on {running.folder.root}" in second.process.stderr.read()
    other = start("other", running.port)
    assert other.process.wait(20) == 2
    assert f"cannot be served at 127.0.0.1:{running.port}" in other.process.stderr.read()
    assert "cannot be served" in other.log()[-2]["message"]
    os.kill(running.child(), signal.SIGKILL)
    assert "started again in 0.5 s" in running.line()
    again = running.line()
    assert token not in again
    v = Visitor(running.port)
    v.get(again[again.index("/setup") :].strip())
    assert v.place == "/setup/step/identity"
    started = time.monotonic()
    assert running.end(signal.SIGINT) == 0
    assert time.monotonic() - started < 5
    assert refused(running.port)
    assert not running.folder.setup_token.exists()


def check_token(running: Running, token: str) -> None:
    """It is the file's, for its owner alone, and it holds once."""
    assert running.folder.setup_token.read_text().strip() == token
    assert running.folder.setup_token.stat().st_mode & 0o777 == 0o600
    wrong, first, second = (Visitor(running.port) for _ in range(3))
    wrong.get("/setup?token=wrong")
    assert (wrong.status, "This token does not hold" in wrong.words) == (403, True)
    first.get(f"/setup?token={token}")
    assert first.place == "/setup/step/identity"
    second.get(f"/setup?token={token}")
    assert second.status == 403
    assert "used already" in second.words
    second.get("/setup/step/identity")
    assert "one-time link" in second.words
    assert token not in json.dumps(running.log())
    first.get("/ledger")
    assert first.place == "/setup/step/identity"


def test_without_pages_the_bot_runs_and_says_so(start: Any, tmp_path: Path) -> None:
    """WEB_ENABLED=false: no page, but the first admin must be able to register.

    ENABLE_LOGGING=false: not even the start is logged."""
    texts = dict.fromkeys(("ENTITY_CODE", "JURISDICTION_CODE", "BROKER_CODE"), "ACME") | {
        "BOT_ID": "01", "CURRENCY_CODE": "USD", "TIMEZONE": "US/Eastern",
        "EXCHANGE_CALENDAR": "XNYS", "WEB_ENABLED": "false",
        "ENABLE_LOGGING": "false",
    }  # fmt: skip
    folder, clock = DataFolder(tmp_path / "data"), SystemClock()
    recipient = new_recovery_key().recipient
    provision_bot(
        folder, settings_from(texts), recipient, clock=clock, deposit=None, progress=lambda _: None
    )
    first = start()
    assert "/setup?token=" in first.line()
    assert first.end() == 0
    with closing(Custody.open(folder, clock)) as custody:
        People(custody, cost=4).register("anna", PASSWORD, "admin", actor="t", command_id="t")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(LONGEST_S)
        second = start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert "No page is served, as WEB_ENABLED is false" in second.line()
        assert refused(second.port)
        assert [systemd.recv(100) for _ in range(2)] == [b"READY=1", b"WATCHDOG=1"]
        assert second.end() == 0
        systemd.settimeout(0)
        assert list(iter(partial(systemd.recv, 100), b"STOPPING=1"))[:1] in ([], [b"WATCHDOG=1"])
    assert not (folder.global_logs / "main_bot.log").exists()


def test_a_demo_and_a_folder_that_cannot_be_written_are_refused(start: Any, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "demo.json").write_text("{}")
    demo = start("demo")
    assert demo.process.wait(20) == 2
    assert "holds a demo" in demo.process.stderr.read()
    (tmp_path / "file").write_text("")
    blocked = start("file/below")
    assert blocked.process.wait(20) == 3
    said = blocked.process.stderr.read()
    assert "cannot be written" in said
    assert "Traceback" not in said
