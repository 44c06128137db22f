"""The double-entry ledger: events in, transactions and postings out (M02, M03)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec

from aggregates.base import TOPICS, Event
from aggregates.books import BooksOpened, EntryReversed, PeriodClosed, RulesAdopted
from aggregates.capital import (
    CapitalDeposited,
    CapitalEarmarked,
    CapitalWithdrawn,
    DividendReceived,
    FeeCharged,
    InterestReceived,
    MarginInterestCharged,
)
from aggregates.chart_of_accounts import Chart, ChartAdopted
from aggregates.errors import DomainError
from aggregates.instrument import InstrumentRegistered, InstrumentRenamed, InstrumentSplit
from aggregates.money import exponent
from aggregates.order_messages import OrderFilled
from eventstore.envelope import Envelope
from projections.base import Projection
from projections.cost_pools import Movement
from projections.ledger_cost import CostBook
from projections.ledger_rows import LedgerRows, utc_text
from projections.posting_rules import (
    RULES_VERSION,
    SECURITY_ROLES,
    Line,
    capital_lines,
    check_currency,
    fill_amounts,
    fill_roles,
    gain_lines,
    residue_role,
)

# What a person calls each movement of capital; also the tag of its postings.
CAPITAL_WORDS: dict[type[Event], str] = {
    CapitalDeposited: "Deposit",
    CapitalWithdrawn: "Withdrawal",
    DividendReceived: "Dividend",
    InterestReceived: "Interest",
    FeeCharged: "Fee",
    MarginInterestCharged: "Margin interest",
    CapitalEarmarked: "Earmark",
}
HERE = Path(__file__).parent
SCHEMA = (HERE / "tbot_ledger_schema.sql").read_text(encoding="utf-8")


def template_chart() -> Chart:
    """The default chart of accounts, from its file."""
    return msgspec.json.decode((HERE / "tbot_ledger_coa_template.json").read_bytes(), type=Chart)


class Listed(NamedTuple):
    """An instrument as the ledger knows it; ``suffix`` follows the point in 1110.SYM."""

    instrument_id: str
    symbol: str
    name: str
    kind: str
    multiplier: int
    suffix: str


class Ledger(Projection):
    """Folds events into the books of one entity. See tbot_ledger_schema.sql for the tables."""

    name: ClassVar[str] = "ledger"
    schema: ClassVar[str] = SCHEMA
    application_id: ClassVar[int] = 0x54424C47  # "TBLG"

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._currency, self._exponent = "", 2
        self._mapping: dict[str, str] = {}
        self._instruments: dict[str, Listed] = {}
        self.rows = LedgerRows(connection)
        self.costs = CostBook(connection, self.rows)
        self._handlers: dict[type[Event], Callable[[Envelope, Any], None]] = {
            BooksOpened: self._opened,
            RulesAdopted: self._rules_adopted,
            PeriodClosed: self._period_closed,
            EntryReversed: self._reversed,
            ChartAdopted: self._chart_adopted,
            InstrumentRegistered: self._registered,
            InstrumentRenamed: self._renamed,
            InstrumentSplit: self._split,
            OrderFilled: self._filled,
            **dict.fromkeys(CAPITAL_WORDS, self._capital),
        }
        self.passed_over = frozenset(TOPICS).difference(kind.topic for kind in self._handlers)

    def fold(self, row: Envelope, event: Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(row, event)

    def flush(self) -> None:
        self.rows.flush()

    def forget(self) -> None:
        """Read what the fold needs to know from the tables again."""
        self.rows.forget()
        self.costs.forget()
        c = self.connection
        books = c.execute("SELECT currency_code, exponent, broker_code FROM books").fetchone()
        self._currency, self._exponent, self.rows.broker = books or ("", 2, "")
        newest = c.execute("SELECT coa_json FROM coa_metadata ORDER BY coa_version DESC").fetchone()
        self._use_chart(msgspec.json.decode(newest[0], type=Chart) if newest else None)
        rules = c.execute("SELECT rules_version FROM rules ORDER BY position DESC").fetchone()
        self.rows.rules_version = rules[0] if rules else 0
        self._instruments = {}
        listed = c.execute(
            "SELECT instrument_id, symbol, name, kind, multiplier, account_suffix FROM instruments"
            " ORDER BY position"
        )
        for found in listed:
            self._instruments[found[0]] = Listed(*found)

    def _use_chart(self, chart: Chart | None) -> None:
        self._mapping = chart.mapping if chart else {}
        self.rows.coa_version = chart.version if chart else 0
        self.rows.active = {a.code for a in chart.accounts if a.active} if chart else set()
        self.costs.mapping = self._mapping

    # -- the books themselves --------------------------------------------------------------

    def _opened(self, row: Envelope, e: BooksOpened) -> None:
        self._currency, self._exponent = e.currency, exponent(e.currency)
        self.rows.broker, self.costs.method = e.broker_code, e.cost_method
        self.connection.execute(
            "INSERT INTO books VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (e.identity, e.entity_code, e.jurisdiction_code, e.currency, self._exponent,
             e.broker_code, e.timezone, e.cost_method, int(e.demo), row.position),
        )  # fmt: skip

    def _rules_adopted(self, row: Envelope, e: RulesAdopted) -> None:
        if e.rules_version > RULES_VERSION:
            raise DomainError(
                f"posting rules {e.rules_version} are newer than this version knows "
                f"({RULES_VERSION}); install a newer TradeBot."
            )
        self.rows.rules_version = e.rules_version
        self.connection.execute("INSERT INTO rules VALUES (?, ?)", (e.rules_version, row.position))

    def _period_closed(self, row: Envelope, e: PeriodClosed) -> None:
        through = e.through.isoformat()
        self.rows.closed_through = through
        self.connection.execute("INSERT INTO period_closes VALUES (?, ?)", (through, row.position))

    def _chart_adopted(self, row: Envelope, e: ChartAdopted) -> None:
        created = self.connection.execute("SELECT MIN(created_at_utc) FROM coa_metadata").fetchone()
        now = utc_text(e.occurred_at)
        self.connection.execute(
            "INSERT INTO coa_metadata SELECT currency_code, entity_code, jurisdiction_code,"
            " ?, ?, ?, ?, ? FROM books",
            (e.chart.version, created[0] or now, now, row.position,
             msgspec.json.encode(e.chart).decode()),
        )  # fmt: skip
        self.connection.executemany(
            "INSERT INTO coa_accounts VALUES (?, ?, ?, ?, ?, ?)",
            [
                (e.chart.version, a.code, a.name, a.type, int(a.per_instrument), int(a.active))
                for a in e.chart.accounts
            ],
        )
        self._use_chart(e.chart)

    # -- instruments -----------------------------------------------------------------------

    def _registered(self, row: Envelope, e: InstrumentRegistered) -> None:
        taken = {listed.suffix for listed in self._instruments.values()}
        suffix, again = e.symbol, 2
        while suffix in taken:  # a symbol used again by another company keeps its own account
            suffix, again = f"{e.symbol}~{again}", again + 1
        listed = Listed(e.instrument_id, e.symbol, e.name, e.kind, e.multiplier, suffix)
        self._list(row, listed)

    def _renamed(self, row: Envelope, e: InstrumentRenamed) -> None:
        self._list(row, self._instrument(e.instrument_id)._replace(symbol=e.symbol))

    def _list(self, row: Envelope, listed: Listed) -> None:
        self._instruments[listed.instrument_id] = listed
        self.connection.execute(
            "INSERT INTO instruments VALUES (?, ?, ?, ?, ?, ?, ?)", (row.position, *listed)
        )

    def _instrument(self, instrument_id: str) -> Listed:
        listed = self._instruments.get(instrument_id)
        if listed is None:
            raise DomainError(f"{instrument_id} was never registered.")
        return listed

    def _split(self, row: Envelope, e: InstrumentSplit) -> None:
        """Quantities only, cost unchanged, in every sleeve that holds the security."""
        suffix = self._instrument(e.instrument_id).suffix
        effective = e.effective_date.isoformat()
        # also where nothing is held yet: a purchase before the split may still come late
        possible = {f"{self._mapping[role]}.{suffix}" for role in SECURITY_ROLES}
        for account in sorted(possible.union(self.costs.accounts_of(suffix))):
            movement = Movement(effective, row.position, "split", 0, 0, e.new_units, e.old_units)
            outcome = self.costs.move(row, e.occurred_at, account, movement)
            if outcome.units:
                self.rows.transaction(
                    row, effective, e.occurred_at,
                    f"Split {e.new_units} for {e.old_units} of {e.symbol}",
                    [Line(account, 0, outcome.units)], ticker=e.symbol,
                )  # fmt: skip

    # -- entries ---------------------------------------------------------------------------

    def _filled(self, row: Envelope, e: OrderFilled) -> None:
        check_currency(e.currency, self._currency)
        listed = self._instrument(e.instrument_id)
        mapping = self._mapping
        amounts = fill_amounts(e, listed.multiplier, self._exponent)
        roles = fill_roles(e.sleeve, e.side, e.context, listed.kind)
        account = f"{mapping[roles.security]}.{listed.suffix}"
        effective = e.effective_date.isoformat()
        movement = Movement(effective, row.position, e.side, amounts.units, amounts.gross)
        outcome = self.costs.move(row, e.occurred_at, account, movement)
        lines = [
            Line(account, outcome.cost, outcome.units),
            Line(mapping[roles.cash], amounts.cash),
        ]
        lines += gain_lines(mapping, outcome.gain_short, outcome.gain_long)
        if amounts.commission:
            lines.append(Line(mapping["commissions"], amounts.commission))
        if amounts.fees:
            lines.append(Line(mapping["fees"], amounts.fees))
        if amounts.residue:
            lines.append(Line(mapping[residue_role(amounts.residue)], amounts.residue))
        lines = [line for line in lines if line.amount or line.quantity]
        sold = e.side == "sell"
        price = format(e.price, "f")
        gain = outcome.gain_short + outcome.gain_long
        self.rows.transaction(
            row,
            effective,
            e.occurred_at,
            f"{'Sold' if sold else 'Bought'} {e.quantity:f} {e.symbol} at {price}",
            lines,
            strategy=e.strategy,
            ticker=e.symbol,
            side=e.side,
            size=format(e.quantity, "f"),
            entry_price=None if sold else price,
            exit_price=price if sold else None,
            pnl=gain - amounts.commission - amounts.fees if sold else None,
            sleeve=e.sleeve,
            context=e.context,
            reference=e.execution_id,
            settles_on=e.settles_on.isoformat(),
        )

    def _capital(self, row: Envelope, e: Any) -> None:
        check_currency(e.currency, self._currency)
        words = CAPITAL_WORDS[type(e)]
        self.rows.transaction(
            row,
            e.effective_date.isoformat(),
            e.occurred_at,
            f"{words}: {e.reason}",
            capital_lines(e, self._mapping, self._exponent),
            ticker=getattr(e, "symbol", ""),
            context=words.lower(),
            reference=e.reference,
        )

    def _reversed(self, row: Envelope, e: EntryReversed) -> None:
        """The entry's rows with sides exchanged, at its own date; later sales are re-costed."""
        self.rows.flush()
        about = e.reversed_position
        # the first row about an event is its own, unless it moved nothing until a late purchase
        original = self.connection.execute(
            "SELECT effective_date, description, strategy_name, ticker, side, size, sleeve,"
            " reference, (SELECT SUM(pnl) FROM transactions WHERE about = ?1) FROM transactions"
            " WHERE about = ?1 ORDER BY transaction_id",
            (about,),
        ).fetchone()
        if original is not None:
            self._post_reversal(row, e, *original)
        elif not self.costs.moved(about):
            raise DomainError(f"event {about} has no entry that could be reversed.")
        self.costs.void(row, e.occurred_at, about)

    def _post_reversal(
        self, row: Envelope, e: EntryReversed, effective: str, description: str, strategy: str,
        ticker: str, side: str, size: str, sleeve: str, reference: str, pnl: int | None,
    ) -> None:  # fmt: skip
        net = self.connection.execute(
            "SELECT account_code, -SUM(amount), -SUM(quantity) FROM postings JOIN transactions t"
            " USING (transaction_id) WHERE t.about = ? GROUP BY account_code"
            " HAVING SUM(amount) <> 0 OR SUM(quantity) <> 0",
            (e.reversed_position,),
        ).fetchall()
        self.rows.transaction(
            row,
            effective,
            e.occurred_at,
            f"Reversal of event {e.reversed_position} ({description}): {e.reason}",
            [Line(*line) for line in net],
            about=e.reversed_position,
            strategy=strategy,
            ticker=ticker,
            side=side,
            size=size,
            pnl=None if pnl is None else -pnl,
            sleeve=sleeve,
            context="correction",
            reference=reference,
        )
