"""Interactive Brokers by the settings, as a supervisor and the set-up get it: its fake gateway."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from brokers.port import KeysRefused
from config.calendar import SessionHours, TradingCalendar
from config.paths import DataFolder
from config.settings import Settings, demo_settings
from runtime.brokers import connect
from runtime.connected import NotConnected
from runtime.connection_tests import try_broker
from runtime.ibkr import ibkr_access, try_ibkr

ACCOUNT = "DU1234567"
NAMED: Settings = replace(
    demo_settings(), BROKER_NAME="IBKR", IBKR_ENABLED=True, IBKR_ACCOUNT=ACCOUNT, IBKR_CLIENT_ID=7,
    API_TIMEOUT=1,
)  # fmt: skip


@pytest.fixture
def ibkr(make_rig: Any) -> Any:
    return make_rig("ibkr")


@pytest.fixture
def hours(sessions: TradingCalendar) -> SessionHours:
    """Of the last session that there was."""
    today = datetime.now(UTC).date()
    return sessions.sessions(today - timedelta(days=10), today)[-1]


def at(ibkr: Any) -> Settings:
    """The settings that lead to the fake gateway."""
    return replace(NAMED, IBKR_PORT=ibkr.gateway.port)


def test_a_supervisor_gets_the_gateway_of_the_settings(
    ibkr: Any, sessions: TradingCalendar, hours: SessionHours, tmp_path: Path
) -> None:
    folder = DataFolder(tmp_path)
    folder.market_data.mkdir()
    (folder.market_data / "candidates.txt").write_text("BRVO\nALFA\n")
    found = connect(folder, at(ibkr), ibkr.clock, sessions, hours)
    try:
        assert found.symbols == ("ALFA", "BRVO")
        assert found.market == "Interactive Brokers, paper account"
        assert list(found.broker.self_check()) == []
        log = (folder.global_logs / "broker_api.log").read_text()
        assert "ASK the account: 200" in log
        assert ACCOUNT not in log
    finally:
        found.close()


def test_a_session_that_was_begun_goes_on_with_its_symbols(
    ibkr: Any, sessions: TradingCalendar, hours: SessionHours, tmp_path: Path
) -> None:
    found = connect(DataFolder(tmp_path), at(ibkr), ibkr.clock, sessions, hours, ("BRVO",))
    found.close()
    assert found.symbols == ("BRVO",)


def test_another_account_is_said_at_the_first_question(
    ibkr: Any, sessions: TradingCalendar, hours: SessionHours, tmp_path: Path
) -> None:
    other = structs.replace(ibkr.access, account="U7654321")
    given = (DataFolder(tmp_path), at(ibkr), ibkr.clock, sessions, hours)
    found = connect(*given, ibkr=other)
    try:
        with pytest.raises(KeysRefused, match="another account"):
            found.broker.account()
    finally:
        found.close()


def test_without_an_account_nothing_is_asked(
    sessions: TradingCalendar, hours: SessionHours, tmp_path: Path
) -> None:
    empty = replace(NAMED, IBKR_ACCOUNT="")
    with pytest.raises(NotConnected, match="IBKR_ACCOUNT is needed"):
        connect(DataFolder(tmp_path), empty, None, sessions, hours)  # type: ignore[arg-type]


@pytest.mark.parametrize(("port", "paper"), [(4002, True), (4001, False), (7496, False), (9, None)])
def test_the_port_says_paper_or_real_money(port: int, paper: bool | None) -> None:
    assert ibkr_access(replace(NAMED, IBKR_PORT=port)).paper is paper


def test_the_set_up_tries_the_gateway(ibkr: Any, tmp_path: Path) -> None:
    ibkr.books.clock = lambda: datetime.now(UTC)
    good = try_broker(DataFolder(tmp_path), at(ibkr))
    assert (good.passed, "paper account" in good.said) == (True, True), good.said
    other = try_ibkr(at(ibkr), structs.replace(ibkr.access, account="U7654321"))
    assert (other.passed, "another account" in other.said) == (False, True)
    none = try_broker(DataFolder(tmp_path), replace(NAMED, IBKR_PORT=1))
    assert (none.passed, "refused" in none.said.lower()) == (False, True)
    assert "Is IB Gateway or TWS signed in at 127.0.0.1:1, and its API switched on?" in none.said
    assert ibkr.gateway.count("3") == 0


def test_the_set_up_says_when_the_client_id_is_in_use(ibkr: Any) -> None:
    assert list(ibkr.broker.self_check()) == []
    result = try_ibkr(at(ibkr), structs.replace(ibkr.access, timeout_s=0.1))
    assert (result.passed, "in use" in result.said) == (False, True)
