"""hledger and beancount add the exported journals up to our balances, on both clocks."""

import itertools
import tempfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from beancount import loader
from beancount.core import account as beancount_names
from beancount.core import data
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregates.chart_edits import (
    CreateAccount,
    DeactivateAccount,
    MapRole,
    MoveAccount,
    RenameAccount,
)
from aggregates.chart_of_accounts import STREAM, Account, ChartOfAccounts
from aggregates.errors import DomainError
from exporters import journal_names as names
from exporters.journals import beancount_journal, hledger_journal
from exporters.ofx import export_ofx
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import NOW, AsOf

Sums = dict[str, tuple[Decimal, Decimal]]  # amount and units by account code
DATES = [None, *(date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9))]
KNOWN = ["deposit", "thursday", "friday", "monday", "late", "reversal", "tuesday", "after_close"]


def ours(ledger: LedgerQueries, as_of: AsOf) -> Sums:
    return {b.code: (b.amount, b.quantity or Decimal(0)) for b in ledger.balances(as_of)}


def by_hledger(run: Callable[..., list[list[str]]], journal: str, *more: str) -> Sums:
    cost = run(journal, "bal", "-B", "--flat", "-N", "--layout=bare", *more)
    held = run(journal, "bal", "--flat", "-N", "--layout=bare", *more)
    units = {
        names.code_of_hledger(name): Decimal(number)
        for name, commodity, number in held
        if commodity != "USD"
    }
    found = {names.code_of_hledger(name): Decimal(number) for name, _, number in cost}
    return {code: (found.get(code, Decimal(0)), units.get(code, Decimal(0)))
            for code in found.keys() | units}  # fmt: skip


def by_beancount(journal: str, until: date | None = None) -> Sums:
    entries, errors, _ = loader.load_string(journal)
    assert errors == []
    found: dict[str, list[Decimal]] = {}
    for entry in entries:
        if isinstance(entry, data.Transaction) and (until is None or entry.date <= until):
            for posting in entry.postings:
                assert posting.units is not None
                sums = found.setdefault(posting.account, [Decimal(0), Decimal(0)])
                sums[0] += posting.units.number or Decimal(0)
                sums[1] += (posting.meta or {}).get("units", Decimal(0))
    return {
        names.code_of_beancount(name): (amount, units)
        for name, (amount, units) in found.items()
        if amount or units
    }


def test_hledger_agrees_on_every_account_and_unit_on_both_clocks(
    sample: SimpleNamespace, hledger: Callable[..., list[list[str]]]
) -> None:
    for day, known in itertools.product(DATES, [None, *KNOWN]):
        as_of = AsOf(date=day, position=sample.at[known] if known else None)
        journal = hledger_journal(sample.ledger, as_of=as_of)
        assert by_hledger(hledger, journal) == ours(sample.ledger, as_of), as_of
    assert len(ours(sample.ledger, NOW)) == 18


def test_hledgers_own_date_filter_agrees_with_as_of_a_date(
    sample: SimpleNamespace, hledger: Callable[..., list[list[str]]]
) -> None:
    journal = hledger_journal(sample.ledger, as_of=NOW)
    for day in DATES[1:]:
        found = by_hledger(hledger, journal, "-e", f"{day.replace(day=day.day + 1)}")
        assert found == ours(sample.ledger, AsOf(date=day)), day


def test_beancount_agrees_on_every_account_and_unit_on_both_clocks(
    sample: SimpleNamespace,
) -> None:
    for known in [None, *KNOWN]:
        position = sample.at[known] if known else None
        journal = beancount_journal(sample.ledger, as_of=AsOf(position=position))
        for day in DATES:  # beancount's dates against our filter
            as_of = AsOf(date=day, position=position)
            assert by_beancount(journal, day) == ours(sample.ledger, as_of), as_of
    only = beancount_journal(sample.ledger, as_of=AsOf(date=date(2024, 1, 4)))
    assert by_beancount(only) == ours(sample.ledger, AsOf(date=date(2024, 1, 4)))


def edited(keeper: Any, kind: type, day: str, **fields: Any) -> None:
    """One edit of the chart in force."""
    at = datetime.fromisoformat(f"{day}T13:00:00+00:00")
    if kind in (DeactivateAccount, MapRole):
        fields |= {"books_at": keeper.head, "held": ()}
    chart = keeper.store.load(ChartOfAccounts, STREAM).chart
    own = {"at": at, "effective_date": at.date(), "seen": chart.version, "reason": "asked for"}
    keeper._do(ChartOfAccounts, STREAM, "edit", kind(**own, **fields))


def test_both_agree_through_changes_of_the_chart(
    keeper: Any, hledger: Callable[..., list[list[str]]]
) -> None:
    """New accounts, other names, roles that move between sales, accounts that are closed."""
    keeper.register("SPY")
    keeper.money("deposit", "2024-01-02 14:00", "100000.00")
    keeper.fill("2024-01-03 15:00", "buy", "10", "SPY", "470.11", commission="0.35", fees="0.02")
    edited(keeper, RenameAccount, "2024-01-03", code="1010", name="Operating cash; “float”")
    edited(keeper, CreateAccount, "2024-01-03", code="5000", name="Costs", type="expense")
    edited(keeper, MoveAccount, "2024-01-03", code="5010", parent="5000")
    edited(keeper, CreateAccount, "2024-01-03", code="5011", name="Fees apart", type="expense",
           parent="5000")  # fmt: skip
    edited(keeper, MapRole, "2024-01-03", role="commissions", code="5011")
    keeper.fill("2024-01-04 15:00", "sell", "10", "SPY", "471.5", commission="0.35", fees="0.03")
    edited(keeper, CreateAccount, "2024-01-04", code="1115", name="Shares", type="asset",
           per_instrument=True)  # fmt: skip
    edited(keeper, MapRole, "2024-01-04", role="trading_securities", code="1115")
    edited(keeper, DeactivateAccount, "2024-01-04", code="1110")
    keeper.fill("2024-01-05 15:00", "buy", "4", "SPY", "472.25", commission="0.35")
    keeper.fill("2024-01-03 16:00", "buy", "1", "SPY", "470.5", on="2024-01-03")  # late
    keeper.split("2024-01-08 13:00", "SPY", 2, 1)
    keeper.fill("2024-01-08 15:00", "sell", "3", "SPY", "236.5", commission="0.35")
    ledger = keeper.ledger
    for day in DATES:
        as_of = AsOf(date=day)
        journal = hledger_journal(ledger, as_of=as_of)
        assert by_hledger(hledger, journal) == ours(ledger, as_of), day
        assert by_beancount(beancount_journal(ledger, as_of=as_of)) == ours(ledger, as_of), day
    found = ours(ledger, NOW)
    assert {"5010", "5011", "1115.SPY"} <= found.keys()
    assert "1110.SPY" not in found


def test_hledgers_strict_checks_pass_and_tags_lead_back_to_the_event(
    sample: SimpleNamespace, hledger: Callable[..., list[list[str]]]
) -> None:
    journal = hledger_journal(sample.ledger, as_of=NOW)
    hledger(journal, "bal", "--strict")
    late = sample.at["late"]
    rows = hledger(journal, "reg", f"tag:position=^{late}$", "--width=200")
    (fill,) = sample.ledger.journal(position=late, limit=1)
    told = {(row[1], row[3]) for row in rows}
    assert {(e.effective_date.isoformat(), e.description) for e in sample.ledger.journal()
            if e.position == late} == told  # fmt: skip
    assert len(told) == 3  # the fill, the split that it changes, the sale that it re-costs
    assert hledger(journal, "reg", "tag:strategy=OPEN", f"tag:reference=^{fill.reference}$")


def test_beancount_refuses_a_journal_that_is_off_by_one_cent(sample: SimpleNamespace) -> None:
    journal = beancount_journal(sample.ledger, as_of=NOW)
    wrong = journal.replace("  Assets:A1010  -47012.71 USD", "  Assets:A1010  -47012.70 USD")
    assert wrong != journal
    _, errors, _ = loader.load_string(wrong)
    assert "does not balance" in errors[0].message


def test_the_journals_are_what_they_were(
    sample: SimpleNamespace, golden: Callable[[str, str | bytes], None]
) -> None:
    golden("journal_sample.journal", hledger_journal(sample.ledger, as_of=NOW))
    golden("journal_sample.beancount", beancount_journal(sample.ledger, as_of=NOW))


def test_an_export_as_known_then_is_the_export_of_then(
    make_keeper: Callable[..., Any], tmp_path: Path
) -> None:
    k = make_keeper(tmp_path)
    k.register("SPY")
    k.money("deposit", "2024-01-02 14:00", "1000.00")
    k.fill("2024-01-03 15:00", "buy", "2", "SPY", "100.5")
    head = k.head
    then = [f(k.ledger, as_of=AsOf(position=head)) for f in (hledger_journal, beancount_journal)]
    k.rename("2024-01-04 15:00", "SPY", "SPX")
    k.fill("2024-01-02 15:00", "buy", "1", "SPX", "99.5", registered_as="SPY")
    now = [f(k.ledger, as_of=AsOf(position=head)) for f in (hledger_journal, beancount_journal)]
    assert now == then
    k.close()


# Names and texts that mean something to the programs


HARD_SYMBOLS = ["USD", "A;B", "+X", "a.b~c-d", "#1", "*", "(x)", "[y]", "=z", "@@", "1.0", "%41",
                "X--A", "-", "|p", ",", "!", "usd", "{q}", "~", "Q2"]  # fmt: skip


def test_hard_symbols_and_texts_do_not_change_a_balance(
    make_keeper: Callable[..., Any], tmp_path: Path, hledger: Callable[..., list[list[str]]]
) -> None:
    k = make_keeper(tmp_path)
    k.money(
        "deposit",
        "2024-01-02 14:00",
        "100000.00",
        reason='a;b | c,d "e" \\f\\ date:2020-01-01\n  assets:x  5 USD\t@ = (*) Ünïcode',
    )
    for number, symbol in enumerate(HARD_SYMBOLS, start=1):
        k.register(symbol)
        k.fill("2024-01-03 15:00", "buy", f"{number}.5", symbol, "10.01")
    expected = ours(k.ledger, NOW)
    assert len(expected) == len(HARD_SYMBOLS) + 2
    journal = hledger_journal(k.ledger, as_of=NOW)
    assert by_hledger(hledger, journal) == expected
    assert by_beancount(beancount_journal(k.ledger, as_of=NOW)) == expected
    commodities = hledger(journal, "bal", "-N", "--layout=bare", "assets:1110")
    assert len({commodity for _, commodity, _ in commodities}) == len(HARD_SYMBOLS)
    k.close()


symbols = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/\\:'\""),
                  min_size=1, max_size=24)  # fmt: skip


@given(symbols, st.sampled_from("1110 1120 1130 1140".split()))
def test_names_lead_back_to_the_account(symbol: str, main: str) -> None:
    code = f"{main}.{symbol}"
    account = Account(code=main, name="At cost: (a;  b) [c]", type="asset", per_instrument=True)
    assert names.code_of_hledger(names.hledger_account(code, account)) == code
    in_beancount = names.beancount_account(code, account)
    assert beancount_names.is_valid(in_beancount)
    assert names.code_of_beancount(in_beancount) == code
    assert names.decode_hledger(names.commodity(symbol, "USD")) == symbol
    assert names.commodity(symbol, "USD") != "USD"


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_currencies_with_other_decimals(
    currency: str,
    make_keeper: Callable[..., Any],
    tmp_path: Path,
    hledger: Callable[..., list[list[str]]],
) -> None:
    k = make_keeper(tmp_path, currency)
    k.register("SPY")
    k.money("deposit", "2024-01-02 14:00", "100000")
    k.fill("2024-01-03 15:00", "buy", "3", "SPY", "100.123456", commission="0.5")
    k.fill("2024-01-04 15:00", "sell", "1.7", "SPY", "101", fees="0.4321")
    rows = hledger(
        hledger_journal(k.ledger, as_of=NOW), "bal", "-B", "--flat", "-N", "--layout=bare"
    )
    found = {names.code_of_hledger(name): Decimal(number) for name, _, number in rows}
    assert found == {code: amount for code, (amount, _) in ours(k.ledger, NOW).items()}
    by_code = by_beancount(beancount_journal(k.ledger, as_of=NOW))
    assert by_code == ours(k.ledger, NOW)
    k.close()


# Random histories


actions = st.one_of(
    st.tuples(st.just("buy"), st.integers(1, 9), st.integers(1, 5_000_000)),
    st.tuples(st.just("sell"), st.integers(1, 9), st.integers(1, 3_000_000)),
    st.tuples(st.just("split"), st.integers(1, 9), st.integers(1, 6)),
    st.tuples(st.just("reverse"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("close"), st.integers(1, 9), st.just(0)),
)


def act(k: Any, action: tuple[str, int, int], done: list[int]) -> None:
    """Days come in any order, so that most histories have late events."""
    kind, day, number = action
    when = f"2024-01-{day:02} 15:00"
    if kind in ("buy", "sell"):
        quantity, price = f"{number / 1_000_000:.6f}", f"{100 + number % 977 / 7:.4f}"
        done.append(k.fill(when, kind, quantity, "SPY", price, commission="0.0049"))
    elif kind == "split":
        done.append(k.split(when, "SPY", number, 7 - number))
    elif kind == "close":
        k.close_period("2024-01-10 15:00", f"2024-01-{day:02}")
    elif done:
        k.reverse("2024-01-11 15:00", done[day % len(done)])


@settings(max_examples=25)
@given(st.lists(actions, min_size=4, max_size=14))
def test_random_histories_agree(
    make_keeper: Callable[..., Any],
    hledger: Callable[..., list[list[str]]],
    history: list[tuple[str, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        k = make_keeper(Path(folder))
        k.register("SPY")
        k.money("deposit", "2024-01-01 14:00", "100000.00")
        k.fill("2024-01-01 15:00", "buy", "60", "SPY", "100.005")
        done: list[int] = []
        for action in history:
            try:
                act(k, action, done)
            except DomainError:
                continue  # refused by the rules; nothing was recorded
        journal = hledger_journal(k.ledger, as_of=NOW)
        assert by_hledger(hledger, journal) == ours(k.ledger, NOW)
        assert by_beancount(beancount_journal(k.ledger, as_of=NOW)) == ours(k.ledger, NOW)
        day = AsOf(date=date(2024, 1, 5))
        assert by_hledger(hledger, journal, "-e", "2024-01-06") == ours(k.ledger, day)
        k.day("2024-01-12", SPY="50.05")
        for since in (None, date(2024, 1, 5)):  # raises unless units, cash and totals tie out
            export_ofx(k.ledger, k.performance, as_of=NOW, since=since, version=203)
        k.close()
