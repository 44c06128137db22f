"""SIGKILL at every step of the holdings phase; a fresh process goes on where it stood.

In the end every step is done once, every order was sent once, the purses are the broker's cash, and
the day's figures are those of a phase that nobody disturbed.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from beside import beside

from config import failpoints
from config.failpoints import STEPS

rigs: Any = beside("integration/holdings_rig")
SHARE = 4  # of the times that other steps are reached, in a run that is not full
PLANS: dict[str, Any] = {"tax_vehicle": "BIL", "sweep": True, "float_target": "20"}


def begin(root: Path) -> None:
    """A gain of yesterday, so little cash that securities are sold, something in the pool to be
    invested, and a second session."""
    with closing(rigs.HoldingsRig(root)) as rig:
        rig.day()
        rig.plan("SCHD", ("SCHY", "40"), **PLANS)
        rig.hold("SCHY", "350")
        rig.hold("SCHD", "500.25")
        rig.gain("3000.00")
        rig.set_aside("700.00")
        rig.day(1)


def run(root: Path, *, later: int = 0) -> None:
    """``later``: minutes that went by since the process before ended."""
    with closing(rigs.HoldingsRig(root)) as rig:
        resume(rig, later)
        rig.run()


def resume(rig: Any, later: int) -> None:
    """The money that the test booked without the broker, and the session of the second day."""
    rig.broker.more_cash = rigs.D("3000.00")
    rig.hours = rigs.CALENDAR.sessions(rigs.DAYS[1], rigs.DAYS[1])[0]
    rig.clock.wait_until(rig.hours.open + (15 + later) * rigs.MINUTE)
    rig.bot.views.catch_up()


def look(root: Path) -> dict[str, Any]:
    with closing(rigs.HoldingsRig(root)) as rig:
        resume(rig, 60)
        feed = rig.bot.views.feed
        rows = feed.page(topics=("HoldingsDay.StepDone",), limit=100)
        intents = [
            feed.event(row).order_id for row in feed.page(topics=("Order.Intended",), limit=100)
        ]
        executed = Counter(e.client_order_id for e in rig.simulated.fills_since(0))
        done = rig.allocated()
        return {
            "steps": [feed.event(row).step for row in rows],
            "intents": sorted(i for i in intents if i.startswith("2026")),
            "executed": sorted(executed.values()),
            "open": len(rig.simulated.open_orders()),
            "equal": rig.equal(),
            "tax": str(rig.purses.tax_cash + rig.purses.tax_vehicle),
            "payroll": str(rig.purses.payroll),
            "allocated": [str(x) for x in (done.trading, done.tax, done.payroll)],
            "allocations": len(feed.page(topics=("Holdings.GainsAllocated",), limit=9)),
            "same": rig.at_broker() == in_all(rig),
            "negative": any(purse < 0 for purse in purses(rig)),
        }


def in_all(rig: Any) -> dict[str, str]:
    return {code.partition(".")[2]: units for code, units in rig.units().items()}


def purses(rig: Any) -> list[Any]:
    held = rig.purses
    return [held.float, held.tax_cash, held.payroll, held.pool]


def _some(places: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Each of the phase's own steps at one of its times, and a few of all others."""
    draw = random.Random(5)
    own = [place for place in places if place[0].startswith("holdings.")]
    steps = sorted({step for step, _ in own})
    chosen = [draw.choice([place for place in own if place[0] == step]) for step in steps]
    return chosen + draw.sample([place for place in places if place not in own], SHARE)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("begun") / "bot"
    begin(root)
    return root


@pytest.fixture(scope="module")
def calm(begun: Path, tmp_path_factory: pytest.TempPathFactory, child: Any) -> Any:
    """How often each step is reached by a phase that nobody disturbs, and its end."""
    root = tmp_path_factory.mktemp("calm") / "bot"
    shutil.copytree(begun, root)

    def counted(tell: Any) -> None:
        found: Counter[str] = Counter()
        failpoints.arm(lambda step: found.update([step]))
        run(root)
        failpoints.arm(None)
        tell(found)
        tell(look(root))

    times, end = child(counted).said
    return Counter(times), end


def test_it_reaches_every_step_of_its_own(calm: Any) -> None:
    times, end = calm
    assert {s for s in STEPS if s.startswith("holdings.")} <= set(times)
    assert end["steps"] == [
        "value", "float", "gains", "tax", "payroll", "reinvest", "log", "ledger",
    ]  # fmt: skip
    assert end["intents"] == [
        "2026-03-03-reinvestment-SCHD-buy", "2026-03-03-reinvestment-SCHY-buy",
        "2026-03-03-tax-reserve-BIL-buy", "2026-03-03-top-up-1-SCHD-sell",
    ]  # fmt: skip
    assert (end["tax"], end["equal"], end["same"], end["negative"]) == (
        "600.00", True, True, False,
    )  # fmt: skip


def test_killed_at_any_step_it_goes_on_and_does_no_step_and_no_order_twice(
    begun: Path, calm: Any, child: Any, full: bool, count: Callable[..., None], tmp_path: Path
) -> None:
    times, expected = calm
    places = [(step, n) for step, many in sorted(times.items()) for n in range(1, many + 1)]
    chosen = places if full else _some(places)
    for step, nth in chosen:
        root = tmp_path / f"{step}-{nth}"
        shutil.copytree(begun, root)
        assert child(lambda _: run(root), step, nth).killed  # noqa: B023
        child(lambda _: run(root, later=nth % 2))  # noqa: B023
        (found,) = child(lambda tell: tell(look(root))).said  # noqa: B023
        assert found == expected, f"{step}, {nth}"
        shutil.rmtree(root)
        count("kills: one step of the holdings phase × one time")
