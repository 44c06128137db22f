"""The bot's state, derived from the disk and from events, and the file that tells it (M20)."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import datetime

from aggregates.control import Control
from aggregates.errors import TradeBotError
from config.paths import DataFolder
from eventstore.feed import Feed
from exporters.files import write_atomically
from strategies.protocol import Window

BOOTSTRAPPING = "bootstrapping"  # nothing is provisioned: the set-up pages are all there is
PROVISIONING = "provisioning"  # it was begun and is not finished
REGISTRATION = "registration"  # the books are open, and nobody may sign in yet
IDLE = "idle"  # provisioned, with users; no session runs
SHUTDOWN = "shutdown"  # ended in peace
ERROR = "error"  # what is said in main_bot.log keeps the bot from trading
# of a session, as its phase and what was asked of the bot have it
ANALYZING, TRADING, MONITORING = "analyzing", "trading", "monitoring"
HOLDINGS, UPDATING, CLOSING = "holdings", "updating", "closing_positions"
STOPPED = "stopped"  # by somebody: exits go on, nothing is bought
KILLED = "killed"  # latched until an admin resets it
OF_PHASES = {
    "holdings": HOLDINGS,
    "universe": UPDATING,
    "kill": CLOSING,
}
FIRST_USER = "User.Registered"


def state_of(folder: DataFolder) -> str:
    """One of the four states above. Raises StoreUnreadable when the store cannot be read."""
    if folder.provisioning.exists():
        return PROVISIONING
    if not is_open(folder):
        return BOOTSTRAPPING
    # a store without a vault is a demo, an imported or an older one: nobody registers there
    return IDLE if not has_vault(folder) or _has_user(folder) else REGISTRATION


def has_vault(folder: DataFolder) -> bool:
    """Whether keys and secrets lie in a vault; a store from before there was one has none."""
    return (folder.events.parent / "VAULT").exists()


def is_open(folder: DataFolder) -> bool:
    """Whether the store holds events: the first batch of a history is its commit point."""
    if not _has_tables(folder):
        return False
    with closing(Feed(folder.events)) as feed:
        return feed.head().position > 0


def _has_tables(folder: DataFolder) -> bool:
    """A kill may leave a store without tables; any other file is for the feed to judge."""
    if not folder.events.exists() or not folder.events.stat().st_size:
        return False
    with closing(sqlite3.connect(f"{folder.events.absolute().as_uri()}?mode=ro", uri=True)) as file:
        try:
            return bool(file.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
        except sqlite3.DatabaseError:
            return True


def _has_user(folder: DataFolder) -> bool:
    with closing(Feed(folder.events)) as feed:
        return any(feed.page(topics=(FIRST_USER,), limit=1))


def session_state(phase: str, now: datetime, window: Window | None, control: Control) -> str:
    """The state of a running supervisor. ``phase`` is empty before the open.

    ``window`` is the running strategy's: it analyses, buys, and then watches what it has bought.
    """
    if control.killed:
        return KILLED
    if control.killing or "kill" in control.asked:
        return CLOSING
    if control.stopped or "stop" in control.asked:
        return STOPPED
    if phase in ("open", "mid", "close") and window is not None:
        if now < window.start:
            return IDLE
        if now <= window.analysis_end:
            return ANALYZING
        return TRADING if now <= window.breakout_end else MONITORING
    return OF_PHASES.get(phase, IDLE)


def write_state(folder: DataFolder, state: str) -> None:
    """One word and a line end. A file that cannot be written stops nothing: it is only told."""
    with suppress(TradeBotError):
        write_atomically(folder.bot_state, f"{state}\n".encode())
