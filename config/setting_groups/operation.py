"""Logs, pages, users, exports, backups, and the pointer to the holdings plan (M08, M24, M28, M35)."""

from __future__ import annotations

from dataclasses import dataclass

from config.setting_forms import Choice, Secret, SecretText, Switch, Text, Whole, Words
from config.setting_groups.services import HOST, NAME, NONE, PORT
from config.setting_keys import ENV, ENV_BOT, group

logs = group("Logs", ENV_BOT)
web = group("Pages", ENV_BOT)
web_secret = group("Pages: secret", ENV)
users = group("Users", ENV_BOT)
books = group("Exports and backups", ENV_BOT)
holdings = group("Holdings", ENV_BOT)


# fmt: off
@dataclass(frozen=True, kw_only=True)
class Logs:
    ENABLE_LOGGING: bool = logs(Switch(), True, "Whether log files are written", "false: no log file is written but errors; events are recorded all the same", restart=True)
    LOG_FORMAT: str = logs(Choice(("CSV", "JSON")), "JSON", "Form of log lines and trade histories", restart=True)
    DEBUG_LOG_LEVEL: str = logs(Choice(("ERROR", "WARNING", "INFO", "DEBUG")), "INFO", "Least weight of a line that is logged", restart=True)
    LOG_MAX_MB: int = logs(Whole("MB", 1, 1024), 50, "Size at which a log file is closed and a new one begun", restart=True)
    LOG_RETENTION_DAYS: int = logs(Whole("days", 1, 3650), 365, "How long closed log files are kept")


@dataclass(frozen=True, kw_only=True)
class Pages:
    WEB_ENABLED: bool = web(Switch(), True, "Whether the pages are served", "false: no page is served; trading, books and backups go on", restart=True)
    WEB_HOST: str = web(HOST, "127.0.0.1", "Address at which the pages are served; another than this machine's own needs TRUSTED_PROXY", restart=True)
    WEB_PORT: int = web(PORT, 6900, "Port at which the pages are served", restart=True)
    TRUSTED_HOSTS: tuple[str, ...] = web(Words("hosts", NAME, "host names", 1, 20), ("127.0.0.1", "localhost"), "Names under which a browser may ask for the pages", restart=True)
    TRUSTED_PROXY: str = web(Text("address", r"([0-9A-Fa-f.:]{2,45})?", "empty, or an IP address"), "", "Address of the proxy that encrypts (TLS) in front of the pages", "empty: there is none, and the pages are served to this machine only", restart=True)
    FLASK_SECRET_KEY: Secret = web_secret(SecretText(32), NONE, "Key of the forms' tokens", "empty: a new one is made at every start; forms that were open then must be opened again", restart=True)


@dataclass(frozen=True, kw_only=True)
class Users:
    DEFAULT_USER_ROLE: str = users(Choice(("viewer", "accountant", "compliance", "operator")), "viewer", "Role of a new user; admin is only ever given by hand")
    SESSION_IDLE_MINUTES: int = users(Whole("minutes", 1, 1440), 30, "After how long without a request a user is signed out")
    SESSION_MAX_HOURS: int = users(Whole("hours", 1, 168), 12, "After how long a user is signed out in any case")
    LOGIN_ATTEMPT_LIMIT: int = users(Whole("attempts", 1, 100), 5, "Wrong passwords in a row after which signing in waits")
    LOGIN_LOCKOUT_MINUTES: int = users(Whole("minutes", 1, 1440), 15, "How long it waits then")
    PASSWORD_MIN_LENGTH: int = users(Whole("characters", 8, 128), 12, "Least length of a password")
    RESET_LINK_MINUTES: int = users(Whole("minutes", 5, 1440), 30, "How long a link to set a new password holds; once only")
    REQUIRE_SECOND_FACTOR: bool = users(Switch(), False, "Whether admin and operator must have a second factor", "false: each user decides; who has one is always asked for it")


@dataclass(frozen=True, kw_only=True)
class Books:
    LEDGER_EXPORT_MODE: str = books(Choice(("auto", "off")), "auto", "Whether files for outside accounting are written after each session", "off: they are made on request only")
    BACKUP_RETENTION_DAYS: int = books(Whole("days", 7, 36_500), 3650, "How long backups are kept")
    BACKUP_UPLOAD_ENABLED: bool = books(Switch(), False, "Whether upload_backups_to_cloud.sh is run after a backup", "false: backups stay on this machine; copying them elsewhere is up to you")


@dataclass(frozen=True, kw_only=True)
class Holdings:
    HOLDINGS_ENABLED: bool = holdings(Switch(), False, "Whether the long-term holdings are managed", "false: the holdings phase is recorded as disabled; float, reserves and securities are left as they are")
    HOLDINGS_FILE: str = holdings(Text("file name", r"[a-z0-9_]{1,64}\.json\.enc", "lower case, ending in .json.enc"), "holdings.json.enc", "The encrypted file of the holdings plan, below storage/secrets; securities and percentages are there", restart=True)
    HOLDINGS_FLOAT_CHECK: str = holdings(Choice(("after_open", "after_session")), "after_open", "When the cash float is checked: after the open phase, or after every session")
    HOLDINGS_DELAY_MINUTES: int = holdings(Whole("minutes", 0, 120), 10, "How long after the end of the open phase the holdings phase begins", "0: at once")
