"""`make bench`: measure, print a table, and with --json write the figures of every row."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.appends import measure_appends
from benchmarks.asking import measure_questions
from benchmarks.catching_up import measure_catch_up
from benchmarks.engine import measure_engine
from benchmarks.machine import file_system, machine_line, version_of
from benchmarks.made_history import write_history
from benchmarks.made_keys import SEALED_KEYS
from benchmarks.measure import ProgramFailed
from benchmarks.proving import measure_proofs
from benchmarks.rebuilding import Unequal, measure_rebuild
from benchmarks.report import Section, as_json, as_text
from benchmarks.rotating import measure_rotations
from benchmarks.showing import measure_pages
from benchmarks.starting import measure_starts
from benchmarks.verifying import measure_verification
from benchmarks.wire import measure_wire

PARTS = ("appends", "views", "verification", "rebuild", "questions", "proofs", "pages", "rotation",
         "start", "engine", "wire")  # fmt: skip
PAGE_EVENTS = 100_000  # what the pages are held to
SAMPLE_FILLS = 20_000  # for what need not be measured on the whole history


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="TradeBot's speed as ratios to raw SQLite, hledger, beancount, ledger-cli, "
        "backtrader and nautilus_trader, measured by turns in one run.",
    )
    parser.add_argument("--trades", type=int, help="fills of the rebuilt ledger (100000)")
    parser.add_argument("--rounds", type=int, help="turns of everything that is compared (3)")
    parser.add_argument("--appends", type=int, help="events appended in each round (1000)")
    parser.add_argument("--quick", action="store_true", help="2000 trades, one round, 100 appends")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART",
                        help=f"only these: {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, help="where to work (the folder for temporary files)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    found = parser.parse_args(arguments)
    small = (2_000, 1, 100) if found.quick else (100_000, 3, 1_000)
    for name, default in zip(("trades", "rounds", "appends"), small, strict=True):
        if getattr(found, name) is None:
            setattr(found, name, default)
        elif getattr(found, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return found


def tell(what: str) -> None:
    """Progress goes to stderr: stdout holds the figures alone."""
    print(f"  {what} …", file=sys.stderr, flush=True)


def measure(wanted: argparse.Namespace, folder: Path) -> list[Section]:
    rounds, sections = wanted.rounds, []
    if "appends" in wanted.only:
        sections.append(measure_appends(folder, wanted.appends, rounds, tell))
    if {"views", "verification"} & set(wanted.only):
        tell("making a history to read")
        sample = folder / "sample.db"
        write_history(sample, min(SAMPLE_FILLS, wanted.trades))
        if "views" in wanted.only:
            sections.append(measure_catch_up(folder, sample, rounds, tell))
        if "verification" in wanted.only:
            sealed = folder / "sealed_sample.db"
            write_history(sealed, min(SAMPLE_FILLS, wanted.trades), keys=SEALED_KEYS)
            sections.append(measure_verification(sample, sealed, rounds, tell))
    sections += measure_long_history(wanted, folder)
    if "pages" in wanted.only:
        sections.append(measure_pages(folder, min(PAGE_EVENTS, wanted.trades), tell))
    if "rotation" in wanted.only:
        # 2,000 earlier rotations and 50,000 reads, unless --quick or --appends say otherwise
        sections.append(measure_rotations(folder, 2 * wanted.appends, 50 * wanted.appends, tell))
    if "start" in wanted.only:
        sections.append(measure_starts(folder, rounds, tell))
    # 20 sessions of bars and 120 short ones of orders, unless --quick or --appends say otherwise
    if "engine" in wanted.only:
        sections.append(measure_engine(folder, max(wanted.appends // 50, 1), rounds, tell))
    if "wire" in wanted.only:
        sections.append(measure_wire(folder, max(wanted.appends // 8, 2), rounds, tell))
    return sections


def measure_long_history(wanted: argparse.Namespace, folder: Path) -> list[Section]:
    sections: list[Section] = []
    if not {"rebuild", "questions", "proofs"} & set(wanted.only):
        return []
    tell(f"making a history of {wanted.trades:,} trades")
    store = folder / "events.db"
    write_history(store, wanted.trades)
    if "rebuild" in wanted.only:
        sealed = folder / "sealed.db"
        write_history(sealed, wanted.trades, keys=SEALED_KEYS)
        sections.append(measure_rebuild(folder, store, sealed, wanted.trades, wanted.rounds, tell))
    if "questions" in wanted.only:
        sections.append(measure_questions(folder, store, wanted.trades, tell))
    if "proofs" in wanted.only:
        sections.append(measure_proofs(folder, store, wanted.rounds, tell))
    return sections


def main() -> int:
    wanted = options(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="tradebot-bench-", dir=wanted.folder) as name:
        folder = Path(name)
        machine = machine_line(folder)
        print(machine, file=sys.stderr)
        try:
            sections = measure(wanted, folder)
        except (Unequal, ProgramFailed) as e:
            print(f"No figures: {e}", file=sys.stderr)
            return 1
        programs = {p: version_of(p) for p in ("hledger", "ledger")}
        if file_system(folder) == "tmpfs":
            machine += " (kept in memory: the durable figures say nothing; choose another --folder)"
    print(as_text(machine, sections))
    if wanted.json is not None:
        facts = {"trades": wanted.trades, "rounds": wanted.rounds, "programs": programs}
        wanted.json.parent.mkdir(parents=True, exist_ok=True)
        wanted.json.write_text(as_json(machine, sections, facts) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
