"""What `bean-check` does, and the balances: `python -m benchmarks.beancount_process JOURNAL`.

Prints decimal text by account. Any error that beancount finds ends the process with it.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from decimal import Decimal


def balances(path: str) -> dict[str, str]:
    from beancount import loader
    from beancount.core.data import Transaction

    entries, errors, _ = loader.load_file(path)
    if errors:
        raise SystemExit(f"beancount found {len(errors)} errors, the first: {errors[0].message}")
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        if isinstance(entry, Transaction):
            for posting in entry.postings:
                if posting.units is not None:
                    sums[posting.account] += posting.units.number or 0
    return {account: str(amount) for account, amount in sums.items() if amount}


if __name__ == "__main__":
    print(json.dumps(balances(sys.argv[1])))
