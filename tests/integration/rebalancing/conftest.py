"""A bot with long-term holdings, requests to rebalance them, and what came of each."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from beside import beside

from aggregates.control import LatchKill, StartKill
from aggregates.holdings_requests import RequestHoldings
from aggregates.rebalance_values import CarriedOut, Preview
from runtime.holdings_requests import Asked, requests_of
from runtime.queries import Queries
from runtime.rebalance_preview import preview_now
from runtime.rebalancing import serve_requests


class Rebalanced:
    """The rig of the holdings, with a page's questions and the supervisor's look at requests."""

    def __init__(self, rig: Any) -> None:
        self.rig = rig
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rig, name)

    def preview(self) -> Preview:
        """As the page shows it."""
        queries = Queries(self.rig.folder)
        try:
            return preview_now(queries).preview
        finally:
            queries.close()

    def ask(self, kind: Any = "rebalance", preview: Preview | None = None) -> str:
        """What the page records when somebody confirms; the request's id."""
        self.asked += 1
        confirmed = (preview or self.preview()) if kind == "rebalance" else None
        request = RequestHoldings(
            at=self.clock.now(), effective_date=self.hours.day, request_id=f"{kind}-{self.asked}",
            kind=kind, preview=confirmed, reason="test",
        )  # fmt: skip
        self.bot.dispatch(request, command_id=f"ask-{self.asked}")
        return request.request_id

    def serve(self) -> None:
        serve_requests(self.bot, self.hours, self.rig.wait)

    def request(self, request_id: str) -> Asked:
        found = {one.request_id: one for one in requests_of(self.bot.views.feed)}
        return found[request_id]

    def result(self, request_id: str) -> dict[str, CarriedOut]:
        return {one.symbol: one for one in self.request(request_id).result}

    def kill(self) -> None:
        """Latched, with nothing of trading to sell."""
        when: dict[str, Any] = {"at": self.clock.now(), "effective_date": self.hours.day}
        self.bot.dispatch(
            StartKill(**when, source="page", reason="test"),
            LatchKill(**when, flat=True, left=()),
            command_id="kill",
        )

    def hours_of(self, number: int) -> Any:
        module: Any = beside("integration/holdings_rig")
        return module.CALENDAR.session(module.DAYS[number])

    def shares(self, symbols: Sequence[str]) -> list[Decimal]:
        """Percent of what these are worth together, at the broker and the prices of now."""
        held = {p.symbol: p.quantity for p in self.simulated.positions()}
        worth = [
            held.get(s, Decimal(0)) * self.simulated.quote(s).ask.quantize(Decimal(1))
            for s in symbols
        ]
        return [(100 * one / sum(worth)).quantize(Decimal("0.1")) for one in worth]


@pytest.fixture
def holdings_rig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Rebalanced]]:
    """`holdings_rig()`: 15 minutes into the first session, nothing held, no plan. Called again, the
    bot is opened anew in the same folder, as after a kill. `symbols`: what is traded there."""
    helper: Any = beside("integration/holdings_rig")
    made: list[Any] = []

    def make(symbols: Sequence[str] = (), **options: Any) -> Rebalanced:
        if symbols:
            monkeypatch.setattr(helper, "SYMBOLS", tuple(symbols))
        again = bool(made)
        if again:
            made.pop().close()
        made.append(helper.HoldingsRig(tmp_path / "bot", **options))
        if not again:
            made[-1].day()
        return Rebalanced(made[-1])

    yield make
    for rig in made:
        rig.close()
