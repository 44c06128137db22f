"""The broker of the settings, as a supervisor and the set-up get it: Alpaca by its fake server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brokers.port import KeysRefused
from config.calendar import SessionHours, TradingCalendar
from config.paths import DataFolder
from config.setting_forms import Secret
from config.settings import Settings, demo_settings
from runtime.brokers import candidates, connect, nothing_named
from runtime.connected import NotConnected
from runtime.connection_tests import try_alpaca

KEYS = {"ALPACA_API_KEY": Secret("k" * 20), "ALPACA_SECRET_KEY": Secret("s" * 40)}
ALPACA: Settings = replace(demo_settings(), BROKER_NAME="ALPACA", ALPACA_ENABLED=True, **KEYS)  # type: ignore[arg-type]


@pytest.fixture
def hours(sessions: TradingCalendar) -> SessionHours:
    """Of the last session that there was."""
    today = datetime.now(UTC).date()
    return sessions.sessions(today - timedelta(days=10), today)[-1]


def wrong(alpaca: Any) -> Any:
    return msgspec.structs.replace(alpaca.access, secret=Secret("not-the-secret"))


def test_a_supervisor_gets_alpaca_and_the_symbols_of_the_file(
    alpaca: Any, sessions: TradingCalendar, hours: SessionHours, tmp_path: Path
) -> None:
    folder = DataFolder(tmp_path)
    folder.market_data.mkdir()
    (folder.market_data / "candidates.txt").write_text("BRVO # the second\n\nALFA\nBRVO\n")
    found = connect(folder, ALPACA, alpaca.clock, sessions, hours, access=alpaca.access)
    try:
        assert found.symbols == ("ALFA", "BRVO")
        assert found.market == "Alpaca, paper account"
        assert list(found.broker.self_check()) == []
        log = (folder.global_logs / "broker_api.log").read_text()
        assert "GET /v2/account" in log
        assert alpaca.access.secret.reveal() not in log
    finally:
        found.close()


def test_a_session_that_was_begun_goes_on_with_its_symbols(
    alpaca: Any, sessions: TradingCalendar, hours: SessionHours, tmp_path: Path
) -> None:
    found = connect(
        DataFolder(tmp_path), ALPACA, alpaca.clock, sessions, hours, ("BRVO",), access=alpaca.access
    )
    found.close()
    assert found.symbols == ("BRVO",)


def test_refused_keys_are_said_at_the_first_question(
    alpaca: Any, sessions: TradingCalendar, hours: SessionHours, tmp_path: Path
) -> None:
    given = (DataFolder(tmp_path), ALPACA, alpaca.clock, sessions, hours)
    found = connect(*given, access=wrong(alpaca))
    try:
        with pytest.raises(KeysRefused):
            found.broker.account()
    finally:
        found.close()


def test_the_set_up_tries_the_keys(alpaca: Any) -> None:
    good = try_alpaca(ALPACA, alpaca.access)
    assert (good.passed, "paper account" in good.said) == (True, True), good.said
    bad = try_alpaca(ALPACA, wrong(alpaca))
    assert bad.passed is False
    assert "not-the-secret" not in bad.said
    assert alpaca.server.count("POST", "/v2/orders") == 0


def test_without_keys_nothing_is_asked(
    sessions: TradingCalendar, hours: SessionHours, tmp_path: Path
) -> None:
    empty = replace(ALPACA, ALPACA_SECRET_KEY=Secret(""))
    with pytest.raises(NotConnected, match="one is empty"):
        connect(DataFolder(tmp_path), empty, None, sessions, hours)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "expected"), [(None, ()), (b"", ()), (b"# none\n", ()), (b"B\r\nA\n", ("A", "B"))]
)
def test_candidates(tmp_path: Path, content: bytes | None, expected: tuple[str, ...]) -> None:
    folder = DataFolder(tmp_path)
    if content is not None:
        folder.market_data.mkdir()
        (folder.market_data / "candidates.txt").write_bytes(content)
    assert candidates(folder) == expected


def test_a_file_of_candidates_that_is_wrong_keeps_nobody_from_the_broker(
    alpaca: Any, sessions: TradingCalendar, hours: SessionHours, tmp_path: Path
) -> None:
    """What is held is watched all the same, and a kill must get through."""
    folder = DataFolder(tmp_path)
    folder.market_data.mkdir()
    (folder.market_data / "candidates.txt").write_text("AA BB\n")
    found = connect(folder, ALPACA, alpaca.clock, sessions, hours, access=alpaca.access)
    found.close()
    assert found.symbols == ()
    assert "'AA BB' cannot be a symbol" in nothing_named(folder, ALPACA)


def test_a_list_is_not_looked_at_beside_a_screen(
    alpaca: Any, sessions: TradingCalendar, hours: SessionHours, tmp_path: Path
) -> None:
    folder = DataFolder(tmp_path)
    folder.market_data.mkdir()
    assert "names no symbol" in nothing_named(folder, ALPACA)
    (folder.market_data / "candidates.txt").write_text("ALFA\n")
    assert nothing_named(folder, ALPACA) == ""
    (folder.market_data / "candidates.txt").write_text("AA BB\n")
    (folder.market_data / "screen.csv").write_text("symbol\nALFA\n")
    found = connect(folder, ALPACA, alpaca.clock, sessions, hours, access=alpaca.access)
    found.close()
    assert found.symbols == ()
    assert nothing_named(folder, ALPACA) == "", "the screen finds them"


@pytest.mark.parametrize("content", [b"AA BB\n", b"A/B\n", b"\xff\xfe"])
def test_candidates_that_are_no_symbols_are_refused(tmp_path: Path, content: bytes) -> None:
    folder = DataFolder(tmp_path)
    folder.market_data.mkdir()
    (folder.market_data / "candidates.txt").write_bytes(content)
    with pytest.raises(NotConnected, match=r"candidates\.txt"):
        candidates(folder)
