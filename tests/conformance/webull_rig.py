"""Webull's adapter against its fake server, for the conformance suite and the fault scenarios."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from beside import beside

from aggregates.market import MINUTE
from brokers.port import Execution
from brokers.webull import WebullBroker
from brokers.webull_http import Access
from config.setting_forms import Secret

rigs, base = beside("conformance/rigs"), beside("conformance/books_rig")
fake = beside("fakes/webull_server")


class WebullRig(base.BooksRig):  # type: ignore[misc, name-defined]
    """Its orders and its cancellations are both POSTs, to paths of their own."""

    QUANTUM = Decimal("0.00001")
    # so large that an average with eight decimals tells the price of each step exactly
    QUANTITIES = ("1", "7", "25", "0.5", "3.5", "40", "2000")

    def __init__(
        self,
        _fakes: Any,
        sessions: Any,
        _folder: Path,
        retries: int = 2,
        settle_s: float = 30,
        timeout_s: float = rigs.TIMEOUT_S,
    ) -> None:
        super().__init__(sessions, fake.WebullServer, settle_s, timeout_s)
        self.access = Access(
            app_key=Secret(self.server.keys[0]), app_secret=Secret(self.server.keys[1]),
            account_id=fake.ACCOUNT, url=self.server.url, timeout_s=timeout_s, retries=retries,
            settle_s=settle_s,
        )  # fmt: skip
        self.broker = self.again()

    def again(self, access: Access | None = None) -> WebullBroker:
        return self.restarted((), access)

    def restarted(
        self, recorded: Sequence[Execution], access: Access | None = None
    ) -> WebullBroker:
        numbers = iter(range(10**9))
        self._made.append(
            WebullBroker(
                access or self.access, self.clock, self._sessions,
                fills_from=datetime.now(UTC) - timedelta(days=1), recorded=recorded,
                tell=self.actions.append, new_nonce=lambda: f"nonce-{next(numbers)}",
            )
        )  # fmt: skip
        made: WebullBroker = self._made[-1]
        return made

    def reads(self) -> int:
        return int(self.server.count("GET", "/"))

    def true_fills(self, number: str) -> Iterator[tuple[str | None, Decimal, Decimal]]:
        """It has no ids of executions."""
        for _, quantity, price in super().true_fills(number):
            yield None, quantity, price

    def fault_order(self, kind: str) -> None:
        self.server.fault(kind, "POST", fake.PLACE)

    def fault_cancel(self, kind: str) -> None:
        self.server.fault(kind, "POST", fake.CANCEL)

    def lose_snapshot(self) -> None:
        self.server.fault("empty", "GET", "/trading/assets/positions", times=9)

    def show_market(self) -> datetime:
        now = datetime.now(UTC)
        first = now.replace(second=0, microsecond=0) - 3 * MINUTE
        self.server.bars["ALFA"] = [
            {
                "time": (first + n * MINUTE).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
                "open": "100.10", "high": "100.30", "low": "100", "close": "100.2",
                "volume": str(500 + n),
            }
            for n in (4, 2, 1, 0)  # the newest first, of a minute that has not begun
        ]  # fmt: skip
        self.server.quotes["ALFA"] = {
            "symbol": "ALFA", "instrument_id": "1", "quote_time": str(int(now.timestamp() * 1000)),
            "asks": [{"price": "100.02", "size": "3"}], "bids": [{"price": "99.98", "size": "2"}],
        }  # fmt: skip
        return first


BY_NAME = {"webull": WebullRig}
