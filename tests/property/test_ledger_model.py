"""The ledger against a model that knows nothing of it.

Random histories — late entries, reversals, splits, closed periods, two sleeves, two symbols — are
folded by the ledger event by event, and computed from scratch by some plain lines below, for any
effective date and any position: the balances, the lots and the gains must be the same.
"""

import hashlib
import shutil
import tempfile
from collections import defaultdict
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from aggregates.base import Event
from aggregates.books import BooksOpened, EntryReversed, PeriodClosed, RulesAdopted
from aggregates.capital import CapitalDeposited
from aggregates.chart_of_accounts import ChartAdopted
from aggregates.instrument import InstrumentRegistered, InstrumentSplit
from aggregates.order_messages import OrderFilled
from eventstore.codec import encode
from eventstore.envelope import GENESIS, Envelope
from eventstore.head import Head
from projections import base, ledger_rows
from projections.ledger import Ledger, template_chart
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
# Around the ends of holding periods, leap days among them, and some days in a row.
DAYS = [
    date.fromisoformat(day)
    for day in (
        "2023-02-28 2023-03-01 2023-06-15 2024-02-28 2024-02-29 2024-03-01 2024-03-04 2024-03-05"
        " 2024-03-06 2025-02-28 2025-03-01 2025-03-03"
    ).split()
]
POOLS = {
    ("trading", "AAA"): "1110.AAA", ("trading", "BBB"): "1110.BBB",
    ("holdings", "AAA"): "1130.AAA", ("holdings", "BBB"): "1130.BBB",
}  # fmt: skip
UNIT = 10**9


# The model: plain arithmetic over the list of what happened


class Happened(NamedTuple):
    """``kind``: deposit, buy, sell or split; amounts are exact cents, units 1e-9."""

    day: date
    position: int
    kind: str
    pool: str = ""
    units: int = 0
    gross: int = 0
    costs: tuple[int, int, int] = (0, 0, 0)  # commission, fees, what the broker's amount leaves
    ratio: Fraction = Fraction(1)


class Short(Exception):
    """A sale of more than there is."""


class History:
    def __init__(self, method: str) -> None:
        self.method = method
        self.happened: list[Happened] = []
        self.reversals: dict[int, int] = {}  # reversed position → position of the reversal
        self.closes: list[tuple[int, date]] = []

    def known(self, day: date, position: int) -> list[Happened]:
        """What counts on ``day`` as known at ``position``, in the order that costs follow.

        Once a period that holds the day is closed, nothing recorded later counts in it.
        """
        for closed_at, through in self.closes:
            if closed_at <= position and through >= day:
                position = closed_at
                break
        return sorted(
            h
            for h in self.happened
            if h.day <= day
            and h.position <= position
            and self.reversals.get(h.position, position + 1) > position
        )

    def books(
        self, day: date = date.max, position: int = 10**9
    ) -> tuple[dict[str, tuple[int, int]], dict[str, list[list[Any]]]]:
        """(cents, units) by account, and the open lots [position, day, units, cost] by pool."""
        cents: dict[str, int] = defaultdict(int)
        units: dict[str, int] = defaultdict(int)
        lots: dict[str, list[list[Any]]] = defaultdict(list)
        for h in self.known(day, position):
            if h.kind == "deposit":
                cents["1010"] += h.gross
                cents["3010"] -= h.gross
                continue
            if h.kind == "split":
                self._split(h, units, lots)
                continue
            commission, fees, rest = h.costs
            if h.kind == "buy":
                lots[h.pool].append([h.position, h.day, h.units, h.gross])
                units[h.pool] += h.units
                cents[h.pool] += h.gross
            else:
                self._sell(h, cents, units, lots)
            cents["1010"] += (-h.gross if h.kind == "buy" else h.gross) - commission - fees - rest
            cents["5010"] += commission
            cents["5020"] += fees
            cents["5070" if abs(rest) <= 2 else "1990"] += rest
        found = {c: (cents[c], units[c]) for c in {*cents, *units} if cents[c] or units[c]}
        return found, {pool: left for pool, left in lots.items() if left}

    def _sell(self, h: Happened, cents: Any, units: Any, lots: Any) -> None:
        held, cost = units[h.pool], cents[h.pool]
        if h.units > held:
            raise Short
        taken, left = [], h.units
        for lot in lots[h.pool]:
            part = min(left, lot[2])
            if part:
                worth = round(Fraction(lot[3] * part, lot[2]))
                taken.append((lot[1], part, worth))
                lot[2], lot[3], left = lot[2] - part, lot[3] - worth, left - part
        lots[h.pool] = [lot for lot in lots[h.pool] if lot[2]]
        old = [t for t in taken if more_than_a_year(t[0], h.day)]
        old_units = sum(t[1] for t in old)
        old_proceeds = round(Fraction(h.gross * old_units, h.units))
        if self.method == "fifo":
            relieved, old_cost = sum(t[2] for t in taken), sum(t[2] for t in old)
        else:
            relieved = round(Fraction(cost * h.units, held))
            old_cost = round(Fraction(relieved * old_units, h.units))
        units[h.pool] -= h.units
        cents[h.pool] -= relieved
        cents["4020"] -= old_proceeds - old_cost
        cents["4010"] -= (h.gross - relieved) - (old_proceeds - old_cost)

    @staticmethod
    def _split(h: Happened, units: Any, lots: Any) -> None:
        for pool in POOLS.values():
            if pool.endswith(h.pool):
                units[pool] = round(units[pool] * h.ratio)
                before = after = 0
                for lot in lots[pool]:
                    before += lot[2]
                    lot[2] = round(before * h.ratio) - after
                    after += lot[2]

    def allows(self, happened: Happened | None = None, without: int = 0) -> bool:
        """Whether no sale would be short on any day, with one more or one less."""
        if happened is not None:
            self.happened.append(happened)
        if without:
            self.reversals[without] = 0
        try:
            self.books()
        except Short:
            return False
        finally:
            if happened is not None:
                self.happened.remove(happened)
            self.reversals.pop(without, None)
        return True


def more_than_a_year(bought: date, sold: date) -> bool:
    begins = bought + timedelta(days=1)
    return (sold.year, sold.month, sold.day) >= (begins.year + 1, begins.month, begins.day)


# The other side: events as the store would hold them


class Memory:
    """A feed without a file."""

    def __init__(self) -> None:
        self.rows: list[Envelope] = []

    def add(self, event: Event) -> int:
        position = len(self.rows) + 1
        previous = self.rows[-1].hash if self.rows else GENESIS
        state = encode(event)
        self.rows.append(
            Envelope(
                position, f"s{position}", 1, event.topic, 1, state, b"", 0, f"c{position}", 0, b"",
                "", "", "", "", 0, hashlib.sha256(previous + state).digest(),
            )
        )  # fmt: skip
        return position

    def head(self) -> Head:
        return Head(len(self.rows), self.rows[-1].hash if self.rows else GENESIS, 0)

    def payload(self, row: Envelope) -> bytes:
        return row.state

    def at(self, position: int) -> Envelope | None:
        return self.rows[position - 1] if 0 < position <= len(self.rows) else None

    def read(
        self, after: int, limit: int, until: int, without: frozenset[str] = frozenset()
    ) -> list[Envelope]:
        rows = (row for row in self.rows[after:until] if row.topic not in without)
        return list(islice(rows, limit))


FILLS = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["buy", "sell"]),
        "pool": st.sampled_from([*sorted(POOLS), ("trading", "AAA"), ("trading", "AAA")]),
        "day": st.sampled_from([*DAYS, *DAYS[-1:] * 3]),
        "milli": st.integers(1, 60_000),  # units in 1e-3, of a purchase
        "part": st.sampled_from([1, 2, 3, 7]),  # of what is held, of a sale
        "micro": st.integers(1, 300_000_000),  # price in 1e-6
        "tenths": st.integers(0, 900),  # commission in 1e-4
        "rest": st.sampled_from([None, 0, 0, 1, -2, 3, -150]),  # the broker's amount, in cents off
        "again": st.sampled_from([False, False, True]),  # the ledger is opened again after it
    }
)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-model"))
        self.feed: Any = Memory()
        self.batch, self.points = base.BATCH, ledger_rows.POINT_EVERY
        ledger_rows.POINT_EVERY = 2  # so that these short histories have many balance points
        self.ledger = Ledger.open(self.folder / "live.db")

    @initialize(
        method=st.sampled_from(["average", "fifo"]),
        fills=st.lists(FILLS, min_size=2, max_size=8),
    )
    def open_books(self, method: Any, fills: list[dict[str, Any]]) -> None:
        self.model = History(method)
        when: dict[str, Any] = {"occurred_at": NOON, "effective_date": DAYS[0]}
        self.feed.add(
            BooksOpened(
                **when, identity="DEMO_USA_SIM_01", entity_code="DEMO", jurisdiction_code="USA",
                broker_code="SIM", bot_id="01", currency="USD", timezone="US/Eastern",
                exchange_calendar="XNYS", cost_method=method, demo=True,
            )
        )  # fmt: skip
        self.feed.add(RulesAdopted(**when, rules_version=1))
        self.feed.add(ChartAdopted(**when, chart=template_chart(), reason=""))
        for symbol in ("AAA", "BBB"):
            self.feed.add(
                InstrumentRegistered(
                    **when, instrument_id=f"XNYS:{symbol}", symbol=symbol, name=symbol,
                    kind="stock", currency="USD", exchange="XNYS", multiplier=1,
                    tick=Decimal("0.01"),
                )
            )  # fmt: skip
        self.trade(sorted(fills, key=lambda f: f["day"]))

    def happen(self, day: date, kind: str, **more: Any) -> Happened:
        return Happened(day, len(self.feed.rows) + 1, kind, **more)

    def record(self, happened: Happened, event: Event) -> None:
        self.model.happened.append(happened)
        assert self.feed.add(event) == happened.position

    # -- what happens ----------------------------------------------------------------------

    def deposit(self, day: date, cents: int) -> None:
        self.record(
            self.happen(day, "deposit", gross=cents),
            CapitalDeposited(
                occurred_at=NOON, effective_date=day, reference=f"r{len(self.feed.rows)}",
                currency="USD", amount=Decimal(cents).scaleb(-2), reason="",
            ),
        )  # fmt: skip

    @rule(fills=st.lists(FILLS, min_size=1, max_size=6))
    def trade(self, fills: list[dict[str, Any]]) -> None:
        """Purchases; sales of a part of what is held that day, or of all of it. Many come late."""
        for fill in fills:
            more = dict(fill)
            part, milli, again = more.pop("part"), more.pop("milli"), more.pop("again")
            if more["side"] == "buy":
                self.fill(units=milli * UNIT // 1000, **more)
            else:
                books, _ = self.model.books(more["day"])
                held = [(pool, books[code][1]) for pool, code in POOLS.items() if code in books]
                if held:
                    more["pool"], units = held[milli % len(held)]
                    self.fill(units=max(units // part, 1), **more)
            if again:
                self.catch_up(batch=2, until=None, again=True)

    def fill(
        self, side: Any, pool: Any, day: date, units: int, micro: int, tenths: int, rest: Any
    ) -> None:
        price, quantity = Decimal(micro).scaleb(-6), Decimal(units).scaleb(-9)
        commission, fees = Decimal(tenths).scaleb(-4), Decimal(tenths * 7).scaleb(-6)
        gross = round(Fraction(units, UNIT) * Fraction(micro, 10**6) * 100)
        costs = (round(Fraction(tenths, 100)), round(Fraction(tenths * 7, 10**4)), rest or 0)
        happened = self.happen(day, side, pool=POOLS[pool], units=units, gross=gross, costs=costs)
        if not self.model.allows(happened):
            return
        cash = (-gross if side == "buy" else gross) - sum(costs)
        event = OrderFilled(
            occurred_at=NOON, effective_date=day, order_id=f"o{happened.position}",
            execution_id=f"e{happened.position}", instrument_id=f"XNYS:{pool[1]}",
            symbol=pool[1], sleeve=pool[0], side=side, quantity=quantity, price=price,
            currency="USD", commission=commission, fees=fees,
            net_amount=None if rest is None else Decimal(cash).scaleb(-2), settles_on=day,
            strategy="OPEN", context="trading", cumulative_quantity=quantity,
        )  # fmt: skip
        self.record(happened, event)

    @rule(
        symbol=st.sampled_from(["AAA", "BBB"]),
        day=st.sampled_from(DAYS),
        ratio=st.sampled_from([(2, 1), (3, 2), (1, 3), (7, 5), (1, 10)]),
    )
    def split(self, symbol: str, day: date, ratio: tuple[int, int]) -> None:
        happened = self.happen(day, "split", pool=symbol, ratio=Fraction(*ratio))
        if self.model.allows(happened):
            event = InstrumentSplit(
                occurred_at=NOON, effective_date=day, instrument_id=f"XNYS:{symbol}",
                symbol=symbol, new_units=ratio[0], old_units=ratio[1],
            )  # fmt: skip
            self.record(happened, event)

    @rule(places=st.lists(st.integers(0, 200), min_size=1, max_size=3))
    def reverse(self, places: list[int]) -> None:
        """Any entries that stand, unless a sale would be short without them."""
        for place in places:
            stand = [h for h in self.model.happened if h.position not in self.model.reversals]
            if stand and self.model.allows(without=stand[place % len(stand)].position):
                position = stand[place % len(stand)].position
                event = EntryReversed(
                    occurred_at=NOON,
                    effective_date=DAYS[-1],
                    reversed_position=position,
                    reason="wrong",
                )
                self.model.reversals[position] = self.feed.add(event)

    @rule(through=st.sampled_from(DAYS[:-1]), cents=st.integers(1, 10**8))
    def close_period(self, through: date, cents: int) -> None:
        """A deposit, a close, and a deposit that comes after it."""
        self.deposit(through, cents)
        if not self.model.closes or through > self.model.closes[-1][1]:
            event = PeriodClosed(
                occurred_at=NOON, effective_date=DAYS[-1], through=through, reason="month end"
            )
            self.model.closes.append((self.feed.add(event), through))
            self.deposit(through, cents)

    # -- how it is folded ------------------------------------------------------------------

    @rule(
        batch=st.sampled_from([1, 2, 3, 2000]),
        until=st.none() | st.integers(1, 60),
        again=st.booleans(),
    )
    def catch_up(self, batch: int, until: int | None, again: bool) -> None:
        """Up to anywhere, in batches of any size; then the ledger may be closed and opened."""
        base.BATCH = batch
        self.ledger.catch_up(self.feed, until)
        if again:
            self.ledger.close()
            self.ledger = Ledger.open(self.folder / "live.db")

    # -- what must hold --------------------------------------------------------------------

    @rule(day=st.sampled_from([*DAYS, None]), position=st.none() | st.integers(1, 60))
    def check(self, day: date | None, position: int | None) -> None:
        """The books of any day as known at any position."""
        self.ledger.catch_up(self.feed)
        books = LedgerQueries(self.ledger.connection)
        as_of = AsOf(date=day, position=position)
        balances, lots = self.model.books(day or date.max, position or 10**9)
        found = {
            b.code: (int(b.amount * 100), int((b.quantity or 0) * UNIT))
            for b in books.balances(as_of)
        }
        assert found == balances
        assert sum(cents for cents, _ in found.values()) == 0
        trial = books.trial_balance(as_of)
        assert trial.debits == trial.credits
        for code, (cents, units) in found.items():
            assert "." not in code or units or not cents, "cost without units"
        open_lots: dict[str, list[list[Any]]] = defaultdict(list)
        for lot in books.lots(as_of):
            open_lots[lot.code].append(
                [lot.lot, lot.acquired_on, int(lot.quantity * UNIT), int(lot.cost * 100)]
            )
        by_age = {pool: sorted(left, key=lambda x: (x[1], x[0])) for pool, left in lots.items()}
        assert open_lots == by_age
        for pool, left in by_age.items():
            assert sum(lot[2] for lot in left) == found[pool][1]

    @rule(
        day=st.sampled_from([*DAYS, None]),
        position=st.none() | st.integers(1, 60),
        offset=st.integers(0, 20),
        limit=st.integers(1, 9),
    )
    def check_pages(self, day: date | None, position: int | None, offset: int, limit: int) -> None:
        """Any page of the journal and of a register is a slice of all rows, sorted plainly."""
        self.ledger.catch_up(self.feed)
        books, as_of = LedgerQueries(self.ledger.connection), AsOf(date=day, position=position)
        rows = sorted(
            row
            for row in self.ledger.connection.execute(
                "SELECT effective_date, posting_id, transaction_id, account_code, amount, position"
                " FROM postings"
            )
            if row[0] <= str(day or "9999") and row[5] <= (position or 10**9)
        )
        # not from the postings: the reversal of a split whose pool was emptied since has none
        made = self.ledger.connection.execute(
            "SELECT effective_date, transaction_id, position FROM entries"
        )
        entries = [
            transaction
            for dated, transaction, recorded in sorted(made)
            if dated <= str(day or "9999") and recorded <= (position or 10**9)
        ]
        assert books.count_entries(as_of) == len(entries)
        pages: dict[bool, list[int]] = {
            newest: [
                e.transaction_id
                for e in books.journal(as_of, newest_first=newest, offset=offset, limit=limit)
            ]
            for newest in (False, True)
        }
        assert pages[False] == entries[offset : offset + limit]
        assert pages[True] == entries[::-1][offset : offset + limit]
        for account in ("1010", *POOLS.values()):
            running, lines = 0, []
            for row in rows:
                if row[3] == account:
                    running += row[4]
                    lines.append((row[2], Decimal(row[4]) / 100, Decimal(running) / 100))
            page = books.register(account, as_of, offset=offset, limit=limit)
            assert [(r.transaction_id, r.amount, r.balance) for r in page] == lines[
                offset : offset + limit
            ]

    def check_each_sale(self) -> None:
        """Gain = proceeds less relieved cost, and cost at book = bought less relieved."""
        c = self.ledger.connection
        for pool in POOLS.values():
            standing = c.execute(
                "SELECT position, units, amount FROM movements m WHERE account_code = ?1 AND NOT"
                " EXISTS (SELECT 1 FROM voids WHERE about = m.position AND account_code = ?1)",
                (pool,),
            ).fetchall()
            bought = relieved = 0
            for position, units, amount in standing:
                posted: dict[str, int] = defaultdict(int)
                for code, cents in c.execute(
                    "SELECT account_code, amount FROM postings WHERE about = ?", (position,)
                ):
                    posted[code] += cents
                if units > 0:
                    assert posted[pool] == amount
                    bought += amount
                else:
                    assert -(posted["4010"] + posted["4020"]) == amount + posted[pool]
                    relieved -= posted[pool]
            (cost,) = c.execute(
                "SELECT COALESCE(SUM(amount), 0) FROM postings WHERE account_code = ?", (pool,)
            ).fetchone()
            assert cost == bought - relieved

    def teardown(self) -> None:
        try:
            if self.feed.rows:
                self.check_all()
        finally:
            base.BATCH, ledger_rows.POINT_EVERY = self.batch, self.points
            self.ledger.close()
            shutil.rmtree(self.folder)

    def check_all(self) -> None:
        head = len(self.feed.rows)
        for day in (*DAYS, None):
            self.check(day, None)
            self.check(day, head * 2 // 3 + 1)
        for position in range(6, head, 4):
            self.check(None, position)
        self.check_each_sale()
        rebuilt = [self.rebuild("one.db", self.batch), self.rebuild("two.db", 3)]
        assert {digest for digest, _ in rebuilt} == {self.ledger.digest()}
        assert self.rebuild("three.db", self.batch) == rebuilt[0]  # byte by byte

    def rebuild(self, name: str, batch: int) -> tuple[str, bytes]:
        base.BATCH = batch
        path = self.folder / name
        with closing(Ledger.open(path)) as ledger:
            ledger.connection.execute("PRAGMA synchronous = OFF")
            ledger.catch_up(self.feed)
            digest = ledger.digest()
            ledger.connection.execute("PRAGMA journal_mode = delete")
        return digest, path.read_bytes()


TestLedgerModel = LedgerMachine.TestCase
TestLedgerModel.settings = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
