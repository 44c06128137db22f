"""Every event there is: importing this module fills the allow-list of topics."""

from __future__ import annotations

from aggregates import (
    blocklist,
    books,
    capital,
    chart_of_accounts,
    configuration,
    control,
    holdings,
    holdings_plan,
    holdings_requests,
    instrument,
    inverse_etfs,
    keys,
    order_messages,
    reconciliation,
    screen,
    session,
    user_activity,
    users,
)
from aggregates.base import TOPICS

FAMILIES = (
    blocklist, books, capital, chart_of_accounts, configuration, control, holdings, holdings_plan,
    holdings_requests, instrument, inverse_etfs,
    keys, order_messages, reconciliation, screen, session, user_activity, users,
)  # fmt: skip

__all__ = ["FAMILIES", "TOPICS"]
