"""Old forms of events go on to be read; what a newer program wrote stops by name."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from click.testing import CliRunner

from aggregates.base import Aggregate, Event
from aggregates.books import RulesAdopted
from aggregates.capital import (
    CapitalDeposited,
    CapitalEntry,
    RecordDeposit,
    RecordFee,
    capital_stream,
)
from aggregates.errors import DomainError
from aggregates.order import Order, order_stream
from aggregates.order_messages import OrderFilled
from aggregates.upcasters import UPCASTERS, Payload, register
from config.clock import to_micros
from config.paths import DataFolder
from eventstore.application import Store
from eventstore.envelope import CommandContext
from eventstore.errors import UnknownEvent
from eventstore.feed import Feed, event_of
from eventstore.verification import verify
from projections.base import ProjectionHalted
from projections.ledger import Ledger
from projections.orders import Orders
from projections.performance import Performance
from projections.performance_queries import PerformanceQueries
from runtime.cli import main
from runtime.queries import Queries
from runtime.views import Views, rebuild_ledger
from security.data_keys import KeyRing
from web.app import create_app

KEY = bytes(range(32))
WHEN = {
    "occurred_at": datetime(2024, 1, 2, 15, tzinfo=UTC), "effective_date": date(2024, 1, 2),
}  # fmt: skip


class Written(Aggregate):
    """Whatever another version of the program recorded."""

    def apply(self, event: Event) -> None:
        """Not ours to know."""


def write(keeper: Any, software: str, stream: str, *events: Event) -> int:
    """Record events as another version of the program would; the last position."""
    aggregate = Written(stream)
    aggregate.version = len(keeper.feed.page(stream=stream))
    for event in events:
        aggregate.emit(event)
    with closing(
        Store(
            keeper.path, keys=KeyRing.plain(KEY), now_us=lambda: to_micros(keeper.clock),
            software_version=software,
        )
    ) as store:  # fmt: skip
        context = CommandContext(f"{software}:{stream}", b"d" * 32, "another version")
        return store.record(context, aggregate)[-1]


def files(folder: Path) -> dict[str, str]:
    """Every file with its content, the index that SQLite's readers share aside."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith("-shm")
    }


@dataclass
class Told:
    code: int
    out: str
    err: str


def tbot(keeper: Any, *arguments: object) -> Told:
    """One command on the keeper's folder."""
    texts = [*map(str, arguments), "--data-dir", str(keeper.folder.root)]
    done = CliRunner().invoke(main, texts, catch_exceptions=False)
    return Told(done.exit_code, done.stdout, done.stderr)


# Older forms: the reason of a deposit was called memo and could be missing, the price of a fill px.


class DepositedWithMemo(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "Capital.Deposited"

    reference: str
    currency: str
    amount: Decimal
    memo: str | None


def reason_for_memo(payload: Payload) -> Payload:
    kept = {name: value for name, value in payload.items() if name != "memo"}
    return kept | {"reason": payload["memo"] or "not stated"}


def price_for_px(payload: Payload) -> Payload:
    return {"price" if name == "px" else name: value for name, value in payload.items()}


FilledWithPx = msgspec.defstruct(
    "FilledWithPx",
    [("px" if f.name == "price" else f.name, f.type) for f in msgspec.structs.fields(OrderFilled)],
    bases=(Event,), frozen=True, kw_only=True,
    namespace={"topic": "Order.Filled", "schema_version": 1},
)  # fmt: skip


def trade(keeper: Any, record: Callable[[Any], object]) -> None:
    """Ten shares at 5.25: the intent by command, the fill by ``record``."""
    keeper.register("SPY")
    intent, fill = keeper.fill_commands("buy", "10", "5.25", "2024-01-02")
    keeper.send(intent)
    record(fill)


@pytest.fixture
def old(keep: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Books with a fill and two deposits of the old forms, under a program that has new ones."""
    keeper = keep("old")

    def fill_as_then(command: Any) -> None:
        order = keeper.store.load(Order, order_stream(command.order_id))
        order.record_fill(command)
        fields = msgspec.structs.asdict(order.collect_events()[0].event)
        write(keeper, "0.0.9", order.id, FilledWithPx(px=fields.pop("price"), **fields))

    trade(keeper, fill_as_then)
    for reference, amount, memo in (("r1", "100.10", "opening"), ("r2", "20.00", None)):
        event = DepositedWithMemo(
            **WHEN, reference=reference, currency="USD", amount=Decimal(amount), memo=memo
        )
        write(keeper, "0.0.9", capital_stream(reference), event)
    for kind, step in ((CapitalDeposited, reason_for_memo), (OrderFilled, price_for_px)):
        monkeypatch.setattr(kind, "schema_version", 2)
        register(kind.topic, {1: step})
    yield keeper
    del UPCASTERS["Capital.Deposited"], UPCASTERS["Order.Filled"]


@pytest.fixture
def twin(old: Any, keep: Any) -> Any:  # noqa: ARG001 - the program has the new forms by then
    """The same, recorded in the new forms."""
    keeper = keep("twin")
    trade(keeper, keeper.send)
    keeper.capital(RecordDeposit, "100.10", reference="r1", reason="opening")
    keeper.capital(RecordDeposit, "20.00", reference="r2", reason="not stated")
    return keeper


def shown(keeper: Any) -> list[Any]:
    """What the other views make of the history."""
    with closing(Orders.in_memory()) as orders, closing(Performance.in_memory()) as trading:
        orders.catch_up(keeper.feed)
        trading.catch_up(keeper.feed)
        return [orders.orders(), PerformanceQueries(trading.connection, 2).equity()]


def test_the_books_of_old_forms_are_those_of_new_ones(old: Any, twin: Any) -> None:
    for keeper in (old, twin):
        keeper.capital(RecordDeposit, "3.00", reference="r3", reason="later")
        keeper.capital(RecordFee, "1.00", reference="r4", reason="later")
    versions = [r.schema_version for r in old.feed.page(topics=("Capital.Deposited",))]
    assert versions == [1, 1, 2]
    assert list(old.books.journal()) == list(twin.books.journal())
    assert old.balances() == twin.balances()
    assert old.balances() == {
        "1010": "69.60", "1110.SPY": "52.50 / 10", "3010": "-123.10", "5020": "1.00",
    }  # fmt: skip
    assert shown(old) == shown(twin)
    assert old.store.head().hash != twin.store.head().hash  # only what is decoded is the same


def test_what_is_stored_stays_as_it_was_written(old: Any) -> None:
    before = list(old.feed.all())
    fill, deposit = before[5:7]
    assert b'"px":"5.25"' in fill.state
    assert b'"memo":"opening"' in deposit.state
    found: Any = [event_of(fill), event_of(deposit)]
    assert (found[0].price, found[1].reason) == (Decimal("5.25"), "opening")
    assert old.balances()["1010"] == "67.60"
    old.deposit("1.00")
    assert list(old.feed.all())[: len(before)] == before
    result = verify(old.path, KeyRing.plain(KEY))
    assert (result.intact, result.position) == (True, len(before) + 1)


def test_views_rebuilt_over_old_forms_have_the_same_digests(old: Any, tmp_path: Path) -> None:
    old.deposit("1.00")
    identity = old.books.books().identity
    with closing(Views.open(old.folder, identity)) as live:
        live.catch_up()
        digest, _ = rebuild_ledger(old.folder, tmp_path / "again.db", None, lambda *_: None)
        assert live.ledger.digest() == digest
        for kind, view in ((Orders, live.orders), (Performance, live.performance)):
            with closing(kind.in_memory()) as again:
                again.catch_up(old.feed)
                assert again.digest() == view.digest()


def test_a_stream_that_began_in_an_old_form_goes_on(old: Any) -> None:
    with pytest.raises(DomainError, match="r1 is booked already"):
        old.capital(RecordDeposit, "1.00", reference="r1")
    (intended,) = old.feed.page(topics=("Order.Intended",))
    order = old.store.load(Order, intended.originator_id)
    assert (order.version, order.state, order.filled_value) == (2, "filled", Decimal("52.50"))


def test_the_command_line_reads_old_forms_and_shows_them_as_stored(old: Any) -> None:
    for command in ("verify", "status", "journal"):
        assert tbot(old, command).code == 0
    rows = json.loads(tbot(old, "balances", "--format", "json").out)
    assert {r["code"]: r["amount"] for r in rows} == {
        "1010": "67.60", "1110.SPY": "52.50", "3010": "-120.10",
    }  # fmt: skip
    (first, _) = json.loads(tbot(old, "events", "--topic", "Capital", "--format", "json").out)
    assert (first["schema_version"], first["software"], first["unreadable"]) == (1, "0.0.9", "")
    assert first["payload"]["memo"] == "opening"


# What a newer program wrote


def later(topic: str, version: int) -> Event:
    """An event of a form that only TradeBot 9.9.0 knows."""
    made: Any = msgspec.defstruct(
        "Later", [("text", str)], bases=(Event,), frozen=True, kw_only=True,
        namespace={"topic": topic, "schema_version": version},
    )(**WHEN, text="brand new")  # fmt: skip
    return made


NEWER = {
    "topic": (later("Test.Invented", 1), r"Test\.Invented of schema 1, written by"),
    "form": (
        later("Capital.Deposited", 7),
        r"Capital\.Deposited of schema 7, written by .* \(it reads up to schema 1\)",
    ),
    "fill": (
        later("Order.Filled", 7),
        r"Order\.Filled of schema 7, written by .* \(it reads up to schema 1\)",
    ),
    "rules": (RulesAdopted(**WHEN, rules_version=99), r"Books\.RulesAdopted.*posting rules 99"),
}
STOPPED = (
    "status", "balances", "balances --known-at 5", "journal", "positions", "orders", "chart",
    "diff --period 2024-01 --since 5", "rebuild -o {out}",
    "export hledger -o {out}", "export beancount -o {out}", "export ofx -o {out}",
    "checkpoint -o {out}",
)  # fmt: skip


@pytest.fixture(params=NEWER)
def newer(request: pytest.FixtureRequest, keeper: Any) -> tuple[Any, str]:
    """Books whose event 6 was recorded by TradeBot 9.9.0, and the words that name it."""
    event, words = NEWER[request.param]
    _ = keeper.ledger  # the views are at event 5 and were left so
    stream = "books" if request.param == "rules" else "new-stream"
    assert write(keeper, "9.9.0", stream, event) == 6
    return keeper, words


@pytest.mark.parametrize("command", STOPPED)
def test_commands_that_need_the_books_stop_and_say_what_to_install(
    newer: tuple[Any, str], tmp_path: Path, command: str
) -> None:
    keeper, words = newer
    out = tmp_path / "out" / "file.txt"
    out.parent.mkdir()
    before = files(tmp_path)
    told = tbot(keeper, *command.format(out=out).split())
    assert (told.code, told.out) == (3, "")
    said = re.fullmatch(
        rf"tbot: .* before event 6 .*{words}.*[Ii]nstall TradeBot 9\.9\.0 .*\n", told.err
    )
    assert said, told.err
    assert files(tmp_path) == before


def test_the_chain_can_be_verified_without_knowing_every_event(newer: tuple[Any, str]) -> None:
    told = tbot(newer[0], "verify")
    assert (told.code, "6 events, nothing was changed" in told.out) == (0, True)


def test_what_was_signed_before_still_holds_and_can_be_proven(keeper: Any, tmp_path: Path) -> None:
    _ = keeper.ledger
    signed = tmp_path / "signed.txt"
    assert tbot(keeper, "checkpoint", "-o", signed).code == 0
    write(keeper, "9.9.0", "new-stream", NEWER["topic"][0])
    told = tbot(keeper, "verify", "--checkpoint", signed)
    assert (told.code, "The checkpoint holds" in told.out) == (0, True), told
    assert tbot(keeper, "prove", "entry", "5", "-o", tmp_path / "proof.json").code == 0


def test_the_ledger_before_the_unknown_event_can_be_rebuilt(
    newer: tuple[Any, str], tmp_path: Path
) -> None:
    out = tmp_path / "before.db"
    told = tbot(newer[0], "rebuild", "-o", out, "--until", "5")
    assert (told.code, "to event 5" in told.out) == (0, True), told
    with closing(Ledger.read_only(out)) as ledger:
        assert ledger.tracked()[0] == 5


def test_the_history_is_copied_whole_with_what_is_not_known(
    newer: tuple[Any, str], tmp_path: Path
) -> None:
    keeper, _ = newer
    file, copy = tmp_path / "history.xz", tmp_path / "copy"
    assert tbot(keeper, "export", "history", "-o", file).code == 0
    done = CliRunner().invoke(main, ["import-history", str(file), "--data-dir", str(copy)])
    assert done.exit_code == 0, done.output
    with closing(Feed(DataFolder(copy).events)) as copied:
        assert list(copied.all()) == list(keeper.feed.all())


def test_the_events_are_shown_as_stored(newer: tuple[Any, str]) -> None:
    """New posting rules are a known event: what cannot be read is only what follows from it."""
    keeper, _ = newer
    known = keeper.feed.at(6).topic == RulesAdopted.topic
    before = files(keeper.folder.root)
    rows = json.loads(tbot(keeper, "events", "--format", "json").out)
    assert [bool(row["unreadable"]) for row in rows] == [False] * 5 + [not known]
    assert rows[5]["payload"] == json.loads(keeper.feed.at(6).state)
    assert rows[5]["software"] == "9.9.0"
    table = tbot(keeper, "events", "--after", "4")
    assert table.code == 0
    for words in ("(cannot be read)", "brand new", "Install TradeBot 9.9.0"):
        assert (words in table.out) is not known
    assert tbot(keeper, "events", "--format", "csv").code == 0
    assert files(keeper.folder.root) == before


@pytest.mark.parametrize("state", [b"[1]", b"\xff\x00", b"", b'{"a":' + b"[" * 5000])
def test_a_payload_that_is_no_json_object_is_shown_as_text(keeper: Any, state: bytes) -> None:
    with closing(sqlite3.connect(keeper.path)) as c, c:
        c.execute("DROP TRIGGER no_update")
        c.execute("UPDATE stored_events SET state = ? WHERE position = 5", (state,))
    told = tbot(keeper, "events", "--after", "4", "--format", "json")
    assert told.code == 0
    (row,) = json.loads(told.out)
    assert row["payload"] == {"as_stored": state.decode(errors="backslashreplace")}
    assert "Event 5" in row["unreadable"]


def test_neither_its_stream_nor_a_view_can_be_used_by_a_writer(newer: tuple[Any, str]) -> None:
    keeper, words = newer
    if keeper.feed.at(6).topic != RulesAdopted.topic:
        with pytest.raises(UnknownEvent, match=rf"Event 1 of new-stream is a {words}"):
            keeper.store.load(CapitalEntry, "new-stream")
    with pytest.raises(ProjectionHalted, match=words):
        _ = keeper.ledger
    assert keeper.store.head().position == 6


def test_pages_show_the_events_and_say_why_there_are_no_books(newer: tuple[Any, str]) -> None:
    keeper, words = newer
    with closing(Queries(keeper.folder)) as queries:
        client = create_app(queries).test_client()
        for address, code in (
            ("/ledger", 503), ("/", 503), ("/history", 200), ("/history?known_at=3", 200),
            ("/history/6", 200), ("/history/5", 200), ("/history/7", 404), ("/verify", 200),
        ):  # fmt: skip
            answer = client.get(address)
            assert answer.status_code == code, address
            if address != "/verify" and code != 404:
                assert re.search(rf"{words}.*Install|{words}.*install", answer.text, re.S), address
        if "posting rules" not in words:
            assert "cannot be read by this version" in client.get("/history").text
            event = client.get("/history/6").text
            assert "brand new" in event
            assert "This version cannot read this event" in event


# A newer form of the store itself


@pytest.mark.parametrize("command", [*STOPPED, "verify", "events"])
def test_a_store_of_a_newer_schema_is_left_alone(keeper: Any, tmp_path: Path, command: str) -> None:
    with closing(sqlite3.connect(keeper.path)) as c:
        c.execute("PRAGMA user_version = 2")
    before = files(keeper.folder.root)
    told = tbot(keeper, *command.format(out=tmp_path / "file").split())
    assert (told.code, told.out) == (3, "")
    words = (
        r"store schema 2; this version reads up to 1\. Nothing was changed\. Install the version"
    )
    assert re.search(words, told.err), told.err
    assert not (tmp_path / "file").exists()
    assert files(keeper.folder.root) == before
