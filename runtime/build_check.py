"""What must be true before a session may write: fatal, logged, and said in words (M02)."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import datetime

from aggregates.chart_of_accounts import STREAM, ChartOfAccounts
from aggregates.errors import TradeBotError
from config.paths import DataFolder
from runtime.bootstrap import Bot


class StartBlocked(TradeBotError):
    """The ledger does not fit the events or the settings: nothing is written until it does."""


def check_books(bot: Bot) -> None:
    """The ledger's chart, currency and identity against events and settings. Raises StartBlocked.

    The tables themselves are checked whenever a view is opened.
    """
    found, settings = bot.views.books.books(), bot.settings
    chart = bot.store.load(ChartOfAccounts, STREAM).chart
    accounts = bot.views.ledger.connection.execute(
        "SELECT account_code, name, type, per_instrument, active FROM coa_accounts"
        " WHERE coa_version = ? ORDER BY account_code",
        (found.coa_version,),
    ).fetchall()
    expected = sorted(
        (a.code, a.name, a.type, int(a.per_instrument), int(a.active))
        for a in (chart.accounts if chart else ())
    )
    pairs = {
        "chart of accounts": (bot.views.books.chart(), chart),
        "chart's table of accounts": (accounts, expected),
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


def log_fatal(folder: DataFolder, now: datetime, error_code: str, message: str) -> None:
    """One line in main_bot.log; what stops the start must be found there too.

    Where that cannot be written either (the disk is full), the caller's own error says it all.
    """
    path = folder.global_logs / "main_bot.log"
    line = {
        "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "level": "FATAL",
        "error_code": error_code,
        "message": message,
    }
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
