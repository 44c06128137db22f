"""Which inverse ETF answers for which symbol, and how many times as fast it moves (M11).

Entered by a person, symbol by symbol; empty until then, because what is not known is never guessed.
One ETF answers for one symbol: a holding of it is watched by that symbol's bars.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from aggregates.base import Aggregate, Command, Event, check, record, topic
from aggregates.errors import DomainError
from aggregates.instrument import check_symbol
from aggregates.money import exact_decimal

STREAM = "inverse-etfs"
REASON_LONGEST = 500


class InverseEtf(msgspec.Struct, frozen=True, kw_only=True):
    """``etf`` rises by ``leverage`` times the share by which ``underlying`` falls in a day."""

    underlying: str
    etf: str
    leverage: Decimal


@topic("InverseEtfs.Mapped")
class InverseEtfMapped(Event, frozen=True, kw_only=True):
    """From here on. ``etf_before`` and ``leverage_before`` are None where nothing was mapped."""

    underlying: str
    etf: str
    leverage: Decimal
    etf_before: str | None
    leverage_before: Decimal | None
    reason: str


@topic("InverseEtfs.Unmapped")
class InverseEtfUnmapped(Event, frozen=True, kw_only=True):
    """Weakness of ``underlying`` finds no inverse ETF any more."""

    underlying: str
    etf: str
    leverage: Decimal
    reason: str


class MapInverseEtf(Command, frozen=True, kw_only=True):
    """``seen`` is the number of changes that the person had seen."""

    underlying: str
    etf: str
    leverage: Decimal
    reason: str
    seen: int


class UnmapInverseEtf(Command, frozen=True, kw_only=True):
    underlying: str
    reason: str
    seen: int


class MappingMoved(DomainError):
    """Somebody changed the mapping since it was looked at; nothing of this change was saved."""


class InverseEtfs(Aggregate):
    """The mapping in force, by underlying. ``version`` counts its changes."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.mapped: dict[str, InverseEtf] = {}

    def of(self, underlying: str) -> InverseEtf | None:
        """What is bought on weakness of it, or None: then nothing is."""
        return self.mapped.get(underlying)

    def map(self, c: MapInverseEtf) -> None:
        self._check(c.seen, c.reason)
        check_symbol(c.underlying)
        check_symbol(c.etf)
        check(
            c.etf != c.underlying,
            f"{c.etf} cannot be its own inverse. Nothing was changed; name the ETF that rises when "
            f"{c.underlying} falls.",
        )
        check(
            exact_decimal(c.leverage) > 0,
            "The leverage is above 0: 1 for an ETF that rises as fast as the symbol falls, 2 or 3 "
            "for a leveraged one. Nothing was changed.",
        )
        before = self.of(c.underlying)
        wanted = InverseEtf(underlying=c.underlying, etf=c.etf, leverage=c.leverage)
        check(before != wanted, f"{c.underlying} is mapped so already. Nothing was changed.")
        for other in self.mapped.values():
            check(
                other.etf != c.etf or other.underlying == c.underlying,
                f"{c.etf} answers for {other.underlying} already, and one ETF answers for one "
                "symbol. Nothing was changed; remove the other first.",
            )
        self.emit(
            record(
                InverseEtfMapped,
                c,
                etf_before=before.etf if before else None,
                leverage_before=before.leverage if before else None,
            )
        )

    def unmap(self, c: UnmapInverseEtf) -> None:
        self._check(c.seen, c.reason)
        before = self.of(c.underlying)
        check(before is not None, f"{c.underlying} has no inverse ETF. Nothing was changed.")
        assert before is not None  # noqa: S101 - for the type checker; check raised above
        self.emit(record(InverseEtfUnmapped, c, etf=before.etf, leverage=before.leverage))

    def _check(self, seen: int, reason: str) -> None:
        check(
            0 < len(reason.strip()) <= REASON_LONGEST
            and all(letter.isprintable() or letter in "\r\n\t" for letter in reason),
            f"Give a reason of 1 to {REASON_LONGEST} printable characters; whoever reads the "
            "history wants to know why. Nothing was changed.",
        )
        if seen != self.version:
            raise MappingMoved(
                f"The mapping was changed meanwhile: you saw {seen} changes, now there are "
                f"{self.version}. Nothing of yours was saved; look at it again."
            )

    def apply(self, event: Event) -> None:
        match event:
            case InverseEtfMapped():
                self.mapped[event.underlying] = InverseEtf(
                    underlying=event.underlying, etf=event.etf, leverage=event.leverage
                )
            case InverseEtfUnmapped():
                self.mapped.pop(event.underlying, None)
