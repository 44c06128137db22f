"""The books as a journal for hledger or beancount, which add them up on their own (M07).

Both are made from the same rows, in the ledger's order, as of both clocks. Amounts are the posted
minor units written as decimals; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aggregates.chart_of_accounts import Account
from aggregates.errors import DomainError
from exporters.journal_names import beancount_account, commodity, hledger_account
from projections.ledger_bulk import BulkEntry, BulkPosting, LedgerBulk
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf, Books

_HLEDGER_TYPES = {
    "asset": "A", "liability": "L", "equity": "E", "income": "R", "expense": "X", "memo": "E",
}  # fmt: skip


def hledger_journal(ledger: LedgerQueries, *, as_of: AsOf) -> str:
    """Securities are units with their total cost, so that `hledger bal -B` gives book values and
    `hledger bal` quantities. See ``hledger_lines`` to stream it."""
    return "".join(hledger_lines(ledger, as_of))


def beancount_journal(ledger: LedgerQueries, *, as_of: AsOf) -> str:
    """Book values in the one currency; quantities are the ``units`` metadata of postings."""
    return "".join(beancount_lines(ledger, as_of))


class _Names:
    """The account names of one journal, each made once."""

    def __init__(self, bulk: LedgerBulk, as_of: AsOf, name: Callable[[str, Account], str]) -> None:
        self._accounts = bulk.accounts(as_of)
        self._name = name
        self._made: dict[str, str] = {}

    def account(self, code: str) -> Account:
        found = self._accounts.get(code.partition(".")[0])
        if found is None:
            raise DomainError(
                f"Account {code} has postings but is in no chart of accounts. Nothing was written. "
                "Rebuild the ledger and export again."
            )
        return found

    def __getitem__(self, code: str) -> str:
        made = self._made.get(code)
        if made is None:
            made = self._made[code] = self._name(code, self.account(code))
        return made


# hledger


def hledger_lines(ledger: LedgerQueries, as_of: AsOf) -> Iterator[str]:
    """The journal in pieces of whole lines; memory stays flat however many entries there are."""
    bulk, books = LedgerBulk(ledger), ledger.books()
    names = _Names(bulk, as_of, hledger_account)
    uses = bulk.first_uses(as_of)
    suffixes = sorted({code.partition(".")[2] for code, _ in uses} - {""})
    securities = {s: f'"{commodity(s, books.currency)}"' for s in suffixes}
    yield f"; {_heading(books, as_of)}\n"
    yield "decimal-mark .\n"
    yield f"commodity 1000.{'0' * books.exponent} {books.currency}\n"
    for security in securities.values():
        yield f"commodity 1000.000000000 {security}\n"
    for code, _ in uses:
        yield f"account {names[code]}  ; type:{_HLEDGER_TYPES[names.account(code).type]}\n"
    money, currency = _money_text(books.exponent), books.currency

    def posting(p: BulkPosting) -> str:
        code, amount, quantity = p
        name = names[code]
        if not quantity:
            return f"    {name}  {money(amount)} {currency}\n"
        units = f"{_quantity_text(quantity)} {securities[code.partition('.')[2]]}"
        if amount and (amount < 0) != (quantity < 0):  # a total cost has the sign of its units
            return (
                f"    {name}  {units} @@ {money(0)} {currency}\n"
                f"    {name}  {money(amount)} {currency}\n"
            )
        return f"    {name}  {units} @@ {money(abs(amount))} {currency}\n"

    for entry in bulk.entries(as_of):
        yield f"\n{entry.effective_date} {_plain(entry.description)}\n{_hledger_tags(entry)}"
        yield "".join(map(posting, entry.postings))


def _hledger_tags(entry: BulkEntry) -> str:
    """One comment of tags; a value ends at a comma, so it holds none."""
    tags = [f"position:{entry.position}", f"about:{entry.about}"]
    tags += [f"{name}:{_plain(value)}" for name, value in _texts(entry) if value]
    return f"    ; {', '.join(tags)}\n"


def _plain(text: str) -> str:
    """One line without what begins a comment, divides a payee or ends a tag."""
    return " ".join(text.translate(_BREAKING).split())


_BREAKING = str.maketrans({";": " ", "|": " ", ",": " ", "\x00": " "})


# beancount


def beancount_lines(ledger: LedgerQueries, as_of: AsOf) -> Iterator[str]:
    """The journal in pieces of whole lines; memory stays flat however many entries there are."""
    bulk, books = LedgerBulk(ledger), ledger.books()
    names = _Names(bulk, as_of, beancount_account)
    yield f"; {_heading(books, as_of)}\n"
    yield f'option "title" {_quoted(f"{books.identity} ledger")}\n'
    yield f'option "operating_currency" "{books.currency}"\n'
    # Half a cent would pass otherwise. Beancount 3; version 2 calls it inferred_….
    yield 'option "tolerance_multiplier" "0"\n'
    for code, first_use in bulk.first_uses(as_of):
        yield f"{first_use} open {names[code]} {books.currency}\n"
        yield f"  name: {_quoted(names.account(code).name)}\n  code: {_quoted(code)}\n"
    money, currency = _money_text(books.exponent), books.currency
    for entry in bulk.entries(as_of):
        yield f"\n{entry.effective_date} * {_quoted(entry.description)}\n"
        yield f"  position: {entry.position}\n  about: {entry.about}\n"
        yield "".join(f"  {name}: {_quoted(value)}\n" for name, value in _texts(entry) if value)
        for code, amount, quantity in entry.postings:
            yield f"  {names[code]}  {money(amount)} {currency}\n"
            if quantity:
                yield f"    units: {_quantity_text(quantity)}\n"


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'


# Both


def _texts(entry: BulkEntry) -> tuple[tuple[str, str], ...]:
    """Tags beside position and about. The order is known by the broker's id of the execution."""
    return (
        ("strategy", entry.strategy),
        ("context", entry.context),
        ("reference", entry.reference),
        ("ticker", entry.ticker),
    )


def _heading(books: Books, as_of: AsOf) -> str:
    until = f"dates up to {as_of.date}" if as_of.date else "all dates"
    known = f"as known at event {as_of.position}" if as_of.position else "as known at the end"
    return _plain(f"{books.identity} in {books.currency}: {until}, {known}")


def _money_text(exponent: int) -> Callable[[int], str]:
    """Minor units as decimal text; integer arithmetic, a million times over."""
    if not exponent:
        return str
    scale = 10**exponent

    def text(minor: int) -> str:
        whole, part = divmod(abs(minor), scale)
        return f"{'-' if minor < 0 else ''}{whole}.{part:0{exponent}d}"

    return text


_nano = _money_text(9)


def _quantity_text(units: int) -> str:
    """1e-9 units as decimal text without needless zeros."""
    text = _nano(units)
    return text.rstrip("0").rstrip(".") if "." in text else text
