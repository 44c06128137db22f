"""The pages as a process, and beside a bot that writes while they are read."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import web
from runtime.queries import Queries
from web.app import create_app

ROOT = Path(web.__file__).parent.parent


@pytest.fixture
def process(sample: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m web` on a free port, and the address that it prints."""
    command = [sys.executable, "-m", "web", "--data-dir", sample.folder.root, "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr is not None
        line = started.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found is not None, line
        yield started, found.group()
        started.kill()


def test_the_process_serves_and_ends_when_told(process: Any) -> None:
    started, address = process
    with urlopen(f"{address}/ledger", timeout=10) as answer:  # noqa: S310 - our own address
        assert "Trial balance" in answer.read().decode()
        assert "Server" not in answer.headers  # says nothing about what runs here
    started.send_signal(signal.SIGTERM)
    assert started.wait(timeout=10) == 0


def test_a_port_in_use_is_said_and_nothing_is_served(process: Any, sample: Any) -> None:
    _, address = process
    port = address.rpartition(":")[2]
    command = [sys.executable, "-m", "web", "--data-dir", sample.folder.root, "--port", port]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert second.returncode == 2
    assert f"cannot be served at 127.0.0.1:{port}" in second.stderr
    assert "Traceback" not in second.stderr


def test_many_readers_beside_a_writer_get_whole_pages(growing: Any) -> None:
    queries = Queries(growing.folder)
    app = create_app(queries)

    def read(number: int) -> tuple[int, bool]:
        place = ("/ledger", "/ledger/journal", "/history", "/badge")[number % 4]
        answer = app.test_client().get(place)
        return answer.status_code, place != "/ledger" or "debits equal credits" in answer.text

    with ThreadPoolExecutor(8) as readers:
        answers = [readers.submit(read, number) for number in range(60)]
        for _ in range(20):
            growing.write()
        found = {answer.result() for answer in answers}
    assert found == {(200, True)}
    queries.close()
