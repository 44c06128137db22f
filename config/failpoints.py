"""Named steps at which a test driver may stop the process: the crash programme's list of writes.

In service nothing is armed and a step costs one look-up. No setting and no environment variable
arms it: only a call of ``arm`` in the same process, and nothing but tests calls it.
"""

from __future__ import annotations

from collections.abc import Callable

# Each step with what is true when it is reached. ``docs/decisions/0010-crash-programme.md`` says
# what is done at them.
STEPS = {
    # deciding a command
    "dispatch.looked_up": "the command was not carried out before, and nothing is decided",
    "dispatch.decided": "events exist in memory alone",
    # the store: laying its tables, appending a batch
    "store.lay.written": "tables and triggers are written, not committed",
    "store.committed": "tables or batch are on disk, and nobody was told",
    "store.append.begun": "the write lock is held, nothing is looked up",
    "store.append.looked_up": "the command was not recorded by anybody, and the lock is held",
    "store.append.rows_written": "the batch is written, the head row is the old one",
    "store.append.head_written": "batch and head row are written, not committed",
    # orders on their way to the broker and reports on their way back
    "outbox.intended": "the intent is on disk, the submission is not recorded",
    "outbox.submission_recorded": "the submission is on disk, nothing was sent",
    "outbox.sent": "the broker has accepted, the answer is not recorded",
    "outbox.refused": "the broker has refused, the answer is not recorded",
    "outbox.answer_recorded": "the acceptance is on disk",
    "outbox.fill_received": "an execution was read, and is not recorded",
    "outbox.fill_recorded": "an execution is on disk, others may follow",
    "outbox.cancel_recorded": "the wish to cancel is on disk, the broker was not asked",
    "outbox.cancel_sent": "the broker was asked to cancel, its answer is not read",
    # the kill switch; orders on their way are the outbox's
    "kill.started": "entries are blocked, nothing is cancelled",
    "kill.cancels_sent": "the broker was asked to cancel what the session has open",
    "kill.cancels_recorded": "what became of the cancellations is on disk, nothing is sold",
    "kill.sold": "the broker said what is left, and it is not recorded",
    "kill.sale_recorded": "what is left is on disk, the switch is not latched",
    "kill.latched": "the switch is latched, and nobody was told",
    # the long-term holdings; orders on their way are the outbox's
    "holdings.batch_intended": "all orders of a batch are on disk, none was sent",
    "holdings.whole": "what the reserve's security cost is put back, the step is not recorded",
    "holdings.batch_ended": "every order of a batch is over, what it came to is not recorded",
    "holdings.marked": "the prices of the day are on disk, the account's value is not",
    "holdings.measured": "gains and what is to be set aside are known, nothing is on disk",
    "holdings.allocated": "gains, reserves and their steps are on disk, nothing is bought",
    "holdings.step_done": "a step is on disk, the next one has not begun",
    "rebalance.started": "the confirmed preview still held, none of its orders is intended",
    "rebalance.sold": "the sales are over, no purchase is intended",
    "rebalance.bought": "every order is over, the result is not recorded",
    # the simulated broker's own file
    "broker.lay.written": "tables and account are written, not committed",
    "broker.begun": "the write lock is held, nothing is written",
    "broker.order_written": "an order is written, not committed",
    "broker.execution_written": "an execution is written; order, cash and position are not",
    "broker.cash_written": "execution, order and cash are written, the position is not",
    "broker.cancel_written": "a cancellation is written, not committed",
    "broker.written": "all of a step is written, not committed",
    "broker.committed": "the step is on disk, and nobody was told",
    # files for others: exports, checkpoints, trade history
    "file.written": "the temporary file has its content, perhaps not on disk",
    "file.synced": "the temporary file is on disk under its own name",
    "file.renamed": "the file has its name, which the folder may not have on disk",
    # the vault's files: one by one, then a whole generation
    "vault.folder.made": "a folder is made, with nothing in it",
    "vault.file.created": "a file has its name and no content",
    "vault.file.written": "a file has its content, perhaps not on disk",
    "vault.file.synced": "a file is on disk, its name perhaps not",
    "vault.file.renamed": "a file has taken its name whole, the folder perhaps not on disk",
    "vault.folder.synced": "the names in a folder are on disk",
    "vault.generation.read_back": "a generation is on disk and reads as it was written",
    "vault.generation.dropped": "nothing is left of a generation that was not committed",
    "vault.generation.retired": "the folder of an older generation is gone, its archive stays",
    "vault.root_key.written": "a new root key is on disk after its generation; nothing is recorded",
    "vault.root_key.dropped": "the root key of a generation that was not committed is gone",
    "vault.root_key.retired": "a root key is gone that no generation on disk is wrapped under",
    "vault.link.made": "a link is there under a temporary name",
    "vault.flip.replaced": "the new generation is in force, the link perhaps not on disk",
    # a change together with a rotation; what is between is the vault's and the store's
    "custody.locked": "nobody else may rotate, and nothing is looked at",
    "custody.prepared": "a new generation and its archives are on disk, and nothing is recorded",
    "custody.recorded": "change and rotation are recorded, the old generation is still in force",
    "custody.in_force": "the new generation is in force, and nobody was told",
    # provisioning a bot; the steps of its first rotation are the vault's
    "provisioning.begun": "the marker is on disk, and nothing else of the bot",
    "provisioning.committed": "vault and first batch are on disk, the ledger is not there",
    "provisioning.ledger": "the ledger is on disk, folders and the broker's account are not",
    "provisioning.logs": "the folders are there, the broker's account is not",
    "provisioning.broker": "everything is on disk, and the marker still stands",
    # logging the history
    "logs.file_written": "the lines of some events are in one file, others and the position follow",
    "logs.written": "the lines of some events are in their files, the position is the old one",
    # alerts on their way from the history to people's mail boxes
    "alerts.written": "alerts and position are written, not committed",
    "alerts.enqueued": "the alerts of some events are on disk with the position, none is sent",
    "alerts.mail_made": "a mail is on disk with what it holds and its Message-ID, and is not sent",
    "alerts.sent": "the server has taken the mail, and that is not on disk",
    # folding events into a view
    "projection.fold.rows_written": "the rows of a batch are written, the position is the old one",
    "projection.fold.tracked": "rows and position are written, not committed",
    "projection.fold.committed": "the batch is in the view's file, others may follow",
    # copies of the ledger
    "snapshot.copied": "the copy is whole under a temporary name",
    "snapshot.renamed": "the copy has its name, older copies are not removed",
    "rebuild.folded": "the new ledger is whole under a temporary name",
    "rebuild.synced": "it is on disk under that name",
}

_act: Callable[[str], None] | None = None


def reach(step: str) -> None:
    """Say that ``step`` is reached. Does nothing unless a test has armed the process."""
    if _act is not None:
        _act(step)


def arm(act: Callable[[str], None] | None) -> None:
    """From now on call ``act`` with the name of each step reached; None disarms. For tests."""
    global _act  # noqa: PLW0603 - one switch for the process
    _act = act
