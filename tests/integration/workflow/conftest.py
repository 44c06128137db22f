"""`make_holdings()` gives a bot with a plan on the simulated broker; see ../holdings_rig.py."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

RIG = Path(__file__).parents[1] / "holdings_rig.py"


def rigs() -> Any:
    name = "holdings_rig"
    if name not in sys.modules:  # a helper of a folder that is no package, by its path
        spec = importlib.util.spec_from_file_location(name, RIG)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


@pytest.fixture
def make_holdings(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Called again, it is the same bot after a restart."""
    made: list[Any] = []

    def make(name: str = "bot", **options: Any) -> Any:
        made.append(rigs().HoldingsRig(tmp_path / name, **options))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(make_holdings: Callable[..., Any]) -> Any:
    """The first session has begun; nothing is planned, and 100,000.00 lie in the float."""
    made = make_holdings()
    made.day()
    return made
