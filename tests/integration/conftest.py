"""A keeper of one set of books: a store, commands in words, and a ledger beside it. And a bot in
its session, on a broker that can be told what to do."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from beside import beside

from aggregates.base import Command
from aggregates.books import AdoptRules, ClosePeriod, OpenBooks, ReverseEntry
from aggregates.capital import RecordDeposit, RecordFee
from aggregates.chart_of_accounts import AdoptChart
from aggregates.instrument import RecordSplit, RegisterInstrument, RenameInstrument
from aggregates.order_messages import IntendOrder, RecordFill
from config import failpoints
from config.clock import to_micros
from config.paths import DataFolder
from eventstore.application import Store
from eventstore.feed import Feed
from projections.ledger import Ledger, template_chart
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import NOW, AsOf
from runtime.dispatch import Dispatcher
from security.data_keys import DataKey, KeyRing
from security.keyfile import read_or_create_key

IDENTITY = "DEMO_USA_SIM_01"
KEY = bytes(range(32))
AMOUNTS = ("commission", "fees", "net_amount")
START = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)


class FakeVault:
    """Where rings are read from: the keys of what was committed, which follow from the epoch."""

    def __init__(self, keys: dict[int, DataKey]) -> None:
        self.keys = keys

    def fresh(self, name: str = "") -> tuple[int, DataKey]:
        """The next epoch and its keys."""
        epoch = max(self.keys, default=0) + 1
        seed = f"{name}{epoch}".encode()
        return epoch, DataKey(hashlib.sha512(seed).digest(), hashlib.sha256(seed).digest())

    def ring(self) -> KeyRing:
        return KeyRing(self.keys, lambda: self.keys)


class Keeper:
    """Days are text, 2024-01-02. Each method returns the position of its last event.

    With keys of an epoch in its vault, payloads are sealed from the first event on.
    """

    def __init__(
        self,
        root: Path,
        *,
        cost_method: Any = "average",
        currency: str = "USD",
        vault: FakeVault | None = None,
    ) -> None:
        self.vault = vault or FakeVault({})
        self.folder = DataFolder(root)
        self.currency = currency
        self.clock = START
        self.number = 0
        self.store = Store(
            self.folder.events,
            keys=vault.ring()
            if vault
            else KeyRing.plain(read_or_create_key(self.folder.blind_key, KEY)),
            now_us=lambda: to_micros(self.clock),
            software_version="test",
        )
        self.dispatch = Dispatcher(self.store, "tester")
        self.feed = Feed(self.folder.events, self.store.keys)
        self._ledger: Ledger | None = None
        epoch = self.store.keys.current
        self.under = (epoch, self.store.keys.of(epoch)) if epoch else None
        opening = (
            self.command(
                OpenBooks, identity=IDENTITY, entity_code="DEMO", jurisdiction_code="USA",
                broker_code="SIM", bot_id="01", currency=currency, timezone="US/Eastern",
                exchange_calendar="XNYS", cost_method=cost_method, demo=True,
            ),
            self.command(AdoptRules, rules_version=1),
            self.command(AdoptChart, chart=template_chart(), reason="default chart"),
        )  # fmt: skip
        for batch in [opening] if epoch else zip(opening):  # what a vault guards begins an epoch
            self.send(*batch)

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
        self.feed.close()
        self.store.close()

    @property
    def path(self) -> Path:
        return self.folder.events

    # -- commands --------------------------------------------------------------------------

    def command(self, kind: type, /, day: str = "2024-01-02", **fields: Any) -> Command:
        on = date.fromisoformat(day)
        at = datetime.combine(on, time(15, 0), tzinfo=UTC)
        made: Command = kind(at=at, effective_date=on, **fields)
        return made

    def send(self, *commands: Command, command_id: str = "") -> int:
        self.number += 1
        under, self.under = self.under, None
        command_id = command_id or f"c{self.number}"
        return self.dispatch(*commands, command_id=command_id, under=under).positions[-1]

    def do(self, kind: type, /, day: str = "2024-01-02", **fields: Any) -> int:
        return self.send(self.command(kind, day, **fields))

    def capital(self, kind: type, /, amount: str, day: str = "2024-01-02", **fields: Any) -> int:
        own = {
            "reference": f"r{self.number + 1}", "currency": self.currency, "reason": "as stated",
            "amount": Decimal(amount),
        }  # fmt: skip
        return self.do(kind, day, **(own | fields))

    def deposit(self, amount: str, day: str = "2024-01-02") -> int:
        return self.capital(RecordDeposit, amount, day)

    def register(self, symbol: str = "SPY", **fields: Any) -> int:
        own = {
            "symbol": symbol, "name": symbol, "kind": "stock", "currency": self.currency,
            "exchange": "XNYS",
        }  # fmt: skip
        return self.do(RegisterInstrument, **(own | fields))

    def fill(
        self,
        side: str,
        quantity: str,
        price: str,
        day: str = "2024-01-02",
        *,
        symbol: str = "SPY",
        instrument: str = "",
        sleeve: str = "trading",
        context: str = "trading",
        **fields: Any,
    ) -> int:
        """One order and its one fill, in one batch; the position is the fill's."""
        return self.send(
            *self.fill_commands(
                side, quantity, price, day, symbol=symbol, instrument=instrument, sleeve=sleeve,
                context=context, **fields,
            )
        )  # fmt: skip

    def fill_commands(
        self, side: str, quantity: str, price: str, day: str, *, symbol: str = "SPY",
        instrument: str = "", sleeve: str = "trading", context: str = "trading", **fields: Any,
    ) -> tuple[Command, Command]:  # fmt: skip
        self.number += 1
        order_id = f"o{self.number}"
        intent = self.command(
            IntendOrder, day, order_id=order_id, bot_identity=IDENTITY,
            instrument_id=instrument or f"XNYS:{symbol}", symbol=symbol, sleeve=sleeve, side=side,
            order_type="market", quantity=Decimal(quantity), strategy="OPEN", context=context,
            reason="test", held=Decimal(quantity),
        )  # fmt: skip
        own: dict[str, Any] = {
            "execution_id": f"e{self.number}", "quantity": Decimal(quantity),
            "price": Decimal(price), "currency": self.currency, "commission": Decimal(0),
            "fees": Decimal(0), "net_amount": None, "settles_on": date.fromisoformat(day),
        }  # fmt: skip
        for name, value in fields.items():  # amounts may be given as text
            own[name] = Decimal(value) if name in AMOUNTS and value else value
        return intent, self.command(RecordFill, day, order_id=order_id, **own)

    def buy(self, quantity: str, price: str, day: str = "2024-01-02", **fields: Any) -> int:
        return self.fill("buy", quantity, price, day, **fields)

    def sell(self, quantity: str, price: str, day: str = "2024-01-02", **fields: Any) -> int:
        return self.fill("sell", quantity, price, day, **fields)

    def split(self, new: int, old: int, day: str, symbol: str = "SPY") -> int:
        fields = {"instrument_id": f"XNYS:{symbol}", "new_units": new, "old_units": old}
        return self.do(RecordSplit, day, **fields)

    def rename(self, old: str, new: str, day: str = "2024-01-02") -> int:
        return self.do(RenameInstrument, day, instrument_id=f"XNYS:{old}", symbol=new)

    def close_period(self, through: str, day: str = "2024-12-31") -> int:
        return self.do(ClosePeriod, day, through=date.fromisoformat(through), reason="month end")

    def reversal(self, position: int, day: str = "2024-12-31") -> Command:
        """Checked against the movements that the ledger knows."""
        moved = tuple(self.books.unit_movements(position))
        return self.command(
            ReverseEntry, day, reversed_position=position, reason="wrong", movements=moved
        )

    def reverse(self, position: int, day: str = "2024-12-31") -> int:
        return self.send(self.reversal(position, day))

    def rotate(self) -> int:
        """A fee, the first event under the next epoch, whose keys are in force then."""
        self.under = epoch, key = self.vault.fresh()
        position = self.capital(RecordFee, "1.00")
        self.vault.keys[epoch] = key
        return position

    def trade(self, *, rotating: bool) -> None:
        """A deposit, a purchase, a sale and a late purchase; events 4 to 13."""
        self.register("SPY")
        self.deposit("100000.00")
        fee = self.rotate if rotating else partial(self.capital, RecordFee, "1.00")
        fee()
        self.buy("10", "100.00")
        fee()
        self.sell("4", "101.00", "2024-01-03")
        self.buy("2", "99.00", "2024-01-02")  # the sale is re-costed

    # -- the ledger ------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """The live ledger file, up to date."""
        if self._ledger is None:
            self._ledger = Ledger.open(self.folder.ledger(IDENTITY))
        self._ledger.catch_up(self.feed)
        return self._ledger

    @property
    def books(self) -> LedgerQueries:
        return LedgerQueries(self.ledger.connection)

    def lines(self, position: int, about: int | None = None) -> list[tuple[str, ...]]:
        """Postings that the event at ``position`` caused: (code, amount[, units]), as text.

        Its own entry; with ``about`` the rows that it caused about another event.
        """
        found = []
        for entry in self.books.journal():
            if (entry.position, entry.about) == (position, position if about is None else about):
                for p in entry.postings:
                    units = () if p.quantity is None else (f"{p.quantity:f}",)
                    found.append((p.code, f"{p.amount:f}", *units))
        return found

    def balances(self, day: str | None = None, known_at: int | None = None) -> dict[str, str]:
        """Account → balance, with units as "10.00 / 5"."""
        as_of = AsOf(date=date.fromisoformat(day) if day else None, position=known_at)
        return {
            b.code: f"{b.amount:f}" + ("" if b.quantity is None else f" / {b.quantity:f}")
            for b in self.books.balances(NOW if as_of == NOW else as_of)
        }


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[..., Keeper]]:
    """`keep()` opens books in a folder of their own; `keep(name, cost_method="fifo")` others."""
    kept: list[Keeper] = []

    def make(name: str = "data", **options: Any) -> Keeper:
        kept.append(Keeper(tmp_path / name, **options))
        return kept[-1]

    yield make
    for keeper in kept:
        keeper.close()


@pytest.fixture
def keeper(keep: Callable[..., Keeper]) -> Keeper:
    """Books in dollars at average cost, with SPY registered and 100,000 deposited: 5 events."""
    found = keep()
    found.register("SPY")
    found.deposit("100000.00")
    return found


@pytest.fixture
def sealed(keep: Callable[..., Keeper]) -> Keeper:
    """Books sealed from the first event on: five events in epoch 1, three in 2, five in 3."""
    vault = FakeVault({})
    vault.keys.update([vault.fresh()])
    found = keep("sealed", vault=vault)
    found.trade(rotating=True)
    return found


@pytest.fixture
def older(keep: Callable[..., Keeper]) -> Keeper:
    """The same of a bot from before there was a vault: its first five events are in clear."""
    found = keep("older", vault=FakeVault({0: DataKey(b"", KEY)}))
    found.trade(rotating=True)
    return found


class Ended(BaseException):
    """The process ends here."""


@contextmanager
def _ended_at(step: str, nth: int = 1) -> Iterator[None]:
    left = nth

    def reached(name: str) -> None:
        nonlocal left
        left -= name == step
        if name == step and not left:
            raise Ended

    failpoints.arm(reached)
    try:
        with pytest.raises(Ended):
            yield
    finally:
        failpoints.arm(None)


@pytest.fixture
def ended_at() -> Callable[..., AbstractContextManager[None]]:
    """`with ended_at("holdings.whole", nth=2):` the block ends at that step as a process does that
    is killed there; it must come so far."""
    return _ended_at


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`make_rig()` gives a bot whose session has begun; see safety_rig.py for the options."""
    made: list[Any] = []

    def make(**options: Any) -> Any:
        made.append(beside("integration/safety_rig").Rig(tmp_path / "bot", **options))
        made[-1].open_session()
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(make_rig: Callable[..., Any]) -> Any:
    return make_rig()
