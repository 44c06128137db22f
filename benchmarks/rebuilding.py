"""Rebuilding a ledger, against the programs that accountants use, on the same transactions.

Every side is a whole process, from its start to the balances it prints. The balances must be equal
to the cent for every account, or there is no figure at all.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import version_of
from benchmarks.made_keys import PLAIN_KEYS
from benchmarks.measure import (
    Finished,
    Progress,
    Rounds,
    Spread,
    by_turns,
    fresh,
    read_once,
    run_process,
)
from benchmarks.plain_journal import write_plain_journal
from benchmarks.report import Row, Section, missing
from exporters.journal_names import code_of_beancount, code_of_hledger
from exporters.journals import beancount_lines, hledger_lines
from projections.building import built
from projections.ledger import Ledger
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import NOW
from projections.verified_batches import verified_batches

ROOT = Path(__file__).resolve().parent.parent
OURS, SEALED = "rebuild", "rebuild of sealed payloads"
Balances = dict[str, int]  # minor units by account code; accounts with a balance only


class Unequal(Exception):
    """Two programs do not agree on a balance: nothing about their speed is worth saying."""


class Program(NamedTuple):
    """Another program: how it is run on which journal, how its balances are read."""

    name: str
    journal: Path
    needs: str | None  # on PATH; None when it is part of this environment
    package: str
    command: Sequence[str]
    read: Callable[[bytes], Balances]
    aim: str = ""


def programs(folder: Path) -> list[Program]:
    exported, plain = folder / "exported.journal", folder / "plain.journal"
    beancount = folder / "beancount"
    csv_form = ["--flat", "-N", "-O", "csv"]
    numbers = re.findall(r"\d+", version_of("hledger") or "")
    # from 1.40 on a configuration file of the user's could change the output
    hledger = ["hledger", "--no-conf"] if list(map(int, numbers[:2])) >= [1, 40] else ["hledger"]
    return [
        Program("hledger, exported journal", exported, "hledger", "hledger",
                [*hledger, "-f", str(exported), "bal", "-B", *csv_form],
                partial(_from_csv, code_of=code_of_hledger), "≥ 5, then 10 and 20"),
        Program("hledger, book values only", plain, "hledger", "hledger",
                [*hledger, "-f", str(plain), "bal", *csv_form], partial(_from_csv, code_of=str)),
        Program("beancount, exported journal", beancount, None, "beancount",
                [sys.executable, "-m", "benchmarks.beancount_process", str(beancount)],
                _from_beancount, "≥ 15, then 30"),
        Program("ledger-cli, book values only", plain, "ledger", "ledger",
                ["ledger", "--args-only", "-f", str(plain), "balance", "--flat", "--no-total",
                 "--balance-format", "%(account)\t%(display_total)\n"],
                _from_ledger, "≥ 1.5, then 2.5"),
    ]  # fmt: skip


def measure_rebuild(
    folder: Path, store: Path, sealed: Path, fills: int, rounds: int, progress: Progress
) -> Section:
    """``store`` holds ``fills`` fills, ``sealed`` the same under a key.

    Raises Unequal when any program disagrees with ours.
    """
    progress("writing the journals of the other programs")
    expected, postings = _write_journals(folder, store)
    finished: dict[str, list[Finished]] = {}
    others = programs(folder)
    here = [p for p in others if p.needs is None or version_of(p.needs)]

    def ours(name: str, history: Path) -> float:
        target = str(fresh(folder / "rebuilt.db"))
        command = [sys.executable, "-m", "benchmarks.rebuild_process", str(history), target]
        read_once(history)
        done = run_process(command, folder / "ours.out", cwd=ROOT)
        finished.setdefault(name, []).append(done)
        _compare(name, json.loads(done.output), expected)
        return done.seconds

    def theirs(program: Program) -> float:
        read_once(program.journal)
        done = run_process(
            program.command, folder / "theirs.out", cwd=ROOT, BEANCOUNT_DISABLE_LOAD_CACHE="1"
        )
        finished.setdefault(program.name, []).append(done)
        _compare(program.name, program.read(done.output), expected)
        return done.seconds

    os.sync()  # gigabytes were just written: whoever comes first would wait for the disk
    contestants = {OURS: partial(ours, OURS, store), SEALED: partial(ours, SEALED, sealed)}
    contestants |= {p.name: partial(theirs, p) for p in here}
    timed = by_turns(contestants, rounds, progress)
    rows = _rows(timed, others, here)
    rows += _facts(timed, finished, fills, postings, len(expected))
    return Section(f"Rebuilding a ledger of {fills:,} trades ({postings:,} postings)", rows)


def _rows(timed: Rounds, others: list[Program], here: list[Program]) -> list[Row]:
    rows = []
    for p in others:
        name = f"rebuild, chain verified | {p.name}"
        if p not in here:
            rows.append(missing(name, p.package))
            continue
        ratio = timed.faster(OURS, p.name)
        rows.append(Row(name, timed.of(OURS), timed.of(p.name), "s", ratio, p.aim))
    return rows


def _facts(
    timed: Rounds, finished: dict[str, list[Finished]], fills: int, postings: int, accounts: int
) -> list[Row]:
    seconds = timed.of(OURS)
    peaks = {name: Spread.of([f.peak_mb for f in runs]) for name, runs in finished.items()}
    rate = Spread(fills / seconds.median, fills / seconds.high, fills / seconds.low)
    hledger = peaks.get("hledger, exported journal")
    return [
        Row("sealed payloads | in clear", timed.of(SEALED), seconds, "s",
            timed.faster(SEALED, OURS), "≥ 0.75"),
        Row("fills a second, chain verified", rate, unit="/s",
            aim="≥ 100,000, then 200,000"),
        Row("peak memory | hledger, exported journal", peaks[OURS], hledger, "MB",
            aim="≤ 400 MB at a million"),
        Row("balances", note=f"equal in all programs, {accounts} accounts, {postings:,} postings"),
    ]  # fmt: skip


def _write_journals(folder: Path, store: Path) -> tuple[Balances, int]:
    """The journals of a ledger folded here once; its balances and how many postings it has."""
    batches = verified_batches(store, Ledger, PLAIN_KEYS)
    ledger = built(Ledger, fresh(folder / "reference.db"), batches)
    queries = LedgerQueries(ledger.connection)
    for name, lines in (
        ("exported.journal", hledger_lines(queries, NOW)),
        ("beancount", beancount_lines(queries, NOW)),
    ):
        with (folder / name).open("w", encoding="utf-8") as out:
            out.writelines(lines)
    write_plain_journal(queries, folder / "plain.journal")
    scale = 10 ** queries.books().exponent
    expected = {b.code: int(b.amount * scale) for b in queries.balances() if b.amount}
    postings = ledger.connection.execute("SELECT COUNT(*) FROM postings").fetchone()[0]
    ledger.close()
    return expected, postings


def _compare(name: str, found: Balances, expected: Balances) -> None:
    wrong = sorted(c for c in found.keys() | expected if found.get(c, 0) != expected.get(c, 0))
    if wrong:
        first = wrong[0]
        raise Unequal(
            f"{name} says {found.get(first, 0)} for account {first}, the ledger "
            f"{expected.get(first, 0)} minor units; {len(wrong)} account(s) differ."
        )


def _minor(text: str) -> int:
    return int(Decimal(text) * 100)


def _from_csv(output: bytes, code_of: Callable[[str], str]) -> Balances:
    rows = list(csv.reader(io.StringIO(output.decode())))[1:]
    return {code_of(account): _minor(amount.partition(" ")[0]) for account, amount in rows}


def _from_beancount(output: bytes) -> Balances:
    found = json.loads(output)
    return {code_of_beancount(account): _minor(amount) for account, amount in found.items()}


def _from_ledger(output: bytes) -> Balances:
    lines = (line.split("\t") for line in output.decode().splitlines() if line.strip())
    return {account: _minor(amount.strip().partition(" ")[0]) for account, amount in lines}
