"""A bot whose history is written by hand, its alerts, and the mail server that they go to."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from aggregates.base import Command
from aggregates.instrument import RegisterInstrument
from aggregates.order_messages import (
    IntendOrder,
    RecordAcceptance,
    RecordFill,
    RecordRejection,
    RecordSubmission,
)
from aggregates.session import (
    CloseSession,
    EndPhase,
    Mark,
    MarkPrices,
    OpenSession,
    RecordReconciliation,
    Session,
    StartPhase,
    session_stream,
)
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import settings_from
from runtime.alert_status import AlertsStatus, read_alerts
from runtime.alerts import Alerts
from runtime.checkpoints import checkpoint_session
from runtime.custody import Custody
from runtime.dispatch import Dispatcher
from runtime.provisioning import provision_bot
from runtime.recovery_key import new_recovery_key
from runtime.settings_change import change_settings, current_settings, in_force
from runtime.views import Views

IDENTITY = "ACME_ACME_ACME_01"
DAY = date(2026, 3, 2)
START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
BOTH = ("ann@example.org", "bob@example.org")
TEXTS = dict.fromkeys(("ENTITY_CODE", "JURISDICTION_CODE", "BROKER_CODE"), "ACME") | {
    "BOT_ID": "01", "CURRENCY_CODE": "USD", "TIMEZONE": "US/Eastern", "EXCHANGE_CALENDAR": "XNYS",
    "NOTIFY_ON_FILL": "true", "NOTIFY_ON_EXIT": "true", "NOTIFY_ON_FAILURE": "true",
    "SMTP_HOST": "127.0.0.1", "SMTP_SENDER": "bot@example.org", "SMTP_USERNAME": "bot",
    "SMTP_RECIPIENTS": ",".join(BOTH), "SMTP_PASSWORD": "canary-mail-password",
    "API_TIMEOUT": "1",
}  # fmt: skip
D = Decimal


def provision(root: Path, **settings: str) -> DataFolder:
    folder = DataFolder(root)
    provision_bot(
        folder, settings_from(TEXTS | settings), new_recovery_key().recipient,
        clock=VirtualClock(START - timedelta(days=1)), deposit=D(100_000),
        progress=lambda _step: None,
    )  # fmt: skip
    return folder


class Rig:
    """``alerts`` are those of `tbot run`, ticked by hand; a copy of ``template`` is the bot."""

    def __init__(self, template: DataFolder, root: Path, server: Any) -> None:
        shutil.copytree(template.root, root, symlinks=True)
        self.folder, self.clock, self.server = DataFolder(root), VirtualClock(START), server
        self.custody = Custody.open(self.folder, self.clock)
        self.dispatch = Dispatcher(self.custody.store, "supervisor")
        self.number = 0
        self.set(SMTP_PORT=str(server.port))
        self.alerts = self.begin()
        self.alerts.tick()  # a bot that was just set up: nothing that happened before is told

    def begin(self) -> Alerts:
        """As another `tbot run` on the folder does."""
        return Alerts(self.folder, current_settings(self.custody), self.clock)

    def close(self) -> None:
        self.alerts.close()
        self.custody.close()

    def set(self, **texts: str) -> None:
        self.number += 1
        seen = in_force(self.custody).revision
        change_settings(
            self.custody, texts, seen=seen, actor="anna", reason="",
            command_id=f"set:{self.number}",
        )  # fmt: skip

    # -- time ------------------------------------------------------------------------------------

    def later(self, **span: float) -> None:
        self.clock.wait_until(self.clock.now() + timedelta(**span))

    def ticks(self, number: int = 1, **span: float) -> None:
        """So many looks, each that much later than the one before."""
        for _ in range(number):
            self.later(**(span or {"seconds": 1}))
            self.alerts.tick()

    @property
    def told(self) -> AlertsStatus:
        found = read_alerts(self.folder)
        assert found is not None
        return found

    # -- what happens ----------------------------------------------------------------------------

    def do(self, kind: type[Command], /, **fields: Any) -> int:
        self.number += 1
        command = kind(at=self.clock.now(), effective_date=DAY, **fields)
        return self.dispatch(command, command_id=f"rig:{self.number}").positions[-1]

    def open(self, *symbols: str) -> None:
        for symbol in symbols or ("ALFA", "BRVO"):
            self.do(
                RegisterInstrument, symbol=symbol, name=f"{symbol} Corp", kind="stock",
                currency="USD", exchange="XNYS",
            )  # fmt: skip
        self.do(
            OpenSession, label=DAY.isoformat(), symbols=symbols or ("ALFA", "BRVO"),
            settings_position=1, opens_at=START - timedelta(minutes=30),
            closes_at=datetime(2026, 3, 2, 21, 0, tzinfo=UTC),
        )  # fmt: skip
        self.do(StartPhase, phase="open")

    def order(
        self, order_id: str, quantity: str, *, side: str = "buy", symbol: str = "ALFA",
        reason: str = "breakout", sleeve: str = "trading",
    ) -> None:  # fmt: skip
        self.do(
            IntendOrder, order_id=order_id, bot_identity=IDENTITY, instrument_id=f"XNYS:{symbol}",
            symbol=symbol, sleeve=sleeve, side=side, order_type="market", quantity=D(quantity),
            strategy="OPEN", reason=reason, held=D(quantity) if side == "sell" else None,
        )  # fmt: skip
        self.do(RecordSubmission, order_id=order_id)
        self.do(RecordAcceptance, order_id=order_id, broker_order_id=f"B-{order_id}")

    def fill(self, order_id: str, quantity: str, price: str, part: int = 1) -> int:
        return self.do(
            RecordFill, order_id=order_id, execution_id=f"{order_id}-{part}", quantity=D(quantity),
            price=D(price), currency="USD", commission=D(1), fees=D(0), net_amount=None,
            settles_on=DAY + timedelta(days=1),
        )  # fmt: skip

    def buy(self, order_id: str, **fields: Any) -> None:
        self.order(order_id, "10", **fields)
        self.fill(order_id, "10", "25.05")

    def reject(self, order_id: str, reason: str = "no money") -> None:
        self.do(
            IntendOrder, order_id=order_id, bot_identity=IDENTITY, instrument_id="XNYS:ALFA",
            symbol="ALFA", sleeve="trading", side="buy", order_type="market", quantity=D(1),
            strategy="OPEN", reason="breakout", held=None,
        )  # fmt: skip
        self.do(RecordSubmission, order_id=order_id)
        self.do(RecordRejection, order_id=order_id, error_code="funds", reason=reason)

    def views(self) -> None:
        """As who trades does after its commands: results of round trips are known then."""
        with closing(Views.open(self.folder, IDENTITY)) as views:
            views.catch_up()

    def close_day(self, *, checkpoint: bool = True, differences: tuple[str, ...] = ()) -> int:
        if self.custody.store.load(Session, session_stream(DAY.isoformat())).phase:
            self.do(EndPhase, phase="open", outcome="flat")
        mark = Mark(instrument_id="XNYS:ALFA", symbol="ALFA", price=D(26), at=self.clock.now())
        self.do(MarkPrices, occasion="close", marks=(mark,))
        self.do(RecordReconciliation, broker_cash=D("99999.00"), differences=differences)
        position = self.do(CloseSession, label=DAY.isoformat())
        if checkpoint:
            self.keep()
        return position

    def keep(self) -> None:
        with closing(Views.open(self.folder, IDENTITY)) as views:
            views.catch_up()
            checkpoint_session(self.folder, views, DAY, bytes(32))
