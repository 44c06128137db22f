"""Puts that were bought, sold and left to expire: ledger, OFX, hledger and beancount agree."""

import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from beside import beside

from exporters.journals import beancount_journal, hledger_journal
from exporters.ofx import export_ofx
from projections.ledger_records import NOW, AsOf

D = Decimal
SOLD, GONE = "SPY240119P00450000", "QQQ240119P00400000"
PUTS = "1120"  # where options of trading stand at cost
FRIDAY = AsOf(date=date(2024, 1, 18))  # the evening before both expire


@pytest.fixture(scope="module")
def books(
    make_keeper: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """Three puts of which one is sold, two that are never sold; both expire on the 19th. An expiry
    that the broker takes back, and tells again."""
    k = make_keeper(tmp_path_factory.mktemp("options"))
    for symbol in (SOLD, GONE):
        k.register(symbol, "option", 100)
    k.money("deposit", "2024-01-02 14:00", "10000.00")
    k.fill("2024-01-03 15:30", "buy", "3", SOLD, "1.25", commission="1.95")
    k.fill("2024-01-03 15:40", "buy", "2", GONE, "3.10", commission="1.30", net="-621.30")
    k.day("2024-01-03", **{SOLD: "1.30", GONE: "2.90"})
    k.fill("2024-01-05 15:30", "sell", "1", SOLD, "2.00", commission="0.65", fees="0.01")
    k.day("2024-01-05", **{SOLD: "1.10", GONE: "2.00"})
    expire(k, SOLD, "2")
    wrong = expire(k, GONE, "2")
    k.reverse("2024-01-22 15:00", wrong, "the broker took it back")
    expire(k, GONE, "2")
    yield SimpleNamespace(keeper=k, ledger=k.ledger, performance=k.performance)
    k.close()


def expire(k: Any, symbol: str, contracts: str) -> int:
    """Told on the Monday after, of the Friday."""
    position: int = k.fill(
        "2024-01-22 14:30", "sell", contracts, symbol, "0", net="0", context="expiry",
        on="2024-01-19",
    )  # fmt: skip
    return position


def ofx(books: SimpleNamespace, version: int, as_of: AsOf = NOW) -> str:
    found: bytes = export_ofx(
        books.ledger, books.performance, as_of=as_of, since=None, version=version
    )
    return found.decode()


def balance(books: SimpleNamespace, code: str, as_of: AsOf = NOW) -> Decimal:
    found: Decimal = books.ledger.balance_of(code, as_of)
    return found


def test_the_whole_cost_is_lost_and_nothing_is_held(books: SimpleNamespace) -> None:
    assert [(p.symbol, p.quantity, p.cost) for p in books.ledger.positions(FRIDAY)] == [
        (GONE, 2, D("620.00")), (SOLD, 2, D("250.00")),
    ]  # fmt: skip
    assert books.ledger.positions() == []
    # 200.00 less 125.00 gained on the one that was sold, 250.00 and 620.00 lost
    assert balance(books, "4010") == D("795.00")
    cash = D("10000.00") - D("376.95") - D("621.30") + D("199.34")
    assert balance(books, "1010") == cash
    assert books.ledger.broker_cash() == cash


def test_a_round_trip_ends_at_nothing(books: SimpleNamespace) -> None:
    sold, gone = [t for t in books.performance.trades() if t.exit_price < 1]
    assert (sold.symbol, sold.quantity, sold.exit_price) == (SOLD, 3, D("0.666667"))
    assert sold.pnl == D("199.34") - D("376.95")
    assert (gone.symbol, gone.exit_price, gone.pnl) == (GONE, 0, D("-621.30"))
    assert {sold.exit_reason, gone.exit_reason} == {"expired worthless"}
    # a hundred units a contract: 2 × 1.10 and 2 × 2.00
    (marked,) = [p for p in books.performance.equity(day=date(2024, 1, 5)) if p.occasion == "close"]
    assert marked.equity - marked.cash == D("620.00")


def test_hledger_and_beancount_agree_before_and_after(
    books: SimpleNamespace, hledger: Callable[..., list[list[str]]]
) -> None:
    journals = beside("oracle/test_journals")
    for as_of in (NOW, FRIDAY):
        expected = journals.ours(books.ledger, as_of)
        assert journals.by_hledger(hledger, hledger_journal(books.ledger, as_of=as_of)) == expected
        read = journals.by_beancount(beancount_journal(books.ledger, as_of=as_of))
        assert {code: sums for code, sums in expected.items() if any(sums)} == read
    held = [code for code in journals.ours(books.ledger, FRIDAY) if code.startswith(PUTS)]
    assert held == [f"{PUTS}.{GONE}", f"{PUTS}.{SOLD}"]


@pytest.mark.parametrize("version", [102, 203])
def test_ofx_buys_sells_and_closes_options(books: SimpleNamespace, version: int) -> None:
    text = ofx(books, version)
    trades = re.findall(r"<(BUYOPT|SELLOPT|CLOSUREOPT)>(.*?)</\1>", text, re.DOTALL)
    assert [kind for kind, _ in trades] == [
        "BUYOPT", "BUYOPT", "SELLOPT", "CLOSUREOPT", "CLOSUREOPT", "BUYOPT", "CLOSUREOPT",
    ]  # fmt: skip
    closed = [body for kind, body in trades if kind == "CLOSUREOPT"]
    assert {value_of("OPTACTION", body) for body in closed} == {"EXPIRE"}
    assert {value_of("SHPERCTRCT", body) for _, body in trades} == {"100"}
    assert [(value_of("UNIQUEID", body), value_of("UNITS", body)) for body in closed] == [
        (f"XNYS:{SOLD}", "-2"), (f"XNYS:{GONE}", "-2"), (f"XNYS:{GONE}", "-2"),
    ]  # fmt: skip
    listed = re.findall(r"<OPTINFO>(.*?)</OPTINFO>", text, re.DOTALL)
    assert {(value_of("OPTTYPE", one), value_of("STRIKEPRICE", one)[:3]) for one in listed} == {
        ("PUT", "450"), ("PUT", "400"),
    }  # fmt: skip
    assert {value_of("DTEXPIRE", one)[:8] for one in listed} == {"20240119"}
    assert "<POSOPT>" not in text
    assert ofx(books, version, FRIDAY).count("<POSOPT>") == 2


def value_of(tag: str, body: str) -> str:
    found = re.search(rf"<{tag}>([^<\n]+)", body)
    assert found is not None, (tag, body)
    return found[1].strip()


@pytest.mark.parametrize("version", [102, 203])
def test_ofxdump_reads_every_option_transaction(
    books: SimpleNamespace, need_tool: Callable[[str, str], str], tmp_path: Path, version: int
) -> None:
    program, path = need_tool("ofxdump", "ofx"), tmp_path / "options.ofx"
    path.write_text(ofx(books, version))
    done = subprocess.run([program, path], capture_output=True, text=True, env={"TZ": "UTC"})
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    assert ":E:" not in done.stderr
    told = re.findall(r"ID for this transaction: (\S+)", done.stdout)
    assert sorted(told) == sorted(re.findall(r"<FITID>(.+?)</FITID>", path.read_text()))
    amounts = re.findall(r"Total money amount: (\S+)", done.stdout)
    assert sum(map(Decimal, amounts)) == books.ledger.broker_cash()
    contracts = re.findall(r"# of units: (-?\d\.0000) ", done.stdout)  # the deposit is no such one
    assert [int(D(one)) for one in contracts] == [3, 2, -1, -2, -2, 2, -2]
    assert done.stdout.count("Investment transaction type: CLOSUREOPT") == 3
