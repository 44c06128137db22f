"""SIGKILL at every step of provisioning and at random: the next start finishes it or is clean."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aggregates.money import Money
from brokers.simulated_store import SimulatedStore
from config import failpoints
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import settings_from
from eventstore.verification import verify
from runtime.bot_state import is_open, state_of
from runtime.custody import Custody
from runtime.provisioning import provision_bot, resume
from runtime.queries import Queries
from runtime.recovery_key import new_recovery_key
from runtime.settings_change import current_settings

CLOCK = VirtualClock(datetime(2026, 3, 2, 15, 0, tzinfo=UTC))
SETTINGS = settings_from(
    {
        "ENTITY_CODE": "ACME", "JURISDICTION_CODE": "USA", "BROKER_CODE": "SIM", "BOT_ID": "01",
        "CURRENCY_CODE": "USD", "TIMEZONE": "US/Eastern", "EXCHANGE_CALENDAR": "XNYS",
    }
)  # fmt: skip
RECIPIENT = new_recovery_key().recipient
RANDOM_KILLS, RANDOM_SHARE = 100, 8
Tell = Callable[[Any], None]


@pytest.fixture(autouse=True)
def own_root_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def provision(folder: DataFolder, _tell: Tell | None = None) -> None:
    provision_bot(
        folder, SETTINGS, RECIPIENT, clock=CLOCK, deposit=Decimal(1000), progress=lambda _: None
    )


def go_on(folder: DataFolder, _tell: Tell | None = None) -> None:
    resume(folder, CLOCK)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int]]:
    """Every step that a provisioning reaches, with how often it was reached by then."""
    place, reached = tmp_path_factory.mktemp("calm"), list[str]()
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(place / "config")
    failpoints.arm(reached.append)
    provision(DataFolder(place / "data"))
    failpoints.arm(None)
    os.environ.pop("XDG_CONFIG_HOME")
    if before is not None:
        os.environ["XDG_CONFIG_HOME"] = before
    return [(step, reached[: n + 1].count(step)) for n, step in enumerate(reached)]


def check_whole(folder: DataFolder) -> None:
    """A bot as if nobody had disturbed it."""
    assert state_of(folder) == "registration"
    assert verify(folder.events).intact
    with closing(Custody.open(folder, CLOCK)) as custody:
        assert current_settings(custody) == SETTINGS
        assert custody.store.head().key_epoch == 1
    queries = Queries(folder)
    assert queries.balances()[0].amount == Decimal(1000)
    assert len(queries.events(limit=100)) == 6
    queries.close()
    with closing(SimulatedStore(folder.simulated_broker, Money(1, "USD"))) as broker:
        assert broker.cash().decimal == Decimal(1000)
    assert folder.ledger(SETTINGS.identity).is_file()
    assert [p.name for p in (folder.root / "storage" / "gen").iterdir() if p.is_dir()] == ["000001"]


def start_again(folder: DataFolder) -> bool:
    """What `tbot run` and the person do next; whether what was killed had been committed."""
    committed = is_open(folder)
    go_on(folder)
    assert state_of(folder) == ("registration" if committed else "bootstrapping")
    if not committed:
        provision(folder)
    check_whole(folder)
    return committed


def test_killed_at_any_step_it_is_whole_or_clean(
    child: Any, tmp_path: Path, steps: list[tuple[str, int]], full: bool, count: Any
) -> None:
    """By default every second one of them, at the last time that it is reached."""
    chosen = steps if full else list(dict(steps).items())[::2]
    outcomes = set()
    for number, (step, nth) in enumerate(chosen):
        folder = DataFolder(tmp_path / str(number))
        assert child(partial(provision, folder), step, nth).killed, (step, nth)
        outcomes.add(start_again(folder))
        count("kills of a provisioning: every step")
    assert outcomes == {True, False}


def test_killed_again_while_it_is_finished(
    child: Any, tmp_path: Path, steps: list[tuple[str, int]], full: bool, count: Any
) -> None:
    order = [step for step, _ in steps]
    after = dict.fromkeys(order[order.index("provisioning.committed") :])
    for number, step in enumerate(list(after)[:: 1 if full else 4]):
        folder = DataFolder(tmp_path / str(number))
        assert child(partial(provision, folder), "provisioning.committed").killed
        child(partial(go_on, folder), step)
        assert start_again(folder)
        count("pairs of kills of a provisioning")


def test_killed_at_random_moments(tmp_path: Path, full: bool, count: Any) -> None:
    rng = random.Random(20260302)
    for number in range(RANDOM_KILLS if full else RANDOM_SHARE):
        folder = DataFolder(tmp_path / str(number))
        pid = os.fork()
        if not pid:
            try:
                provision(folder)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0.0, 0.12))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if folder.provisioning.exists() or not is_open(folder):
            start_again(folder)
        else:
            check_whole(folder)
        count("kills of a provisioning: at random")
