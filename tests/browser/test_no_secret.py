"""Recognisable secrets go in; no answer, log, event or file may hold one in any form."""

from __future__ import annotations

import base64
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest

from runtime import logs
from runtime.log_secrets import VaultValues
from security.root_key import root_key_file
from security.secret_names import GUARDED, NAMES
from web import users
from web.sessions import Sessions, SessionsUnreadable

PASSWORD, SECOND = "canary-orchid-lantern-4711", "canary-violin-harbour-0815"
WRONG, AS_NAME = "canary-wrong-password-1", "canary-password-typed-as-name"
KEYS = {
    "ALPACA_API_KEY": "canaryAlpacaKey0001", "ALPACA_SECRET_KEY": "canaryAlpacaSecret0002",
    "FINNHUB_API_KEY": "canaryFinnhub0003", "SMTP_PASSWORD": "canary-smtp-0004",
    "FLASK_SECRET_KEY": "canary-forms-key-0005-0123456789abcdef",
}  # fmt: skip
OTHERS = {"SMTP_USERNAME": "bot", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": "1"}
WALKED_PAST = ("static", "live.events")


def forms_of(secret: bytes) -> set[bytes]:
    """A secret as it is, and as it would be written."""
    plain = base64.b64encode(secret), base64.urlsafe_b64encode(secret), base64.b32encode(secret)
    return {secret, secret.hex().encode(), *(text.rstrip(b"=") for text in plain)}


@pytest.fixture
def bot(bot_template: Any, tmp_path: Path) -> Iterator[Any]:
    del bot_template  # it says where root keys of tests lie
    from_scratch = users_module().provision(tmp_path / "bot", KEYS | OTHERS)
    yield from_scratch
    from_scratch.close()


def users_module() -> Any:
    return sys.modules["people"]


class Walk:
    """A browser that keeps every answer."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.answers: list[tuple[str, bytes]] = []

    def get(self, address: str, *, shows: bool = False) -> str:
        return self._keep(address, self.client.get(address), shows)

    def post(self, address: str, *, shows: bool = False, **data: str) -> str:
        return self._keep(address, self.client.post(address, data=data), shows)

    def _keep(self, address: str, answer: Any, shows: bool) -> str:
        if not shows:  # what a page is there to show once: to its own user
            cookies = [(k, v) for k, v in answer.headers if k != "Set-Cookie"]
            self.answers.append((address, repr(cookies).encode() + answer.data))
        return str(answer.text)


def secrets_of(bot: Any, typed: list[str]) -> dict[str, bytes]:
    """Everything that must not be found, by what it is."""
    found = {f"typed {n}": text.encode() for n, text in enumerate([*typed, *KEYS.values()])}
    with bot.people() as people:
        custody = people.custody
        vault = (bot.folder.root / "storage" / "VAULT").read_text().strip()
        found["root key"] = root_key_file(vault, os.environ).read_bytes()
        generation = custody.generation()
        for name in NAMES:
            content = generation.secret(name)
            if name not in GUARDED and len(content) == 32:
                found[name] = content
        for epoch, key in custody.store.keys.items():
            found[f"data key {epoch}"], found[f"blind key {epoch}"] = key.siv, key.blind
    return found


def walk(bot: Any) -> tuple[Walk, list[str]]:
    """Every page as admin, and every error that secrets are typed into. And what was typed."""
    visitor = Walk(bot.client(None))
    visitor.post("/sign-in", name=AS_NAME, password=WRONG, shows=True)  # the field keeps it
    visitor.post("/sign-in", name="admin", password=WRONG)
    me = Walk(bot.client("admin"))
    with bot.people() as people:
        robin = people.register("robin", PASSWORD, "admin", actor="x", command_id="robin")
    mine = Walk(bot.client("robin"))
    mine.post("/account/password", present=WRONG, new=PASSWORD, again=SECOND)
    mine.post("/account/password", present=PASSWORD, new=SECOND, again=SECOND)
    page = mine.get("/account/second-factor", shows=True)
    secret = page.split('<code class="once">')[1].split("</code>")[0].replace(" ", "")
    code = pyotp.TOTP(secret).at(bot.clock.now())
    mine.post("/account/second-factor", code=code)
    shown = mine.get("/account", shows=True)
    codes = shown.split('<code class="once">')[1].split("</code>")[0].split("<br>")
    mine.post("/account/second-factor/remove", proof=WRONG)
    me.post(f"/users/{robin}/reset")
    link = me.get(f"/users/{robin}", shows=True).split("/reset/")[1][:43]
    visitor.get(f"/reset/{link}x")
    for rule in bot.app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and rule.endpoint not in WALKED_PAST:
            with bot.app.test_request_context(base_url="https://localhost"):
                values = dict.fromkeys(rule.arguments, "1") | {"user_id": robin}
                address = bot.app.url_for(
                    rule.endpoint, _external=False,
                    **{name: text for name, text in values.items() if name in rule.arguments},
                )  # fmt: skip
            for client in (me, visitor):
                client.get(address, shows=rule.endpoint == "users.factor")
    me.get("/settings/edit")
    newest = bot.app.extensions["tradebot"].queries.newest()
    for position in range(1, newest + 1):
        me.get(f"/history/{position}")
    me.answers += visitor.answers + mine.answers
    return me, [PASSWORD, SECOND, WRONG, AS_NAME, secret, *codes, link]


def test_no_secret_is_in_any_answer_log_event_or_file(
    bot: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    walked, typed = walk(bot)

    def fail(*_: Any) -> Any:
        raise RuntimeError("forced")

    def cannot(*_: Any) -> Any:
        raise SessionsUnreadable("forced")

    with monkeypatch.context() as forced:
        forced.setattr(users.tries, "right", fail)
        walked.post("/account/password", present=WRONG, new=SECOND, again=PASSWORD)
    assert "Reference" in caplog.text  # it did fail, and was logged with its traceback
    with monkeypatch.context() as forced:
        forced.setattr(Sessions, "link", cannot)
        walked.get(f"/reset/{typed[-1]}", shows=True)  # who has the address has the link
    with monkeypatch.context() as forced:
        forced.setattr(bot.app.extensions["tradebot"].queries._queries, "status", fail)
        walked.get("/ledger")

    said = caplog.text + "".join(capfd.readouterr())
    texts = [*walked.answers, ("logs", said.encode())]
    texts += [(str(p), p.read_bytes()) for p in bot.folder.root.rglob("*") if p.is_file()]
    for database in bot.folder.root.rglob("*.db"):
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            texts.append((f"dump of {database}", "\n".join(connection.iterdump()).encode()))
    assert len(texts) > 100
    found = [
        (what, where)
        for what, secret in secrets_of(bot, typed).items()
        for where, text in texts
        if any(form in text for form in forms_of(secret))
    ]
    assert found == []


def test_no_log_can_hold_a_secret_of_the_vault_also_after_it_was_changed(
    bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process changes the vault: old and new secrets are hidden, in every form."""
    known = VaultValues(bot.folder)
    monkeypatch.setattr(logs._Process, "pipeline", logs.Pipeline(known=known))
    before = secrets_of(bot, [])
    known.now()
    with bot.people() as people:
        people.register("robin", PASSWORD, "admin", actor="x", command_id="robin")
    secrets = [*before.values(), *secrets_of(bot, []).values()]
    path = bot.folder.global_logs / "main_bot.log"
    for form in {form for secret in secrets for form in forms_of(secret)}:
        text = form.decode("utf-8", "backslashreplace")
        logs.append_line(path, bot.clock.now(), "INFO", f"is it {text} or {form!r}?", ticker=text)
    log = path.read_bytes()
    assert log.count(b"(secret)") > 100
    found = [form for secret in secrets for form in forms_of(secret) if form in log]
    assert found == []
    logs.append_line(path, bot.clock.now(), "INFO", "nothing secret in here")
    assert b"nothing secret in here" in path.read_bytes()


def test_the_search_would_find_a_secret(bot: Any) -> None:
    """The same forms are found where a secret does lie: in the file of the root key itself."""
    secrets = secrets_of(bot, [])
    assert {"root key", "data key 1", "blind key 1"} <= set(secrets)
    assert all(len(secret) >= 16 for secret in secrets.values())
    for secret in secrets.values():
        assert any(form in b"<" + secret.hex().encode() for form in forms_of(secret))
