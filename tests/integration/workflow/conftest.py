"""`make_holdings()` gives a bot with a plan on the simulated broker; see ../holdings_rig.py."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import beside


@pytest.fixture
def make_holdings(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Called again, it is the same bot after a restart."""
    made: list[Any] = []

    def make(name: str = "bot", **options: Any) -> Any:
        made.append(beside("integration/holdings_rig").HoldingsRig(tmp_path / name, **options))
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
