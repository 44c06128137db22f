"""Robinhood's adapter against its fake server, for the conformance suite and the scenarios."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from beside import beside

from brokers import robinhood_wire as wire
from brokers.robinhood import RobinhoodBroker
from brokers.robinhood_http import Access
from config.setting_forms import Secret

rigs, base = beside("conformance/rigs"), beside("conformance/books_rig")
fake = beside("fakes/robinhood_server")


class RobinhoodRig(base.BooksRig):  # type: ignore[misc, name-defined]
    """Orders go under a UUID made of the client order id."""

    CANNOT = base.BooksRig.CANNOT | {"bars": "has no bars of a minute"}
    QUANTUM = wire.STEP
    QUANTITIES = ("1", "7", "25", "0.5", "3.123456", "40", "2000")

    def __init__(
        self,
        _fakes: Any,
        sessions: Any,
        _folder: Path,
        retries: int = 2,
        settle_s: float = 30,
        timeout_s: float = rigs.TIMEOUT_S,
    ) -> None:
        super().__init__(sessions, fake.RobinhoodServer, settle_s, timeout_s)
        self.clock = beside("conformance/tradier_rig").ArrivingClock()
        self.clock.server = self.server
        self.books.clock = self.clock.now
        self.access = Access(
            token=Secret(self.server.keys[0]), account_number=fake.ACCOUNT, url=self.server.url,
            timeout_s=timeout_s, retries=retries, settle_s=settle_s,
        )  # fmt: skip
        self.broker = self.again()

    def again(self, access: Access | None = None) -> RobinhoodBroker:
        first = datetime.now(UTC) - timedelta(days=1)
        made = RobinhoodBroker(
            access or self.access, self.clock, fills_from=first, tell=self.actions.append
        )
        self._made.append(made)
        return made

    def id_there(self, client_order_id: str) -> str:
        return wire.ref_id(client_order_id)

    def id_here(self, there: str) -> str:
        return wire.client_id(there)

    def reads(self) -> int:
        return int(self.server.count("GET", "/"))

    def lose_snapshot(self) -> None:
        self.server.fault("empty", "GET", "/positions/", times=9)

    def fault_cancel(self, kind: str) -> None:
        self.server.fault(kind, "POST", "/orders/")

    def show_market(self) -> datetime:
        now = datetime.now(UTC)
        self.server.quotes["ALFA"] = {
            "symbol": "ALFA", "ask_price": "100.020000", "ask_size": 3, "bid_price": "99.980000",
            "bid_size": 2, "trading_halted": False, "updated_at": now.isoformat(),
        }  # fmt: skip
        return now.replace(second=0, microsecond=0)


BY_NAME = {"robinhood": RobinhoodRig}
