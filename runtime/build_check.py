"""What must be true before a session may write: fatal, logged, and said in words (M02)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from aggregates.chart_of_accounts import Account, Chart
from aggregates.errors import TradeBotError
from config.paths import DataFolder
from config.settings import Settings
from projections.charts import Adoption, adoptions
from projections.fill_facts import utc_text
from projections.ledger import account_rows
from runtime.json_log import append_line
from runtime.views import Views


class StartBlocked(TradeBotError):
    """The ledger does not fit the events or the settings: nothing is written until it does."""


class Opened(Protocol):
    """What is checked: a bot, or its views alone."""

    @property
    def folder(self) -> DataFolder: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def views(self) -> Views: ...


def check_books(bot: Opened) -> None:
    """The ledger's charts, currency and identity against events and settings. Raises StartBlocked.

    The tables themselves are checked whenever a view is opened.
    """
    found, settings = bot.views.books.books(), bot.settings
    pairs = {
        **_charts(bot),
        "identity": (found.identity, settings.identity),
        "entity": (found.entity_code, settings.ENTITY_CODE),
        "jurisdiction": (found.jurisdiction_code, settings.JURISDICTION_CODE),
        "currency": (found.currency, settings.CURRENCY_CODE),
    }
    wrong = [name for name, (ledger, truth) in pairs.items() if ledger != truth]
    if wrong:
        message = (
            f"The ledger's {', '.join(wrong)} do not match the events and settings. The start is "
            "blocked and nothing was written; the events are safe. Move "
            f"{bot.folder.ledger(settings.identity).name} away: it is rebuilt at the next start."
        )
        raise StartBlocked(message)


def _charts(bot: Opened) -> dict[str, tuple[object, object]]:
    """Every version, as the tables hold it and as the events say: a past one gives past names."""
    c = bot.views.ledger.connection
    events = adoptions(bot.views.feed)
    charts = [a.chart for a in events]
    stored = c.execute("SELECT coa_json FROM coa_metadata ORDER BY coa_version").fetchall()
    held = [_decoded(text) for (text,) in stored]
    dated = c.execute(
        "SELECT coa_version, last_updated_utc, effective_date, position FROM coa_metadata"
        " ORDER BY coa_version"
    ).fetchall()
    listed = c.execute("SELECT * FROM coa_accounts ORDER BY coa_version, account_code").fetchall()
    return {
        "chart of accounts": (_without_roles(held), _without_roles(charts)),
        "roles (what posts where)": (
            [chart.mapping for chart in held],
            [chart.mapping for chart in charts],
        ),
        "chart's versions and dates": (dated, [_dates(a) for a in events]),
        "chart's table of accounts": (
            listed,
            [row for chart in charts for row in sorted(account_rows(chart))],
        ),
    }


def _decoded(text: str) -> Chart:
    """A version as its row holds it; what is no chart is equal to none."""
    try:
        return msgspec.json.decode(text, type=Chart)
    except msgspec.DecodeError:
        return Chart(version=0, accounts=(), mapping={})


def _without_roles(charts: list[Chart]) -> list[tuple[int, tuple[Account, ...]]]:
    return [(chart.version, chart.accounts) for chart in charts]


def _dates(a: Adoption) -> tuple[int, str, str, int]:
    event = a.event
    day = event.effective_date.isoformat()
    return event.chart.version, utc_text(event.occurred_at), day, a.row.position


def log_fatal(folder: DataFolder, now: datetime, error_code: str, message: str) -> None:
    """One line in main_bot.log; what stops the start must be found there too.

    Where that cannot be written either (the disk is full), the caller's own error says it all.
    """
    path = folder.global_logs / "main_bot.log"
    append_line(path, now, "FATAL", message, error_code=error_code)
