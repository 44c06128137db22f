"""What is said beside the postings of an entry by hand: not refused, but to know before booking."""

from __future__ import annotations

from collections.abc import Iterator

from aggregates.base import Command
from aggregates.capital import RecordDividend, RecordWithholding
from runtime.capital import Outlook
from web.capital_fields import currency
from web.frame import frame
from web.shared import shared


def remarks(command: Command, outlook: Outlook) -> tuple[str, ...]:
    """Of an entry that may be booked."""
    if outlook.refused:
        return ()
    return (*_before_the_books(command), *_unknown_symbol(command), *_not_told(outlook))


def _before_the_books(command: Command) -> Iterator[str]:
    found = shared().queries.events(topics=("Books.Opened",), limit=1)
    opened = found[0].effective_date if found else ""
    if str(command.effective_date) < opened:
        yield (
            f"The books were opened on {opened}, and this entry lies before that day. What was in "
            "the account then is in the opening deposit."
        )


def _unknown_symbol(command: Command) -> Iterator[str]:
    if not isinstance(command, RecordDividend | RecordWithholding):
        return
    listed = shared().queries.together(lambda q: q.sources()[0].listed())
    if command.symbol not in {known.symbol for known in listed.values()}:
        yield (
            f"The books know no security {command.symbol}. Look whether the symbol is the right "
            "one."
        )


def _not_told(outlook: Outlook) -> Iterator[str]:
    """Of an entry that changes what cash the broker should have."""
    cash = outlook.run.after.cash
    if cash == outlook.run.before.cash:
        return
    status = frame().status
    broker = "simulated broker" if status and status.money == "simulated" else "broker"
    yield (
        f"The {broker} is not told of this entry. Unless its cash agrees with the books at the "
        f"next comparison ({cash:,f} {currency()} as of now), nothing new is bought until it "
        "does, or until an admin accepts the difference on Today."
    )
