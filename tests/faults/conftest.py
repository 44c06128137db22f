"""The provisioned bot that each scenario copies, and the counts of the programme."""

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from config import failpoints

HERE = Path(__file__).parent
MEMORY = Path("/dev/shm")  # nothing here is about the disk, and thousands of days wait for it


def _load(name: str) -> ModuleType:
    """A helper beside the tests; they are no package."""
    full = f"helper_faults_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """A folder in memory where there is one."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def make_scenario(root: Path) -> Callable[..., Any]:
    """`make_scenario(seed, name="", **options)`: a day that has not begun. ``three``: of all
    strategies instead of OPEN alone."""
    world, scenario = _load("small_world"), _load("scenario")
    calendar = world.ShortDays("XNYS", world.DAY, world.DAY)
    templates: dict[bool, Path] = {}

    def make(seed: int, name: str = "days", *, three: bool = False, **options: Any) -> Any:
        settings = world.ALL_STRATEGIES if three else world.SETTINGS
        if three not in templates:
            where = root / f"template-{three}"
            templates[three] = scenario.provisioned(world, calendar, where, settings)
        return scenario.Scenario(
            world, calendar, templates[three], root / name, seed, settings=settings, **options
        )

    return make


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm(None)


@pytest.fixture(scope="session")
def full() -> bool:
    """PROGRAMME=full runs all scenarios instead of a share that is fast."""
    return os.environ.get("PROGRAMME") == "full"
