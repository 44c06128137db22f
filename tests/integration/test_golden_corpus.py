"""Every form in which an event was ever stored is kept in tests/golden/events, and stays readable.

The corpus is one history: a payload file for each event, the envelopes, and what the views make of
it. It grows by chapters and never changes; the README beside it says how.
"""

import importlib.util
import json
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aggregates.base import TOPICS
from aggregates.session import PhaseStarted
from config.clock import to_micros
from eventstore.application import Store
from eventstore.codec import decode, encode
from eventstore.envelope import COLUMN_LIST, COLUMNS, Envelope
from eventstore.errors import UnknownEvent
from eventstore.feed import Feed
from eventstore.verification import verify
from projections.ledger import Ledger
from projections.ledger_queries import LedgerQueries
from projections.orders import Orders
from projections.performance import Performance
from projections.performance_queries import PerformanceQueries
from runtime.dispatch import Dispatcher
from security.data_keys import KeyRing

EVENTS = Path(__file__).resolve().parents[1] / "golden" / "events"
KEY = bytes(range(32))
# The last position and hash of every chapter, here too, so that no file alone can change them.
HEADS = {
    1: (92, "74d07d520af42c3283a2e825ed4a5d311000d3ece41e42d47a9b2f90ba08662d"),
    2: (131, "c46bf5d2873a01457c69a05771d3dabee562ac1611be337344e572943565c844"),
    3: (159, "0ccfac4f235accba3707a1e5f1a375b55acdeb0305a7a5ed675bb9f2d81204bc"),
    4: (187, "928c792c2c723371dad44842551d89a5ff9a89e56fbf278eea3569e21fe8a8b5"),
    5: (190, "6766fc49b548c4e28d7ebc4df27da715d76c1d5f58f125f0f56296df970a1d87"),
    6: (209, "d337bd179c64ae5df94515fb4681113f4b105901bd71f09966103841453ff566"),
}
BYTES = ("commitment", "command_digest", "hash")
Compare = Callable[[str, str | bytes], None]


def beside(name: str) -> Any:
    """A helper of this folder, which is no package, by its path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


history = beside("golden_history")


# The files


def form_name(row: Any) -> str:
    """Order.Filled/v1/0042-bought-a-part.json"""
    command = row.command_id.partition(":")[2]
    return f"{row.topic}/v{row.schema_version}/{row.position:04d}-{command}.json"


def envelope_line(row: Envelope) -> dict[str, Any]:
    """All of a row but its payload, which is a file of its own."""
    fields = {name: getattr(row, name) for name in COLUMNS if name != "state"}
    return fields | {name: fields[name].hex() for name in BYTES}


def kept_lines(name: str, folder: Path = EVENTS) -> list[dict[str, Any]]:
    path = folder / name
    return list(map(json.loads, path.read_text().splitlines())) if path.is_file() else []


def kept_rows() -> list[Envelope]:
    """The history as its files hold it."""
    rows = []
    for line in kept_lines("history.jsonl"):
        fields = line | {name: bytes.fromhex(line[name]) for name in BYTES}
        row = Envelope(state=b"", **fields)
        rows.append(row._replace(state=(EVENTS / form_name(row)).read_bytes()))
    return rows


def chapter_of(row: Envelope) -> int:
    return int(row.command_id.partition(":")[0])


def frozen(compare: Compare, name: str, content: bytes, folder: Path = EVENTS) -> None:
    """Like ``golden``, but --update-golden never changes a file that is there."""
    path = folder / name
    if path.is_file() and path.read_bytes() != content:
        pytest.fail(
            f"tests/golden/events/{name} is kept as it was stored and is never changed, also not "
            f"by --update-golden. This run gave:\n{content.decode(errors='backslashreplace')}\n"
            "A form that changes needs a new schema_version and an upcaster: see the README there.",
            pytrace=False,
        )
    compare(f"events/{name}", content)


def frozen_lines(
    compare: Compare, name: str, found: list[dict[str, Any]], folder: Path = EVENTS
) -> None:
    """The kept lines stay the first ones; --update-golden adds lines at the end, and only there.

    Of a kept line all that it says must still be so; a view may say more by now.
    """
    kept = kept_lines(name, folder)
    for number, was in enumerate(kept, start=1):
        now = found[number - 1] if number <= len(found) else {}
        assert {key: now.get(key) for key in was} == was, f"line {number} of {name} has changed"
    lines = kept + found[len(kept) :]
    compare(f"events/{name}", "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines))


# The stores


def stored(path: Path, rows: Iterable[Envelope], clock: Callable[[], int]) -> Store:
    """A store that holds exactly these rows, open for writing."""
    store = Store(path, keys=KeyRing.plain(KEY), now_us=clock, software_version=history.SOFTWARE)
    given = list(rows)
    if given:
        with closing(sqlite3.connect(path)) as c, c:
            marks = ", ".join("?" * len(COLUMNS))
            c.executemany(f"INSERT INTO stored_events ({COLUMN_LIST}) VALUES ({marks})", given)
            end = (given[-1].position, given[-1].hash)
            c.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", end)
    return store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Envelope]:
    """The history as commands make it now: earlier chapters from their files, then the newest."""
    path = tmp_path_factory.mktemp("made") / "events.db"
    ticks = iter(range(1_000_000))

    def clock() -> int:
        return to_micros(history.OPENED + timedelta(seconds=next(ticks)))

    earlier = [row for row in kept_rows() if chapter_of(row) < history.CHAPTER]
    with closing(stored(path, earlier, clock)) as store:
        history.write(Dispatcher(store, "golden keeper"))
    with closing(Feed(path)) as feed:
        return list(feed.all())


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    """A store made of nothing but the files."""
    path = tmp_path_factory.mktemp("kept") / "events.db"
    stored(path, kept_rows(), lambda: 0).close()
    with closing(Feed(path)) as feed:
        yield feed


# What is stored


def test_the_same_commands_still_store_the_same_bytes(
    made: list[Envelope], golden: Compare
) -> None:
    for row in made:
        frozen(golden, form_name(row), row.state)
    frozen_lines(golden, "history.jsonl", [envelope_line(row) for row in made])


def test_the_files_are_a_whole_history_with_the_pinned_heads(kept: Feed) -> None:
    result = verify(kept.path, KeyRing.plain(KEY))
    assert (result.bad_position, result.reason) == (None, "")
    ends = {chapter_of(row): (row.position, row.hash.hex()) for row in kept.all()}
    assert ends == HEADS


# What is read


def faults_of(rows: Iterable[Envelope]) -> list[str]:
    """What is wrong with the corpus: forms that are missing, unreadable, or written otherwise."""
    faults, forms = [], set()
    for row in rows:
        name = form_name(row)
        forms.add((row.topic, row.schema_version))
        try:
            event = decode(row.topic, row.schema_version, row.state, name)
        except UnknownEvent as e:
            faults.append(str(e))
            continue
        if row.schema_version == event.schema_version and encode(event) != row.state:
            faults.append(f"{name} would be stored as {encode(event).decode()}")
    needed = {(t, v) for t, cls in TOPICS.items() for v in range(1, cls.schema_version + 1)}
    return faults + [f"{t} has no file of version {v}" for t, v in sorted(needed - forms)]


def test_every_form_of_every_event_is_there_and_can_be_read(kept: Feed) -> None:
    assert faults_of(kept.all()) == []


def test_no_file_is_left_that_belongs_to_no_event(kept: Feed) -> None:
    files = {str(path.relative_to(EVENTS)) for path in EVENTS.rglob("*.json")}
    assert files == set(map(form_name, kept.all()))


def ledger_rows(books: LedgerQueries) -> list[dict[str, Any]]:
    """The journal without the running numbers of its rows, in the order of the events."""
    rows = []
    for entry in books.journal():
        row = msgspec.json.decode(msgspec.json.encode(entry))
        del row["transaction_id"]
        for posting in row["postings"]:
            del posting["account"]  # the name is that of the newest chart
        rows.append(row)
    return sorted(rows, key=lambda r: (r["position"], r["about"], r["effective_date"], str(r)))


def performance_rows(trading: PerformanceQueries) -> list[dict[str, Any]]:
    views = {
        "trade": trading.trades(), "decision": trading.decisions(), "phase": trading.phases(),
        "equity": trading.equity(),
    }  # fmt: skip
    rows = [
        {"view": view} | msgspec.json.decode(msgspec.json.encode(found))
        for view, all_found in views.items()
        for found in all_found
    ]
    return sorted(rows, key=lambda r: r["position"])


def test_the_ledger_posts_the_same_rows(kept: Feed, golden: Compare) -> None:
    with closing(Ledger.in_memory()) as ledger:
        ledger.catch_up(kept)
        frozen_lines(golden, "ledger.jsonl", ledger_rows(LedgerQueries(ledger.connection)))


def test_orders_and_trading_days_are_the_same(kept: Feed, golden: Compare) -> None:
    with closing(Orders.in_memory()) as orders, closing(Performance.in_memory()) as trading:
        orders.catch_up(kept)
        trading.catch_up(kept)
        found = msgspec.json.decode(msgspec.json.encode(orders.orders()))
        frozen_lines(golden, "orders.jsonl", found)
        rows = performance_rows(PerformanceQueries(trading.connection, 2))
        frozen_lines(golden, "performance.jsonl", rows)


# That the corpus would notice


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`another("venue", str)` gives PhaseStarted a field that was never stored."""

    def give(*field: Any) -> None:
        more = msgspec.defstruct(
            "More", [field], bases=(PhaseStarted,), frozen=True, kw_only=True, module=__name__
        )
        monkeypatch.setitem(TOPICS, PhaseStarted.topic, more)

    return give


def test_a_topic_without_a_file_is_named(kept: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOPICS, "Test.Noted", PhaseStarted)
    assert faults_of(kept.all()) == ["Test.Noted has no file of version 1"]


def test_a_version_without_a_file_is_named(kept: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PhaseStarted, "schema_version", 2)
    assert "Session.PhaseStarted has no file of version 2" in faults_of(kept.all())


def test_a_field_that_old_payloads_lack_is_noticed(
    kept: Feed, another: Callable[..., None]
) -> None:
    another("venue", str)
    faults = faults_of(kept.all())
    assert faults
    assert all("Session.PhaseStarted" in f and "venue" in f for f in faults)


def test_a_field_that_would_be_written_without_a_new_version_is_noticed(
    kept: Feed, another: Callable[..., None]
) -> None:
    another("venue", str, "")
    faults = faults_of(kept.all())
    assert faults
    assert all("would be stored as" in f and '"venue":""' in f for f in faults)


def test_a_kept_file_is_changed_by_no_option(tmp_path: Path) -> None:
    (tmp_path / "form.json").write_bytes(b"{}")
    written: list[str] = []

    def updating(name: str, _content: str | bytes) -> None:
        written.append(name)

    with pytest.raises(pytest.fail.Exception, match="never changed"):
        frozen(updating, "form.json", b'{"a":1}', tmp_path)
    frozen(updating, "new.json", b"{}", tmp_path)
    assert written == ["events/new.json"]


@pytest.mark.parametrize(
    "found", [[], [{"a": 2}], [{"b": 1}, {"a": 1}]], ids=["gone", "changed", "pushed back"]
)
def test_a_kept_line_is_changed_by_no_option(tmp_path: Path, found: list[dict[str, int]]) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(AssertionError, match=r"line 1 of rows.jsonl has changed"):
        frozen_lines(lambda *_: None, "rows.jsonl", found, tmp_path)


def test_new_lines_come_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    written: list[Any] = []
    found = [{"a": 1, "more": 2}, {"a": 3}]
    frozen_lines(lambda _, content: written.append(content), "rows.jsonl", found, tmp_path)
    assert written == ['{"a": 1}\n{"a": 3}\n']
