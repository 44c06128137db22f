"""A bot beside a fake Finnhub, under a virtual clock."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import beside

rig_module = beside("integration/screening_rig")


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`make_rig(SETTING="value")` gives a rig; it is closed at the end."""
    made = []

    def make(**settings: str) -> Any:
        made.append(rig_module.Rig(tmp_path / f"bot{len(made)}", **settings))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(make_rig: Callable[..., Any]) -> Any:
    return make_rig()


@pytest.fixture
def count() -> Callable[[int, int], int]:
    """`count(some, all)`: all with PROGRAMME=full, else a share that is fast."""
    full = os.environ.get("PROGRAMME") == "full"
    return lambda some, every: every if full else some
