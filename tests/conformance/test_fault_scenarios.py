"""Seeded scenarios over sockets: no double order, no lost fill, the broker's books and ours equal.

PROGRAMME=full runs 300 for each broker; by default a share of them, the first seeds. A scenario
that fails names its seed; `SEED=17` runs that one alone.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

SHARE, ALL, STEPS = 8, 300, 50


def test_whatever_goes_wrong_asking_comes_to_the_truth(
    over_sockets: str,
    make_rig: Callable[..., Any],
    scenarios: Any,
    full: bool,
    count: Callable[..., None],
) -> None:
    one = os.environ.get("SEED")
    seeds = range(int(one), int(one) + 1) if one else range(ALL if full else SHARE)
    began = time.monotonic()
    for seed in seeds:
        rig = make_rig(over_sockets, settle_s=5, timeout_s=0.06)
        scenario = scenarios.Scenario(rig, seed)
        try:
            scenario.run(STEPS)
        except Exception as e:
            pytest.fail(f"seed {seed}: {type(e).__name__}: {e}")
        finally:
            rig.close()
        for what, number in sorted(scenario.counts.items()):
            count(f"{over_sockets}: {what}", number)
        count(f"{over_sockets}: scenarios, from seed {seeds[0]}")
    count(f"{over_sockets}: seconds", round(time.monotonic() - began))
