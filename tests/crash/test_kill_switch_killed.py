"""SIGKILL at every named step of the kill switch itself; a fresh process goes on where it stood.

In the end it is latched, the broker holds for trading nothing, the long-term holdings are whole,
and exactly what trading held was sold: no sale is made twice.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from beside import beside

from aggregates.control import STREAM, Control
from config import failpoints
from config.failpoints import STEPS
from runtime.kill_switch import KillSwitch

rigs: Any = beside("integration/safety_rig")
SHARE = 40  # of all times that a step is reached, in a run that is not full


class End(NamedTuple):
    """What is left after a kill."""

    killed: bool
    flat: bool
    at_broker: dict[str, str]
    sold: dict[str, str]
    open_orders: int
    in_books: dict[str, str]


def begin(root: Path) -> None:
    """Ten held, an entry of eighty filled in part, one not sent; seven held for the long term."""
    with closing(rigs.Rig(root, volume=400)) as rig:
        rig.open_session()
        rig.hold_long_term("ALFA", "7")
        rig.buy("ALFA", "10")
        rig.order("large", "BRVO", "buy", "80")
        rig.decide("waiting", "ALFA", "buy", "5")
        rig.pass_minutes(1)
        rig.outbox.read_fills()


def run_kill(root: Path, *, later: int = 0) -> None:
    """``later``: minutes that went by since the process before ended."""
    with closing(rigs.Rig(root, volume=400)) as rig:
        rig.pass_minutes(later)
        KillSwitch(rig.bot, rig.desk, rig.outbox).run("flag", "test")


def look(root: Path) -> End:
    with closing(rigs.Rig(root, volume=400)) as rig:
        control = rig.bot.store.load(Control, STREAM)
        rig.pass_minutes(30)  # whatever were still under way would fill
        return End(
            killed=control.killed,
            flat=control.flat,
            at_broker=rig.at_broker(),
            sold=rig.sold(),
            open_orders=len(rig.simulated.open_orders()),
            in_books={p.code: f"{p.quantity:f}" for p in rig.bot.views.books.positions()},
        )


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("begun") / "bot"
    begin(root)
    return root


@pytest.fixture(scope="module")
def times(begun: Path, tmp_path_factory: pytest.TempPathFactory, child: Any) -> Counter[str]:
    """How often each step is reached by a kill that nobody disturbs."""
    root = tmp_path_factory.mktemp("counted") / "bot"
    shutil.copytree(begun, root)

    def counted(tell: Any) -> None:
        found: Counter[str] = Counter()
        failpoints.arm(lambda step: found.update([step]))
        run_kill(root)
        tell(found)

    return Counter(child(counted).said[0])


def end_of(root: Path, child: Any) -> End:
    (said,) = child(lambda tell: tell(look(root)._asdict())).said
    return End(**said)


def test_it_reaches_every_step_of_its_own(times: Counter[str]) -> None:
    assert {s for s in STEPS if s.startswith("kill.")} <= set(times)


def test_killed_at_any_step_it_ends_latched_and_flat_without_a_double_sale(
    begun: Path,
    times: Counter[str],
    child: Any,
    full: bool,
    count: Callable[..., None],
    tmp_path: Path,
) -> None:
    places = [(step, n) for step, many in sorted(times.items()) for n in range(1, many + 1)]
    chosen = places if full else random.Random(14).sample(places, min(SHARE, len(places)))
    chosen += [place for place in places if place[0].startswith("kill.") and place not in chosen]
    calm = tmp_path / "calm"
    shutil.copytree(begun, calm)
    child(lambda _: run_kill(calm))
    expected = end_of(calm, child)
    assert expected == End(
        killed=True, flat=True, at_broker={"ALFA": "7"}, sold={"ALFA": "10", "BRVO": "40"},
        open_orders=0, in_books={"1130.ALFA": "7"},
    )  # fmt: skip
    for step, nth in chosen:
        root = tmp_path / f"{step}-{nth}"
        shutil.copytree(begun, root)
        assert child(lambda _: run_kill(root), step, nth).killed  # noqa: B023
        child(lambda _: run_kill(root, later=nth % 2))  # noqa: B023
        found = end_of(root, child)
        # an entry that goes on filling until its cancellation is asked for a second time was
        # bought, and is sold like everything else
        assert found._replace(sold={}) == expected._replace(sold={}), f"{step}, {nth}"
        assert found.sold["ALFA"] == "10", f"{step}, {nth}"
        shutil.rmtree(root)
        count("kills: one step of the kill switch × one time")
