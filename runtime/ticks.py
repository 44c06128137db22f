"""The moments that the as-of slider stops at: closes of sessions, ends of months, changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from config.clock import from_micros, local_date

CLOSES = 260  # a year of sessions; earlier moments are typed
CHANGES = 60  # of each kind


class Tick(NamedTuple):
    """What was known once the event at ``position`` was. ``kind``: close, month end, settings,
    chart; ``notable`` ones are marked on the slider."""

    position: int
    day: date
    kind: str

    @property
    def notable(self) -> bool:
        return self.kind != "close"


def ticks(
    closes: Mapping[date, int | None],
    changes: Mapping[str, Iterable[tuple[int, int]]],
    zone: str,
) -> list[Tick]:
    """In the order of recording. ``closes`` gives each session the position of its close;
    ``changes`` positions and recording times (UTC µs) by kind."""
    found = [*_closes(closes)]
    for kind, events in changes.items():
        found += [
            Tick(position, local_date(from_micros(recorded_at), zone), kind)
            for position, recorded_at in events
        ]
    return sorted(found)


def _closes(closes: Mapping[date, int | None]) -> Iterator[Tick]:
    days = sorted(closes)[-CLOSES:]
    for n, day in enumerate(days):
        position = closes[day]
        if position is not None:
            # the last month goes on: its last close so far is not its end
            following = days[n + 1] if n + 1 < len(days) else day
            ends = (day.year, day.month) != (following.year, following.month)
            yield Tick(position, day, "month end" if ends else "close")
