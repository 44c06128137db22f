"""Symbols that are blocked by hand: not entered for trading until somebody takes that back (M18).

Beside SCREENER_UNIVERSE_BLOCKLIST, which changes with the settings. What is held is sold as ever.
"""

from __future__ import annotations

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.errors import DomainError
from aggregates.instrument import check_symbol

STREAM = "blocklist"
LONGEST = 200  # characters of a reason


@topic("Blocklist.Blocked")
class SymbolBlocked(Event, frozen=True, kw_only=True):
    symbol: str
    reason: str


@topic("Blocklist.Unblocked")
class SymbolUnblocked(Event, frozen=True, kw_only=True):
    symbol: str
    reason: str


class BlockSymbol(Command, frozen=True, kw_only=True):
    """``seen`` is the version of the list (its number of changes) that was looked at."""

    symbol: str
    reason: str
    seen: int


class UnblockSymbol(Command, frozen=True, kw_only=True):
    symbol: str
    reason: str
    seen: int


class BlocklistMoved(DomainError):
    """Somebody changed the list after the version that was seen; nothing of yours was saved."""


class Blocklist(Aggregate):
    """One for each bot. ``blocked`` has the reason of each symbol."""

    def __init__(self, stream: str = STREAM) -> None:
        super().__init__(stream)
        self.blocked: dict[str, str] = {}

    def why(self, symbol: str) -> str:
        """The reason that the symbol is blocked by hand for; empty: it is not."""
        return self.blocked.get(symbol, "")

    def block(self, c: BlockSymbol) -> None:
        check_symbol(c.symbol)
        self._check(c)
        check(
            c.symbol not in self.blocked,
            f"{c.symbol} is blocked already: {self.why(c.symbol)}. Nothing was changed.",
        )
        self.emit(record(SymbolBlocked, c))

    def unblock(self, c: UnblockSymbol) -> None:
        self._check(c)
        check(c.symbol in self.blocked, f"{c.symbol} is not blocked by hand. Nothing was changed.")
        self.emit(record(SymbolUnblocked, c))

    def _check(self, c: BlockSymbol | UnblockSymbol) -> None:
        if c.seen != self.version:
            raise BlocklistMoved(
                "The blocklist was changed meanwhile. Nothing of yours was saved; look at it as it "
                "is now, and save again."
            )
        check(bool(c.reason.strip()), "A reason is needed; it is kept for good.")
        check(len(c.reason) <= LONGEST, f"A reason has at most {LONGEST} characters.")

    def apply(self, event: Event) -> None:
        if isinstance(event, SymbolBlocked):
            self.blocked[event.symbol] = event.reason
        elif isinstance(event, SymbolUnblocked):
            self.blocked.pop(event.symbol, None)
