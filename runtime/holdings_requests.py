"""What is asked of the long-term holdings: asking, withdrawing, and what became of it (M36, M38).

Asking records an event; the supervisor takes it up in a session, once the open phase is over. Until
then the request waits, and pages show that it does.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal, NamedTuple

from aggregates.errors import DomainError
from aggregates.holdings_requests import (
    STREAM,
    AnswerHoldings,
    HoldingsAnswered,
    HoldingsRequested,
    Kind,
    Rebalanced,
    RequestHoldings,
    RequestStarted,
    is_finished,
)
from aggregates.rebalance_values import CarriedOut, Preview
from config.clock import from_micros, local_date
from eventstore.feed import Feed
from projections.known_events import known_events
from projections.ledger_records import NOW, AsOf
from runtime.custody import Custody
from runtime.dispatch import Recorded
from runtime.queries import Queries
from runtime.rebalance_preview import preview_now
from runtime.settings_change import current_settings

Stage = Literal["waiting", "under way", "done", "unfinished", "refused", "withdrawn"]


class PreviewMoved(DomainError):
    """The preview that was confirmed cannot be made again."""


class Asked(NamedTuple):
    """One request. ``said`` is empty while it is open; ``result`` holds each order of the preview
    against what became of it, once a rebalance is done; "unfinished" is one that was left half done
    for no reason of the market's."""

    request_id: str
    kind: Kind
    position: int
    asked_at: datetime
    actor: str
    reason: str
    preview: Preview | None
    stage: Stage
    said: str
    answered_at: datetime | None
    result: tuple[CarriedOut, ...]

    @property
    def open(self) -> bool:
        return self.stage in ("waiting", "under way")


# Asking


def ask_rebalance(
    custody: Custody,
    queries: Queries,
    *,
    digest: str,
    position: int,
    actor: str,
    reason: str,
    command_id: str,
) -> Recorded:
    """Ask for the rebalance that was previewed: ``digest`` and ``position`` are those of the page.

    Raises PreviewMoved when that preview was another one, DomainError when there is nothing to do,
    or when a rebalance is waiting already.
    """
    preview = preview_now(queries, AsOf(position=position)).preview
    if preview.digest != digest:
        raise PreviewMoved(
            "The preview that was confirmed is not the one that the history gives for that moment. "
            "Nothing was asked; look at the preview again and confirm it."
        )
    if not preview.orders:
        raise DomainError(
            "There is nothing to rebalance: every security is left alone, and the preview says "
            "why. Nothing was asked."
        )
    return _ask(custody, "rebalance", preview, actor, reason, command_id)


def ask_top_up(custody: Custody, *, actor: str, reason: str, command_id: str) -> Recorded:
    """Ask to sell, the largest first, what the float lacks to its target."""
    return _ask(custody, "top_up", None, actor, reason, command_id)


def withdraw(
    custody: Custody, request_id: str, *, actor: str, reason: str, command_id: str
) -> Recorded:
    """Take a request back that waits. Raises DomainError when it is under way, or over."""
    now = custody.clock.now()
    answer = AnswerHoldings(
        at=now,
        effective_date=local_date(now, current_settings(custody).TIMEZONE),
        request_id=request_id,
        outcome="withdrawn",
        said=reason.strip() or "withdrawn on the page",
    )
    return custody.record(answer, actor=actor, command_id=command_id, correlation=STREAM)


def _ask(
    custody: Custody, kind: Kind, preview: Preview | None, actor: str, reason: str, command_id: str
) -> Recorded:
    settings, now = current_settings(custody), custody.clock.now()
    # HOLDINGS_ENABLED=false: nobody would take the request up
    if not settings.HOLDINGS_ENABLED:
        raise DomainError(
            "The long-term holdings are switched off (HOLDINGS_ENABLED). Nothing was asked; switch "
            "them on among the settings first."
        )
    request = RequestHoldings(
        at=now,
        effective_date=local_date(now, settings.TIMEZONE),
        request_id=_id_of(kind, command_id),
        kind=kind,
        preview=preview,
        reason=reason.strip(),
    )
    return custody.record(request, actor=actor, command_id=command_id, correlation=STREAM)


def _id_of(kind: Kind, command_id: str) -> str:
    """Follows from the command, so that a form sent twice asks once; part of order ids."""
    return f"{kind.replace('_', '-')}-{hashlib.sha256(command_id.encode()).hexdigest()[:10]}"


# What became of it


def requests_of(feed: Feed, as_of: AsOf = NOW) -> list[Asked]:
    """Every request that both clocks know, as it stood then, oldest first."""
    found: dict[str, Asked] = {}
    for row, event in known_events(feed, STREAM, as_of):
        at = from_micros(row.recorded_at)
        match event:
            case HoldingsRequested():
                found[event.request_id] = Asked(
                    event.request_id, event.kind, row.position, at, row.actor, event.reason,
                    event.preview, "waiting", "", None, (),
                )  # fmt: skip
            case RequestStarted():
                found[event.request_id] = found[event.request_id]._replace(stage="under way")
            case Rebalanced():
                found[event.request_id] = found[event.request_id]._replace(result=event.result)
            case HoldingsAnswered():
                asked = found[event.request_id]
                half = event.outcome == "done" and not is_finished(asked.result)
                found[event.request_id] = asked._replace(
                    stage="unfinished" if half else event.outcome, said=event.said, answered_at=at
                )
    return list(found.values())
