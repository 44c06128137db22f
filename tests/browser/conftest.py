"""A small store made through the real commands, the pages on it, and a browser to look at them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, sync_playwright
from waitress import create_server

from aggregates.base import Command
from aggregates.books import AdoptRules, OpenBooks, ReverseEntry
from aggregates.capital import RecordDeposit, RecordDividend, RecordFee
from aggregates.chart_of_accounts import AdoptChart
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
    Decide,
    EndPhase,
    Mark,
    MarkPrices,
    OpenSession,
    RecordReconciliation,
    StartPhase,
    Verdict,
)
from config.clock import to_micros
from config.paths import DataFolder
from eventstore.application import Store
from projections.ledger import template_chart
from runtime.dispatch import Dispatcher
from runtime.queries import Queries
from security.data_keys import KeyRing
from security.keyfile import read_or_create_key
from web.app import create_app
from web.serve import make_server

CHROMIUM_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
).split()


def beside(name: str) -> Any:
    """A helper of this folder, which is no package, by its path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


people = beside("people")  # people.py: a provisioned bot and signed-in clients
trading_desk = beside("trading")  # trading.py: a session on that bot
holdings_desk = beside("holdings")  # holdings.py: long-term holdings on that bot

IDENTITY = "DEMO_USA_SIM_01"
MONDAY, TUESDAY, WEDNESDAY = date(2013, 10, 7), date(2013, 10, 8), date(2013, 10, 9)
SCRIPT = "<script>document.title='broken'</script>"
D = Decimal


class Sample:
    """Writes a bot's history. ``now`` is what the store's clock says."""

    def __init__(self, root: Path) -> None:
        self.folder = DataFolder(root)
        self.now = datetime(2013, 10, 4, 14, 0, tzinfo=UTC)
        self.day = self.now.date()
        self.count = self.sale = self.fee = self.late = self.reversal = 0
        self.store = Store(
            self.folder.events,
            keys=KeyRing.plain(read_or_create_key(self.folder.blind_key, bytes(range(32)))),
            now_us=lambda: to_micros(self.now),
            software_version="test",
        )
        self.dispatch = Dispatcher(self.store, "supervisor")

    def go(self, day: date, hhmm: str) -> None:
        hours, minutes = hhmm.split(":")
        self.now = datetime(day.year, day.month, day.day, int(hours), int(minutes), tzinfo=UTC)
        self.day = day

    def do(
        self,
        kind: type[Command],
        /,
        *,
        correlation: str = "",
        on: date | None = None,
        **fields: Any,
    ) -> int:
        """Carry one command out; the position of its last event."""
        self.count += 1
        command = kind(at=self.now, effective_date=on or self.day, **fields)
        done = self.dispatch(command, command_id=f"sample:{self.count}", correlation=correlation)
        return done.positions[-1]

    def provision(self, *, demo: bool = True) -> None:
        self.do(
            OpenBooks, identity=IDENTITY, entity_code="DEMO", jurisdiction_code="USA",
            broker_code="SIM", bot_id="01", currency="USD", timezone="US/Eastern",
            exchange_calendar="XNYS", demo=demo,
        )  # fmt: skip
        self.do(AdoptRules, rules_version=1)
        self.do(AdoptChart, chart=template_chart(), reason="default chart")
        for symbol in ("ALFA", "BRVO", "CHAR"):
            self.do(
                RegisterInstrument, symbol=symbol, name=f"{symbol} Corp", kind="stock",
                currency="USD", exchange="XNYS",
            )  # fmt: skip
        self.do(
            RecordDeposit, reference="opening", currency="USD", amount=D("100000"), reason="start"
        )

    def write(self) -> None:
        self.do(
            RecordDeposit, reference=f"more-{self.count}", currency="USD", amount=D("250"),
            reason="more",
        )  # fmt: skip

    def open_day(self, day: date) -> None:
        self.go(day, "13:30")
        closes = datetime(day.year, day.month, day.day, 20, 0, tzinfo=UTC)
        self.do(
            OpenSession, label=day.isoformat(), opens_at=self.now, closes_at=closes,
            symbols=("ALFA", "BRVO", "CHAR"), settings_position=1,
        )  # fmt: skip
        self.do(StartPhase, phase="OPEN")
        self.mark("open", {"ALFA": "25.00", "BRVO": "102.40"})

    def close_day(self, marks: dict[str, str], cash: str, *differences: str) -> None:
        self.go(self.day, "20:00")
        self.do(EndPhase, phase="OPEN", outcome="done")
        self.mark("session close", marks)
        self.do(RecordReconciliation, broker_cash=D(cash), differences=differences)
        self.do(CloseSession, label=self.day.isoformat())

    def mark(self, occasion: str, prices: dict[str, str]) -> None:
        marks = tuple(
            Mark(instrument_id=f"XNYS:{s}", symbol=s, price=D(p), at=self.now)
            for s, p in prices.items()
        )
        self.do(MarkPrices, occasion=occasion, marks=marks)

    def decide(
        self, hhmm: str, symbol: str, kind: str, outcome: str, reason: str, **more: Any
    ) -> None:
        self.go(self.day, hhmm)
        refused = more.get("refused", ())
        verdicts = tuple(
            Verdict(rule=rule, passed=rule not in refused, value="0.0182", limit="0.015",
                    unit="fraction of price")
            for rule in ("daily_loss", "spread", "volume")
        )  # fmt: skip
        self.do(
            Decide, decision_id=f"{self.day}-{symbol}-{kind}", strategy="OPEN", symbol=symbol,
            kind=kind, outcome=outcome, reason=reason, verdicts=verdicts,
            inputs={"range_high": "25.10", "range_low": "24.70", "close": "25.14"},
            order_id=more.get("order_id"), correlation=f"{self.day}-{symbol}",
        )  # fmt: skip

    def order(self, order_id: str, symbol: str, side: str, quantity: str) -> None:
        thread = f"{self.day}-{symbol}"
        self.do(
            IntendOrder, order_id=order_id, bot_identity=IDENTITY, instrument_id=f"XNYS:{symbol}",
            symbol=symbol, sleeve="trading", side=side, order_type="market", quantity=D(quantity),
            strategy="OPEN", reason="signal", correlation=thread, held=D(quantity),
        )  # fmt: skip
        self.do(RecordSubmission, order_id=order_id, correlation=thread)
        self.do(
            RecordAcceptance, order_id=order_id, broker_order_id=f"B-{order_id}", correlation=thread
        )

    def fill(
        self, order_id: str, number: int, quantity: str, price: str, on: date | None = None
    ) -> int:
        day = on or self.day
        return self.do(
            RecordFill, order_id=order_id, execution_id=f"{order_id}-{number}",
            quantity=D(quantity), price=D(price), currency="USD", commission=D("1"),
            fees=D("0.021"), net_amount=None, settles_on=day + timedelta(days=3), on=day,
            correlation=f"{day}-{order_id.partition('-')[0]}",
        )  # fmt: skip


def monday(s: Sample) -> None:
    """A loss in two parts, a refusal, a day without a range, and a fee."""
    s.open_day(MONDAY)
    s.decide("14:00", "CHAR", "no_range", "no_trade", "no range")
    s.decide("14:04", "ALFA", "entry", "taken", "close above the opening range", order_id="ALFA-1")
    s.order("ALFA-1", "ALFA", "buy", "400")
    s.fill("ALFA-1", 1, "250", "25.15")
    s.go(MONDAY, "14:05")
    s.fill("ALFA-1", 2, "100", "25.16")
    s.decide("14:11", "BRVO", "entry", "refused", f"too wide {SCRIPT}", refused=("spread",))
    s.decide("14:50", "ALFA", "exit", "taken", "trailing stop", order_id="ALFA-2")
    s.order("ALFA-2", "ALFA", "sell", "350")
    s.sale = s.fill("ALFA-2", 1, "350", "24.90")
    s.fee = s.do(
        RecordFee, reference="data-fee", currency="USD", amount=D("12.50"), reason="market data"
    )
    s.close_day({"ALFA": "24.95", "BRVO": "101.10"}, "99894.12")


def tuesday(s: Sample) -> None:
    """A gain, an order that the broker rejects, weakness without an instrument, a dividend."""
    s.open_day(TUESDAY)
    s.decide("14:01", "CHAR", "bearish", "no_instrument", "bearish, no instrument")
    s.decide("14:09", "ALFA", "entry", "taken", "close above the opening range", order_id="ALFA-3")
    s.order("ALFA-3", "ALFA", "buy", "500")
    s.fill("ALFA-3", 1, "500", "25.40")
    s.decide("14:20", "BRVO", "entry", "taken", "close above the opening range", order_id="BRVO-1")
    s.order("BRVO-1", "BRVO", "buy", "50")
    s.do(RecordRejection, order_id="BRVO-1", error_code="no_shares", reason="no shares on offer")
    s.decide("15:35", "ALFA", "exit", "taken", "end of monitoring", order_id="ALFA-4")
    s.order("ALFA-4", "ALFA", "sell", "500")
    s.fill("ALFA-4", 1, "500", "26.05")
    s.do(
        RecordDividend, reference="div-1", currency="USD", amount=D("35.00"), reason="ALFA Q3",
        symbol="ALFA", withheld=D("5.25"),
    )  # fmt: skip
    s.close_day({"ALFA": "26.10", "BRVO": "103.00"}, "100243.83")


def wednesday(s: Sample) -> None:
    """A position that stays, a difference to the broker; then a late fill and a reversal."""
    s.open_day(WEDNESDAY)
    s.decide("14:15", "BRVO", "entry", "taken", "close above the opening range", order_id="BRVO-2")
    s.order("BRVO-2", "BRVO", "buy", "40")
    s.fill("BRVO-2", 1, "40", "103.25")
    s.close_day({"BRVO": "104.10"}, "96000.00", "cash: books 96112.81, broker 96000.00")
    s.go(WEDNESDAY, "21:00")
    s.late = s.fill("ALFA-1", 3, "50", "25.30", on=MONDAY)
    s.reversal = s.do(ReverseEntry, reversed_position=s.fee, reason="charged twice", on=MONDAY)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """Three days of a bot, to be read only."""
    s = Sample(tmp_path_factory.mktemp("books"))
    s.provision()
    monday(s)
    tuesday(s)
    wednesday(s)
    yield s
    s.store.close()


@pytest.fixture(scope="session")
def queries(sample: Sample) -> Iterator[Queries]:
    found = Queries(sample.folder)
    yield found
    found.close()


@pytest.fixture(scope="session")
def client(queries: Queries) -> FlaskClient:
    return create_app(queries).test_client()


@pytest.fixture(scope="session")
def address(queries: Queries) -> Iterator[str]:
    """The pages on a real server at a free port."""
    server = make_server(queries, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join(timeout=10)


def tampered(sample: Sample, root: Path, position: int, old: str, new: str) -> DataFolder:
    """A copy of the books in which the payload of one event was changed behind the store's back."""
    shutil.copytree(sample.folder.root, root)
    folder = DataFolder(root)
    connection = sqlite3.connect(folder.events)
    connection.execute("DROP TRIGGER no_update")
    connection.execute(
        "UPDATE stored_events SET state = CAST(replace(CAST(state AS TEXT), ?, ?) AS BLOB)"
        " WHERE position = ?",
        (old, new, position),
    )
    connection.commit()
    connection.close()
    return folder


@pytest.fixture
def broken(sample: Sample, tmp_path: Path) -> DataFolder:
    """Another reason stands in event 18: the books look fine, the chain does not hold."""
    return tampered(sample, tmp_path / "broken", 18, "too wide", "too late")


@pytest.fixture
def unreadable(sample: Sample, tmp_path: Path) -> DataFolder:
    """Event 20 is no JSON any more: no view can be built from it."""
    return tampered(sample, tmp_path / "unreadable", 20, "{", "[")


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Sample]:
    """Books of a live bot before its first session; ``write`` books one more deposit."""
    s = Sample(tmp_path)
    s.provision(demo=False)
    yield s
    s.store.close()


@pytest.fixture(scope="session")
def bot_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A bot by the real steps, with a user for each role; never to be changed."""
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))  # root keys of tests
    yield people.provision(tmp_path_factory.mktemp("bot") / "data")
    os.environ.pop("XDG_CONFIG_HOME")
    if before is not None:
        os.environ["XDG_CONFIG_HOME"] = before


@pytest.fixture
def provisioned(bot_template: Any, tmp_path: Path) -> Iterator[Any]:
    """A bot of one's own with users named as their roles: `.folder .app .clock .ids .client(role)
    .later(minutes=5) .people()`; see people.py."""
    found = people.copied(bot_template, tmp_path / "bot")
    yield found
    found.close()


@pytest.fixture
def trading(provisioned: Any) -> Iterator[Any]:
    """What a supervisor would record on the provisioned bot; see trading.py."""
    found = trading_desk.Trading(provisioned)
    yield found
    found.close()


@pytest.fixture
def held(provisioned: Any, trading: Any) -> Any:
    """Long-term holdings on the provisioned bot; see holdings.py."""
    return holdings_desk.Held(provisioned, trading, count=1000)  # beyond what a template has


@pytest.fixture(scope="session")
def holdings_template(bot_template: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same bot with the usual holdings; never to be changed."""
    found = people.copied(bot_template, tmp_path_factory.mktemp("holdings") / "bot")
    writes = trading_desk.Trading(found)
    holdings_desk.Held(found, writes).usual()
    writes.close()
    found.close()
    return found


@pytest.fixture
def with_holdings(holdings_template: Any, tmp_path: Path) -> Iterator[Any]:
    """As ``provisioned``, with the usual holdings; a module names it ``provisioned`` for itself."""
    found = people.copied(holdings_template, tmp_path / "bot")
    yield found
    found.close()


@pytest.fixture
def client_of() -> Callable[[Any, str | None], FlaskClient]:
    """`client_of(app, role)`: a browser signed in as the user with that role, None for nobody."""
    return people.client_of  # type: ignore[no-any-return]


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """One for all tests here; each opens contexts of its own, which share nothing."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield found
        found.close()


@pytest.fixture
def bot_address(provisioned: Any) -> Iterator[str]:
    """The pages of the provisioned bot on a real server at a free port."""
    server = create_server(
        provisioned.app, host="localhost", port=0, threads=8, channel_request_lookahead=1
    )
    stop = people.run(server)
    yield f"http://localhost:{server.effective_port}"
    stop()


@pytest.fixture
def enter(browser: Browser, bot_address: str, provisioned: Any) -> Iterator[Callable[..., Page]]:
    """`enter(role, place)` opens a page as who is signed in; at the end nothing may stand in the
    console but answers that refuse something."""
    contexts, faults = [], list[str]()

    def opened(role: str, place: str, **options: Any) -> Page:
        contexts.append(browser.new_context(base_url=bot_address, **options))
        contexts[-1].set_default_timeout(10_000)
        kept = provisioned.client(role).get_cookie(people.COOKIE, domain="localhost")
        contexts[-1].add_cookies(
            [{"name": people.COOKIE, "value": kept.value, "domain": "localhost", "path": "/",
              "secure": True, "httpOnly": True}]
        )  # fmt: skip
        page = contexts[-1].new_page()
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.on("console", lambda m: faults.append(m.text) if _is_fault(m) else None)
        page.goto(place)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults


def _is_fault(message: Any) -> bool:
    refused = ("status of 4", "Status Error Code 4")  # as the browser says it, and htmx
    return message.type in ("error", "warning") and not any(r in message.text for r in refused)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, DataFolder]]:
    """The pages of an empty folder on a real server."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = DataFolder(tmp_path / "data")
    queries = Queries(folder)
    server = make_server(queries, "127.0.0.1", 0)
    stop = people.run(server)
    yield f"http://127.0.0.1:{server.effective_port}", folder
    stop()
    queries.close()
