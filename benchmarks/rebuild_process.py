"""One whole rebuild as a process of its own: `python -m benchmarks.rebuild_process STORE FILE HOW`.

HOW is "fold" (the ledger alone), "verify, fold" (the hash chain first, as an auditor would) or
"verify beside" (the hash chain by a second process at the same time; the rebuild counts only when
both are done). Prints the balances, minor units by account code.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def rebuild(store: Path, target: Path, how: str) -> dict[str, int]:
    """A new ledger file from the first event on."""
    from eventstore.feed import Feed
    from projections.ledger import Ledger
    from projections.ledger_bulk import LedgerBulk
    from projections.ledger_queries import LedgerQueries

    beside = None
    if how == "verify beside":
        command = [sys.executable, "-m", "benchmarks.rebuild_process", str(store), "-", "verify"]
        beside = subprocess.Popen(command)
    elif how == "verify, fold":
        check(store)
    feed, ledger = Feed(store), Ledger.open(target)
    ledger.build(feed)
    sums = LedgerBulk(LedgerQueries(ledger.connection)).sums()
    ledger.close()
    feed.close()
    if beside is not None and beside.wait():
        raise SystemExit("the hash chain does not hold")
    return {code: amount for code, (amount, _) in sums.items() if amount}


def check(store: Path) -> None:
    """The hash chain from the first event; ends the process with an error when it does not hold."""
    from eventstore.verification import verify

    found = verify(store)
    if not found.intact:
        raise SystemExit(f"event {found.bad_position} is bad: {found.reason}")


if __name__ == "__main__":
    source, output, manner = sys.argv[1:]
    if manner == "verify":
        check(Path(source))
    else:
        print(json.dumps(rebuild(Path(source), Path(output), manner)))
