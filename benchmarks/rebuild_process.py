"""One whole rebuild as a process of its own: `python -m benchmarks.rebuild_process STORE FILE`.

The hash chain and every seal are checked from the first event on while the ledger is folded,
on two cores. Prints the balances, minor units by account code.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.made_keys import ALL_KEYS
from projections.building import built
from projections.ledger import Ledger
from projections.ledger_bulk import LedgerBulk
from projections.ledger_queries import LedgerQueries
from projections.verified_batches import verified_batches


def rebuild(store: Path, target: Path) -> dict[str, int]:
    """A new ledger file from the first event on; ``store`` is in clear, or sealed."""
    ledger = built(Ledger, target, verified_batches(store, Ledger, ALL_KEYS))
    sums = LedgerBulk(LedgerQueries(ledger.connection)).sums()
    ledger.close()
    return {code: amount for code, (amount, _) in sums.items() if amount}


if __name__ == "__main__":
    print(json.dumps(rebuild(*map(Path, sys.argv[1:]))))
