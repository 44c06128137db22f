"""From an empty folder to a bot with keys, secrets, a store and a ledger (M27), in visible steps.

The first batch of the history is the commit point. Before it there is nothing, after it everything
else follows from the events: a bot that was interrupted is finished at the next start, or what had
been begun is dropped. The marker ``control/provisioning`` is written first and removed last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from decimal import Decimal

from aggregates.errors import DomainError
from aggregates.money import Money
from brokers.simulated_store import SimulatedStore
from config.clock import Clock
from config.failpoints import reach
from config.paths import DataFolder
from config.settings import Settings
from exporters.files import sync, write_atomically
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import NOW
from runtime.bootstrap import OPENING_DEPOSIT, identity_of_store, opening_commands
from runtime.bot_state import is_open
from runtime.custody import Custody, create_custody
from runtime.json_log import append_line
from runtime.settings_files import secret_contents
from runtime.views import Views
from security.locking import locked

Progress = Callable[[str], None]

# What is done, in order, in the words of the page. The first three are told by the vault.
STEPS: Mapping[str, str] = {
    "keys": "Keys",
    "secrets": "Encrypted secrets",
    "store": "Event store with books, rules, chart and settings",
    "ledger": "Ledger with its chart of accounts",
    "logs": "Logs and folders",
    "broker": "Account at the broker",
}


def provision_bot(
    folder: DataFolder,
    settings: Settings,
    recovery: str,
    *,
    clock: Clock,
    deposit: Decimal | None,
    progress: Progress,
) -> None:
    """Provision a folder that holds no bot. ``recovery`` is the age recipient of the vault.

    ``deposit`` (major units) opens the account of a simulated broker; None at any other. Each name
    of STEPS is told when it begins. Raises TradeBotError, KeyFileError or OSError; what is then on
    the disk is either nothing that counts, or a whole bot that ``finish`` completes.
    """
    if is_open(folder):
        raise DomainError(
            f"{folder.root} holds a bot already. Nothing was changed; start `tbot run` again, or "
            "use another --data-dir."
        )
    progress("keys")
    _log(folder, clock, f"Provisioning of {settings.identity} has begun.")
    write_atomically(folder.provisioning, b"begun\n")
    reach("provisioning.begun")
    opening = opening_commands(settings, symbols=(), deposit=deposit, at=clock.now(), demo=False)
    custody = create_custody(
        folder,
        clock,
        recovery=recovery,
        contents=secret_contents(settings),
        commands=[command for batch in opening.values() for command in batch],
        actor="setup",
        command_id="provision",
        progress=progress,
    )
    custody.close()
    reach("provisioning.committed")
    finish(folder, clock, progress)


def resume(folder: DataFolder, clock: Clock) -> str:
    """At a start: what became of a provisioning that was interrupted, in a sentence, or nothing.

    Finished when its first batch is on disk; otherwise there is nothing to keep.
    """
    if not folder.provisioning.exists():
        return ""
    if _is_committed(folder):
        Custody.open(folder, clock).close()  # the vault finishes its own part first
        finish(folder, clock, lambda _step: None)
        return "A provisioning that was interrupted is finished: the bot is whole."
    # keys and files that no history names are dropped by the vault when the next ones are made
    folder.provisioning.unlink()
    said = (
        "A provisioning was interrupted before anything was final. What had been begun counts for "
        "nothing; the set-up starts anew."
    )
    _log(folder, clock, said)
    return said


def _is_committed(folder: DataFolder) -> bool:
    """Looked at under the vault's lock: pages that are still at it commit first, or are dropped."""
    if not folder.storage.is_dir():
        return False
    with locked(folder.storage):
        return is_open(folder)


def finish(folder: DataFolder, clock: Clock, progress: Progress) -> None:
    """All that follows from the events of the first batch. Done twice, it changes nothing."""
    identity = identity_of_store(folder)
    progress("ledger")
    with closing(Views.open(folder, identity)) as views:
        views.catch_up()
        deposit = _opening_deposit(views.books)
    reach("provisioning.ledger")
    progress("logs")
    for place in (folder.logs(identity), folder.summaries(identity), folder.trades(identity)):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    reach("provisioning.logs")
    progress("broker")
    # Without a deposit the account is at a real broker: nothing is made for it here.
    if deposit is not None:
        folder.simulated_broker.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        SimulatedStore(folder.simulated_broker, deposit).close()
    reach("provisioning.broker")
    _log(folder, clock, f"{identity} is provisioned.")
    folder.provisioning.unlink(missing_ok=True)
    sync(folder.control)


def _opening_deposit(books: LedgerQueries) -> Money | None:
    """What the simulated account was opened with, as the books have it."""
    for entry in books.journal(NOW):
        if entry.reference == OPENING_DEPOSIT:
            amount = max(posting.amount for posting in entry.postings)
            return Money.of(amount, books.books().currency)
    return None


def _log(folder: DataFolder, clock: Clock, message: str) -> None:
    append_line(folder.global_logs / "provisioning.log", clock.now(), "INFO", message)
