"""SIGKILL at every step of a rebalance; a fresh process goes on where it stood.

In the end each order of the preview was executed once, books and broker hold the same, and the
result against the preview is recorded.
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

from aggregates.holdings_requests import RequestHoldings
from config import failpoints
from runtime.holdings_requests import requests_of
from runtime.queries import Queries
from runtime.rebalance_preview import preview_now
from runtime.rebalancing import serve_requests

rigs: Any = beside("integration/holdings_rig")
SHARE = 2  # of all times that a step is reached, in a run that is not full
OWN = ("rebalance.", "holdings.")


class End(NamedTuple):
    """What is left after a kill."""

    stage: str
    executed: list[tuple[str, str]]
    at_broker: dict[str, str]
    in_books: dict[str, str]
    states: dict[str, str]
    equal: bool


def begin(root: Path) -> None:
    """One is to be sold, two are to be bought; the page has asked for it."""
    with closing(rigs.HoldingsRig(root)) as rig:
        rig.day()
        rig.plan(("SCHD", "20"), ("SCHY", "40"), ("BIL", "40"), auto_rebalance=False)
        for symbol, units in (("SCHD", "60"), ("SCHY", "20"), ("BIL", "20")):
            rig.hold(symbol, units)
        with closing(Queries(rig.folder)) as queries:
            preview = preview_now(queries).preview
        asked = RequestHoldings(
            at=rig.clock.now(), effective_date=rig.hours.day, request_id="r1", kind="rebalance",
            preview=preview, reason="test",
        )  # fmt: skip
        rig.bot.dispatch(asked, command_id="ask")


def run(root: Path, *, later: int = 0) -> None:
    """``later``: minutes that went by since the process before ended."""
    with closing(rigs.HoldingsRig(root)) as rig:
        for _ in range(later):
            rig.wait(rig.clock.now().replace(second=0, microsecond=0) + rigs.MINUTE)
        serve_requests(rig.bot, rig.hours, rig.wait)


def look(root: Path) -> End:
    with closing(rigs.HoldingsRig(root)) as rig:
        (request,) = requests_of(rig.bot.views.feed)
        executed = rig.simulated.fills_since(0)[3:]
        return End(
            stage=request.stage,
            executed=sorted((e.side, e.symbol) for e in executed),
            at_broker={f"1130.{symbol}": units for symbol, units in rig.at_broker().items()},
            in_books=rig.units(),
            states={one.symbol: one.state for one in request.result},
            equal=rig.equal(),
        )


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, child: Any) -> Path:
    root: Path = tmp_path_factory.mktemp("begun") / "bot"
    child(lambda _: begin(root))
    return root


def end_of(root: Path, child: Any) -> End:
    (said,) = child(lambda tell: tell(look(root)._asdict())).said
    return End(**said | {"executed": [(side, symbol) for side, symbol in said["executed"]]})


def times_of(root: Path, child: Any) -> Counter[str]:
    """How often each step is reached by a rebalance that nobody disturbs."""

    def counted(tell: Any) -> None:
        found: Counter[str] = Counter()
        failpoints.arm(lambda step: found.update([step]))
        run(root)
        tell(found)

    return Counter(child(counted).said[0])


def test_killed_at_any_step_it_ends_as_if_nothing_had_happened(
    begun: Path, child: Any, full: bool, count: Callable[..., None], tmp_path: Path
) -> None:
    calm = tmp_path / "calm"
    shutil.copytree(begun, calm)
    times = times_of(calm, child)
    expected = end_of(calm, child)
    assert expected.stage == "done"
    assert expected.executed == [("buy", "BIL"), ("buy", "SCHY"), ("sell", "SCHD")]
    assert expected.equal
    places = [(step, n) for step, many in sorted(times.items()) for n in range(1, many + 1)]
    own = [place for place in places if place[0].startswith(OWN)]
    chosen = places if full else random.Random(6).sample(places, SHARE) + own[::4]
    for step, nth in chosen:
        root = tmp_path / f"{step}-{nth}"
        shutil.copytree(begun, root)
        assert child(lambda _: run(root), step, nth).killed  # noqa: B023
        child(lambda _: run(root, later=nth % 2))  # noqa: B023
        found = end_of(root, child)
        assert found.in_books == found.at_broker, f"{step}, {nth}"
        assert found._replace(at_broker={}, in_books={}) == expected._replace(
            at_broker={}, in_books={}
        ), f"{step}, {nth}"
        shutil.rmtree(root)
        count("kills: one step of a rebalance × one time")
