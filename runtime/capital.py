"""Entries of capital by hand: looked at in a dry run, then recorded exactly as they were shown."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from aggregates.base import Command
from aggregates.books import ExpectBooks
from aggregates.capital import RecordWithdrawal
from aggregates.errors import DomainError
from runtime.custody import Custody
from runtime.dispatch import BooksMoved, Recorded
from runtime.dry_run import DryRun, dry_run
from runtime.holdings_plan import current_plan
from runtime.promised import promised
from runtime.queries import Queries
from strategies.capital_rules import check_entry, warnings
from strategies.holdings_rules import Breach

TRIES = 5  # looks at books that move meanwhile


class Outlook(NamedTuple):
    """What an entry would do. ``refused`` says why it must not, ``warned`` what is odd."""

    run: DryRun
    refused: tuple[Breach, ...]
    warned: tuple[str, ...]


class EntryRefused(DomainError):
    """A rule forbids it; ``outlook`` has rule and figures. Nothing was recorded."""

    def __init__(self, outlook: Outlook) -> None:
        super().__init__(f"{' '.join(map(str, outlook.refused))} Nothing was recorded.")
        self.outlook = outlook


class NotAsShown(DomainError):
    """It would post something else than what the person saw. Nothing was recorded."""

    def __init__(self, outlook: Outlook) -> None:
        super().__init__(
            "It would post something else than what was shown. Nothing was recorded; look at what "
            "it would post now, then book it."
        )
        self.outlook = outlook


def look(custody: Custody, queries: Queries, command: Command) -> Outlook:
    """What it would do now. Raises DomainError when a rule of the books forbids it."""
    run = dry_run(custody.store, custody.folder, command)
    currency = queries.books().currency
    plan = current_plan(custody)[1]
    state = queries.holdings(plan=plan) if isinstance(command, RecordWithdrawal) else None
    spends = state is not None and run.after.float < run.before.float
    refused = check_entry(
        command, run.before, run.after, plan=plan, state=state, currency=currency,
        promised=promised(custody.store, queries) if spends else Decimal(0),
    )  # fmt: skip
    return Outlook(run, refused, () if refused else warnings(run.after, currency))


def book(
    custody: Custody, queries: Queries, command: Command, *, shown: str, actor: str, command_id: str
) -> Recorded:
    """Record it if it posts what was shown (``DryRun.digest``); asked again, the first result.

    Raises EntryRefused, NotAsShown, BooksMoved (events come too fast to look), DomainError.
    """
    question = _expecting(command, (command,), 0)
    if done := custody.dispatcher(actor).carried_out(*question, command_id=command_id):
        return done
    for tried in range(1, TRIES + 1):
        outlook = look(custody, queries, command)
        if outlook.refused:
            raise EntryRefused(outlook)
        if outlook.run.digest != shown:
            raise NotAsShown(outlook)
        batch = _expecting(command, outlook.run.commands, outlook.run.position)
        try:
            return custody.record(*batch, actor=actor, command_id=command_id, correlation="capital")
        except BooksMoved:
            if tried == TRIES:
                raise
    raise AssertionError("the last try returns or raises")


def _expecting(command: Command, batch: Sequence[Command], position: int) -> tuple[Command, ...]:
    """The batch, to be carried out only while the books stand there."""
    expect = ExpectBooks(at=command.at, effective_date=command.effective_date, position=position)
    return (expect, *batch)
