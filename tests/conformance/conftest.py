"""One rig for each broker adapter, the fake servers they talk to, and the counts of the programme.

A new adapter adds a class to rigs.py and its name to RIGS; the tests stay as they are.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from config.calendar import TradingCalendar

HERE = Path(__file__).parent
RIGS = ("simulated", "faulty", "alpaca")


def _load(file: Path) -> ModuleType:
    """A helper beside the tests; they are no package."""
    name = f"helper_{file.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def fakes() -> Any:
    """`fakes.server` and `fakes.books`: the modules of the fake Alpaca."""
    folder = HERE.parent / "fakes"

    class Fakes:
        server = _load(folder / "alpaca_server.py")
        books = _load(folder / "alpaca_books.py")

    return Fakes


@pytest.fixture(scope="session")
def load() -> Callable[[Path], ModuleType]:
    """`load(file)`: a helper beside the tests, once."""
    return _load


@pytest.fixture(scope="session")
def sessions() -> TradingCalendar:
    today = datetime.now(UTC).date()
    return TradingCalendar("XNYS", today - timedelta(days=30), today + timedelta(days=14))


@pytest.fixture
def make_rig(fakes: Any, sessions: TradingCalendar, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`make_rig("alpaca", **options)`; everything is closed after the test."""
    module, made = _load(HERE / "rigs.py"), []

    def make(name: str, **options: Any) -> Any:
        folder = tmp_path / f"{name}-{len(made)}"
        folder.mkdir()
        made.append(module.BY_NAME[name](fakes, sessions, folder, **options))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, make_rig: Callable[..., Any]) -> Any:
    return make_rig(request.param)


@pytest.fixture
def alpaca(make_rig: Callable[..., Any]) -> Any:
    """The rig of Alpaca alone, for what only its wire can do."""
    return make_rig("alpaca")


@pytest.fixture(scope="session")
def scenarios() -> ModuleType:
    return _load(HERE / "scenarios.py")


@pytest.fixture(scope="session")
def full() -> bool:
    """PROGRAMME=full runs all scenarios instead of a share that is fast."""
    return os.environ.get("PROGRAMME") == "full"
