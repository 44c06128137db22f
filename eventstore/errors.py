"""What can be wrong with a store, told apart by what the reader has to do next."""

from __future__ import annotations

from aggregates.errors import TradeBotError


class StoreUnreadable(TradeBotError):
    """Not a store, truncated, of a newer schema, or locked: nothing was changed (exit code 3)."""


class VerificationFailed(TradeBotError):
    """History, a checkpoint or a proof does not hold: nothing was changed (exit code 1)."""


class HistoryBroken(VerificationFailed):
    """The chain of a store does not hold, so that nothing is built from it."""


class UnknownEvent(StoreUnreadable):
    """An event that this version does not know; a newer version wrote it."""


class SealBroken(UnknownEvent):
    """A sealed payload that its epoch's key does not open."""

    def __init__(self, position: int, topic: str, epoch: int) -> None:
        self.reason = (
            f"its payload does not open under epoch {epoch}: it was changed, cut or taken from "
            "another event, or the key here is another bot's"
        )
        super().__init__(
            f"Event {position} ({topic}) cannot be read: {self.reason}. Nothing was changed; run "
            "`tbot verify` and compare the store with a backup."
        )


class KeysAhead(StoreUnreadable):
    """The keys are of a later epoch than the history: it may be an older copy, put back."""


class CommandConflict(TradeBotError):
    """The same command id came with other content; the first result stands."""


class ConcurrentChange(TradeBotError):
    """Another writer changed the stream first; load it again and decide again."""


class ClockBehind(TradeBotError):
    """The clock is behind the newest event by more than is safe: entries are refused."""
