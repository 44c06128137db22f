"""The double-entry ledger: events in, transactions and postings out (M02, M03)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

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
    ReserveReleased,
    RoundingSettled,
    TaxWithheld,
)
from aggregates.chart_of_accounts import SECURITY_ROLES, Chart, ChartAdopted, ChartChanged
from aggregates.errors import DomainError
from aggregates.instrument import InstrumentRegistered, InstrumentRenamed, InstrumentSplit
from aggregates.money import exponent
from aggregates.order_messages import OrderFilled
from eventstore.envelope import Envelope
from projections.base import Projection, Reader
from projections.cost_pools import Movement, Outcome
from projections.fill_facts import FillFacts, FillTerms, fill_facts, utc_text
from projections.fill_way import FillWay
from projections.ledger_cost import CostBook
from projections.ledger_rows import LARGEST, LINES, Cause, LedgerRows
from projections.posting_rules import (
    RESULT_ROLES,
    RULES,
    RULES_VERSION,
    Line,
    check_currency,
    gross_amount,
)

# What a person calls each movement of capital; also the tag of its postings.
CAPITAL_WORDS: dict[type[Event], str] = {
    CapitalDeposited: "Deposit",
    CapitalWithdrawn: "Withdrawal",
    DividendReceived: "Dividend",
    TaxWithheld: "Tax withheld",
    InterestReceived: "Interest",
    FeeCharged: "Fee",
    MarginInterestCharged: "Margin interest",
    RoundingSettled: "Rounding",
    CapitalEarmarked: "Earmark",
    ReserveReleased: "Reserve released",
}
_GAINS = ("gain_short_term", "gain_long_term")
# Amounts above this are checked one by one: some sum of them might not fit into 64 bits.
CHECKED_ABOVE = 2**60
_LOW, _HIGH = -CHECKED_ABOVE, CHECKED_ABOVE
HERE = Path(__file__).parent
SCHEMA = (HERE / "tbot_ledger_schema.sql").read_text(encoding="utf-8")


def account_rows(chart: Chart) -> list[tuple[Any, ...]]:
    """The rows of ``coa_accounts`` for one version of the chart."""
    return [
        (chart.version, a.code, a.name, a.type, int(a.per_instrument), int(a.active), a.under)
        for a in chart.accounts
    ]


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
    readers: ClassVar[Mapping[str, Reader]] = {OrderFilled.topic: fill_facts}

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._currency, self._exponent = "", 2
        self._mapping: dict[str, str] = {}
        self._instruments: dict[str, Listed] = {}
        self._ways: dict[tuple[str, ...], FillWay] = {}
        self._rules = RULES[RULES_VERSION]
        self.rows = LedgerRows(connection)
        self.costs = CostBook(connection, self.rows, self.make_indexes)

    def fold(self, row: Envelope, event: Event) -> None:
        handler = self.handlers.get(type(event))
        if handler is not None:
            handler(self, row, event)

    def flush(self) -> None:
        self.rows.flush()

    def forget(self) -> None:
        """Read what the fold needs to know from the tables again."""
        c = self.connection
        self.rows.result_codes.clear()
        self._use_chart(None)
        charts = c.execute("SELECT coa_json FROM coa_metadata ORDER BY coa_version").fetchall()
        for (text,) in charts:  # what old entries posted to still counts
            self._use_chart(msgspec.json.decode(text, type=Chart))
        self.rows.forget()
        self.costs.forget()
        books = c.execute("SELECT currency_code, exponent, broker_code FROM books").fetchone()
        self._currency, self._exponent, self.rows.broker = books or ("", 2, "")
        rules = c.execute("SELECT rules_version FROM rules ORDER BY position DESC").fetchone()
        self._use_rules(rules[0] if rules else 0)
        self._instruments = {}
        listed = c.execute(
            "SELECT instrument_id, symbol, name, kind, multiplier, account_suffix FROM instruments"
            " ORDER BY position"
        )
        for found in listed:
            self._instruments[found[0]] = Listed(*found)

    def _use_rules(self, version: int) -> None:
        self._ways.clear()
        self.rows.rules_version = version
        self._rules = RULES.get(version, self._rules)

    def _use_chart(self, chart: Chart | None) -> None:
        self._ways.clear()
        self._mapping = chart.mapping if chart else {}
        self.rows.coa_version = chart.version if chart else 0
        self.rows.active = {a.code for a in chart.accounts if a.active} if chart else set()
        self.costs.mapping = self._mapping
        self.rows.result_codes.update(self._mapping[role] for role in RESULT_ROLES if chart)

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
        if e.rules_version not in RULES:
            raise DomainError(
                f"posting rules {e.rules_version} are not among those that this version knows "
                f"(up to {RULES_VERSION}); install TradeBot {row.software_version} or a newer one."
            )
        self._use_rules(e.rules_version)
        self.connection.execute("INSERT INTO rules VALUES (?, ?)", (e.rules_version, row.position))

    def _period_closed(self, row: Envelope, e: PeriodClosed) -> None:
        through = e.through.isoformat()
        self.rows.closed_through = through
        self.connection.execute("INSERT INTO period_closes VALUES (?, ?)", (through, row.position))

    def _chart(self, row: Envelope, e: ChartAdopted | ChartChanged) -> None:
        """A version of the chart, whole. What was posted before stays as it was posted."""
        created = self.connection.execute("SELECT MIN(created_at_utc) FROM coa_metadata").fetchone()
        now = utc_text(e.occurred_at)
        self.connection.execute(
            "INSERT INTO coa_metadata SELECT currency_code, entity_code, jurisdiction_code,"
            " ?, ?, ?, ?, ?, ? FROM books",
            (e.chart.version, created[0] or now, now, e.effective_date.isoformat(), row.position,
             msgspec.json.encode(e.chart).decode()),
        )  # fmt: skip
        self.connection.executemany(
            "INSERT INTO coa_accounts VALUES (?, ?, ?, ?, ?, ?, ?)",
            account_rows(e.chart),
        )
        self._use_chart(e.chart)

    # -- instruments -----------------------------------------------------------------------

    def _registered(self, row: Envelope, e: InstrumentRegistered) -> None:
        taken = {listed.suffix for listed in self._instruments.values()}
        suffix, again = e.symbol, 2
        while suffix in taken:  # a symbol used again by another company keeps its own account
            suffix, again = f"{e.symbol}~{again}", again + 1
        listed = Listed(e.instrument_id, e.symbol, e.name, e.kind, e.multiplier, suffix)
        self._list(row, e, listed)

    def _renamed(self, row: Envelope, e: InstrumentRenamed) -> None:
        self._list(row, e, self._instrument(e.instrument_id)._replace(symbol=e.symbol))

    def _list(self, row: Envelope, event: Event, listed: Listed) -> None:
        self._ways.clear()
        self._instruments[listed.instrument_id] = listed
        self.connection.execute(
            "INSERT INTO instruments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row.position, event.effective_date.isoformat(), *listed),
        )

    def _instrument(self, instrument_id: str) -> Listed:
        listed = self._instruments.get(instrument_id)
        if listed is None:
            raise DomainError(f"{instrument_id} was never registered.")
        return listed

    def _split(self, row: Envelope, e: InstrumentSplit) -> None:
        """Quantities only, cost unchanged, in every sleeve that holds the security."""
        suffix = self._instrument(e.instrument_id).suffix
        effective, cause = e.effective_date.isoformat(), cause_of(row, e)
        # also where nothing is held yet: a purchase before the split may still come late
        possible = {f"{self._mapping[role]}.{suffix}" for role in SECURITY_ROLES}
        for account in sorted(possible.union(self.costs.accounts_of(suffix))):
            movement = Movement(effective, row.position, "split", 0, 0, e.new_units, e.old_units)
            outcome = self.costs.split(cause, account, movement)
            if outcome.units:
                self.rows.transaction(
                    cause, effective,
                    f"Split {e.new_units} for {e.old_units} of {e.symbol}",
                    [Line(account, 0, outcome.units)], ticker=e.symbol, follows=True,
                )  # fmt: skip

    # -- entries ---------------------------------------------------------------------------

    def fold_facts(self, topic: str, facts: tuple[Any, ...]) -> None:
        """Post one fill (FillFacts). Most of a rebuild is spent here: values stay plain tuples."""
        (
            position, terms, effective, timestamp, settles_on, units, price, commission, fees,
            stated, size, price_text, reference,
        ) = facts  # fmt: skip
        way = self._ways.get(terms) or self._way(topic, FillTerms._make(terms))
        rows, traded_on, posted_on = self.rows, None, effective
        if effective <= rows.closed_through:
            traded_on, posted_on = effective, rows.posting_date(effective)
        gross = gross_amount(units, price, way.factor)
        short = long = 0
        if way.sold:
            short, long = self._sell(facts, way, topic, gross, posted_on)
            units, cash = -units, gross - commission - fees
        else:
            self._buy(facts, way, topic, gross)
            cash = -gross - commission - fees
        residue = beyond = 0
        if stated is not None:  # where the broker states an amount, that is booked
            residue, beyond = self._residue(cash - stated)
            cash = stated
        number = rows.place(position, posted_on)
        rows.fills += (
            number, position, position, posted_on, timestamp, way.terms_id, size, price_text,
            reference, settles_on, traded_on, units, gross, short, long, commission, fees, cash,
            residue,
        )  # fmt: skip
        # the lines of the view postings
        first, point = short + long - gross if way.sold else gross, rows.point
        result = short + long - commission - fees - residue * way.rounding_counts
        way.add_up(point, first, units, result, cash, short, long, commission, fees, residue)
        if beyond or way.checked or not (
            _LOW < first < _HIGH and _LOW < cash < _HIGH and gross < _HIGH
            and _LOW < commission < _HIGH and _LOW < fees < _HIGH
        ):  # fmt: skip
            lines = (first, cash, -short, -long, commission, fees, residue)
            self._unusual(way, number, units, lines, beyond)

    def _residue(self, residue: int) -> tuple[int, int]:
        """What the broker's amount differs by: as rounding, and beyond."""
        if not residue or self._rules.residue_role(residue) == "rounding":
            return residue, 0
        return 0, residue

    def _unusual(
        self, way: FillWay, number: int, units: int, amounts: tuple[int, ...], beyond: int
    ) -> None:
        """Check a fill as any other entry is; post what is ``beyond`` the broker's rounding."""
        rows, quantities = self.rows, (units, 0, 0, 0, 0, 0, 0)
        every = zip(way.codes, amounts, quantities, strict=True)
        lines = [Line(*line) for n, line in enumerate(every) if n == 0 or line[1]]
        if beyond:
            code = self._mapping[self._rules.residue_role(beyond)]
            rows.line(number * LINES + len(lines), Line(code, beyond))
            lines.append(Line(code, beyond))
            way.security.result -= beyond * (code in rows.result_codes)
        if way.checked or max(map(abs, amounts)) > CHECKED_ABOVE:
            rows.check(lines)
        _, _, short, long, commission, fees, _ = amounts
        # the view works it out, and SQLite makes a rounded number of what is too large
        if abs(short + long + commission + fees) > LARGEST:
            raise DomainError("a realized gain is more than can be kept.")

    def _way(self, topic: str, terms: FillTerms) -> FillWay:
        """The accounts of a fill under the chart and the rules in force, looked up once."""
        check_currency(terms.currency, self._currency)
        listed, mapping, rows = self._instrument(terms.instrument_id), self._mapping, self.rows
        roles = self._rules.fill_roles(terms.sleeve, terms.side, terms.context, listed.kind)
        codes = (
            f"{mapping[roles.security]}.{listed.suffix}", mapping[roles.cash],
            *(mapping[role] for role in (*_GAINS, "commissions", "fees", "rounding")),
        )  # fmt: skip
        used = {code.partition(".")[0] for code in codes}
        way = FillWay(
            rows.terms(
                topic, terms.strategy, terms.symbol, terms.side, terms.sleeve, terms.context, codes
            ),
            terms.side == "sell",
            listed.multiplier * 10**self._exponent,
            codes,
            codes[2] == codes[3],
            codes[-1] in rows.result_codes,
            not rows.rules_version or not used <= rows.active,
            *map(rows.total, codes),
        )
        self._ways[terms] = way
        return way

    def _buy(self, facts: tuple[Any, ...], way: FillWay, topic: str, gross: int) -> None:
        """Fold a purchase into its pool."""
        position, effective, units = facts[0], facts[2], facts[5]
        pool = self.costs.pool(way.codes[0])
        if (effective, position) < pool.last:
            self._late(facts, way, topic, gross)
        else:
            pool.buy(effective, position, units, gross)

    def _sell(
        self, facts: tuple[Any, ...], way: FillWay, topic: str, gross: int, posted_on: str
    ) -> tuple[int, int]:
        """Fold a sale into its pool; short and long-term gain."""
        position, effective, units = facts[0], facts[2], facts[5]
        pool = self.costs.pool(way.codes[0])
        if (effective, position) < pool.last:
            outcome = self._late(facts, way, topic, gross)
            short, long = outcome.gain_short, outcome.gain_long
        else:
            _, short, long, relieved = pool.sell(effective, position, units, gross)
            lots = self.rows.lots
            for lot, _, lot_units, lot_cost in relieved:
                lots += (position, position, lot, posted_on, lot_units, lot_cost)
        return (short + long, 0) if way.one_gain else (short, long)

    def _late(self, facts: tuple[Any, ...], way: FillWay, topic: str, gross: int) -> Outcome:
        """Fold a fill before others of its pool: what it changes for later sales is re-costed."""
        position, effective, units = facts[0], facts[2], facts[5]
        kind: Literal["buy", "sell"] = "sell" if way.sold else "buy"
        movement = Movement(effective, position, kind, units, gross)
        cause = Cause(position, topic, FillFacts._make(facts).timestamp)
        return self.costs.insert_late(cause, way.codes[0], movement)

    def _capital(self, row: Envelope, e: Any) -> None:
        check_currency(e.currency, self._currency)
        words = CAPITAL_WORDS[type(e)]
        self.rows.transaction(
            cause_of(row, e),
            e.effective_date.isoformat(),
            f"{words}: {e.reason}",
            self._rules.capital_lines(e, self._mapping, self._exponent),
            ticker=getattr(e, "symbol", ""),
            context=getattr(e, "context", "") or words.lower(),
            reference=e.reference,
        )

    def _reversed(self, row: Envelope, e: EntryReversed) -> None:
        """The entry's rows with sides exchanged, at its own date; later sales are re-costed."""
        self.make_indexes()
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
        self.costs.void(cause_of(row, e), about)

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
            cause_of(row, e),
            effective,
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

    # Every event that the ledger folds as an event; with the readers', these are all its topics.
    handlers: ClassVar[Mapping[type[Event], Callable[[Ledger, Envelope, Any], None]]] = {
        BooksOpened: _opened,
        RulesAdopted: _rules_adopted,
        PeriodClosed: _period_closed,
        EntryReversed: _reversed,
        ChartAdopted: _chart,
        ChartChanged: _chart,
        InstrumentRegistered: _registered,
        InstrumentRenamed: _renamed,
        InstrumentSplit: _split,
        **dict.fromkeys(CAPITAL_WORDS, _capital),
    }
    passed_over: ClassVar[frozenset[str]] = frozenset(TOPICS).difference(
        readers, (kind.topic for kind in handlers)
    )


def cause_of(row: Envelope, event: Event) -> Cause:
    """What the rows of one event are stamped with."""
    return Cause(row.position, row.topic, utc_text(event.occurred_at))
