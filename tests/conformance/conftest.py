"""One rig for each broker adapter, the fake servers they talk to, and the counts of the programme.

A new adapter adds a module with its rig beside this file, and its name to RIGS; where it talks over
a socket, to OVER_SOCKETS too. The tests stay as they are.
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from beside import TESTS, beside

from config.calendar import TradingCalendar

# The module beside this file that has the rig, in its BY_NAME
RIGS = {
    "simulated": "rigs",
    "faulty": "rigs",
    "alpaca": "rigs",
    "tradier": "tradier_rig",
    "webull": "webull_rig",
    "robinhood": "robinhood_rig",
    "ibkr": "ibkr_rig",
}
OVER_SOCKETS = (
    "alpaca",
    "tradier",
    "webull",
    "robinhood",
    "ibkr",
)  # these meet the fault scenarios


@pytest.fixture(scope="session")
def fakes() -> Any:
    """`fakes.server` and `fakes.books`: the modules of the fake Alpaca."""

    class Fakes:
        server = beside("fakes/alpaca_server")
        books = beside("fakes/alpaca_books")

    return Fakes


@pytest.fixture(scope="session")
def load() -> Callable[[Path], ModuleType]:
    """`load(file)`: a helper beside the tests, once."""
    return lambda file: beside(str(file.relative_to(TESTS).with_suffix("")))


@pytest.fixture(scope="session")
def sessions() -> TradingCalendar:
    today = datetime.now(UTC).date()
    return TradingCalendar("XNYS", today - timedelta(days=30), today + timedelta(days=14))


@pytest.fixture
def make_rig(fakes: Any, sessions: TradingCalendar, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`make_rig("alpaca", **options)`; everything is closed after the test."""
    made: list[Any] = []

    def make(name: str, **options: Any) -> Any:
        folder = tmp_path / f"{name}-{len(made)}"
        folder.mkdir()
        module = beside(f"conformance/{RIGS[name]}")
        made.append(module.BY_NAME[name](fakes, sessions, folder, **options))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, make_rig: Callable[..., Any]) -> Any:
    return make_rig(request.param)


@pytest.fixture(params=OVER_SOCKETS)
def over_sockets(request: pytest.FixtureRequest) -> str:
    """The name of each rig whose broker is behind a socket."""
    return str(request.param)


@pytest.fixture
def alpaca(make_rig: Callable[..., Any]) -> Any:
    """The rig of Alpaca alone, for what only its wire can do."""
    return make_rig("alpaca")


@pytest.fixture(scope="session")
def scenarios() -> ModuleType:
    return beside("conformance/scenarios")


@pytest.fixture(scope="session")
def full() -> bool:
    """PROGRAMME=full runs all scenarios instead of a share that is fast."""
    return os.environ.get("PROGRAMME") == "full"
