"""SIGKILL at the steps of a save of the holdings plan: event and file never come apart."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyrage
import pytest

from aggregates.holdings_plan import DEFAULT_PLAN, Plan, PlannedSecurity
from config import failpoints
from config.clock import VirtualClock
from config.paths import DataFolder
from config.setting_model import KEYS
from config.settings import settings_from
from runtime.bootstrap import opening_commands
from runtime.custody import Custody, create_custody
from runtime.holdings_plan import check_plan_file, save_plan
from runtime.settings_change import secret_contents

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
CLOCK = VirtualClock(NOW)
PLANS = (DEFAULT_PLAN, Plan(securities=(PlannedSecurity("VTI"),), sweep=True))
GIVEN = {n: key.default_text for n, key in KEYS.items() if key.required} | {"ENTITY_CODE": "ACME"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    """A provisioned bot; nothing of it is open."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    settings = settings_from(GIVEN)
    opening = opening_commands(settings, symbols=(), deposit=Decimal(1), at=NOW, demo=False)
    found = DataFolder(tmp_path / "bot")
    create_custody(
        found, CLOCK, recovery=str(pyrage.x25519.Identity.generate().to_public()),
        contents=secret_contents(settings), actor="setup", command_id="provision",
        commands=[command for batch in opening.values() for command in batch],
    ).close()  # fmt: skip
    return found


def save(folder: DataFolder, version: int) -> None:
    """Save this version, whether or not that was begun or done before."""
    with closing(Custody.open(folder, CLOCK)) as custody:
        save_plan(
            custody, PLANS[version % 2], seen=version - 1, actor="u-ann", reason="",
            command_id=f"plan:{version}",
        )  # fmt: skip


def steps_of_a_save(folder: DataFolder, child: Any) -> Counter[str]:
    def counted(tell: Any) -> None:
        found: Counter[str] = Counter()
        failpoints.arm(lambda step: found.update([step]))
        save(folder, 1)
        tell(found)

    return Counter(child(counted).said[0])


def test_a_killed_save_is_whole_or_not_there_and_can_be_asked_again(
    folder: DataFolder, child: Any, count: Callable[..., None], full: bool
) -> None:
    reached = steps_of_a_save(folder, child)
    assert {"custody.prepared", "custody.recorded"} <= reached.keys()
    kills = [(step, n) for step, times in reached.items() for n in range(1, times + 1)]
    must = [("custody.prepared", 1), ("custody.recorded", 1)]
    picked = kills if full else must + random.Random(20260302).sample(kills, 6)
    for version, (step, nth) in enumerate(picked, start=2):
        assert child(lambda _, v=version: save(folder, v), step, nth).killed, step
        with closing(Custody.open(folder, CLOCK)) as custody:
            number, plan = check_plan_file(custody)  # which says that file and history agree
            assert plan == PLANS[number % 2]
            assert number in (version - 1, version)
            if step == "custody.recorded":
                assert number == version, "an acknowledged save was lost"
        save(folder, version)
        with closing(Custody.open(folder, CLOCK)) as custody:
            assert check_plan_file(custody) == (version, PLANS[version % 2])
        count("kills: one step of a save of the holdings plan")
