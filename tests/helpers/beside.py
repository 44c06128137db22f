"""Modules of tests that lie in folders which are no packages, by their path."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).parents[1]


def beside(place: str) -> ModuleType:
    """`beside("integration/safety_rig")`: the module of that file below tests, the same one for
    whoever asks."""
    name = place.rpartition("/")[2]
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, TESTS / f"{place}.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]
