"""systemd is told over a datagram socket, by path or by abstract name."""

import os
import socket
from pathlib import Path

import pytest

from runtime.sd_notify import ALIVE, READY, notify


@pytest.mark.parametrize("abstract", [False, True])
def test_a_line_arrives(tmp_path: Path, abstract: bool) -> None:
    name = f"@tradebot-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0", 1) if abstract else name)
        systemd.settimeout(5)
        assert notify(READY, {"NOTIFY_SOCKET": name})
        assert systemd.recv(100) == b"READY=1"
        assert notify(ALIVE, {"NOTIFY_SOCKET": name})
        assert systemd.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_without_systemd_nothing_happens(environment: dict[str, str]) -> None:
    assert notify(READY, environment) is False
