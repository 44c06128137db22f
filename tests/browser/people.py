"""A real provisioned bot with one user for each role, and clients that are signed in.

Loaded by conftest.py, whose fixtures ``provisioned`` and ``client_of`` tests ask for.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from aggregates.users import ROLES
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import Settings, settings_from
from runtime.custody import Custody
from runtime.people import People
from runtime.provisioning import provision_bot
from runtime.queries import Queries
from runtime.recovery_key import new_recovery_key
from web.app import create_app
from web.cookie import COOKIE
from web.door import door
from web.shared import shared

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
BASE = "https://localhost"
COST = 4  # of bcrypt: the least there is, as tests sign in often
TEXTS = {
    "ENTITY_CODE": "ACME", "JURISDICTION_CODE": "USA", "BROKER_CODE": "SIM", "BOT_ID": "01",
    "CURRENCY_CODE": "USD", "TIMEZONE": "US/Eastern", "EXCHANGE_CALENDAR": "XNYS",
}  # fmt: skip


def password_of(role: str) -> str:
    return f"lantern orchid {role[::-1]} walnut"


class Provisioned:
    """One bot on disk. Users are named as their roles; ``ids`` gives each one's id."""

    def __init__(self, root: Path, clock: VirtualClock, ids: dict[str, str]) -> None:
        self.folder, self.clock, self.ids = DataFolder(root), clock, ids
        self.cost = COST
        self._app: Flask | None = None

    @property
    def app(self) -> Flask:
        """The pages, made at first use, on this bot's clock."""
        if self._app is None:
            self._app = create_app(Queries(self.folder), clock=self.clock)
            with self._app.app_context():
                door()._people = People(shared().custody(), cost=self.cost)
        return self._app

    def client(self, role: str | None) -> FlaskClient:
        """Signed in as the user with that role; None: not at all."""
        return client_of(self.app, role)

    @contextmanager
    def people(self) -> Iterator[People]:
        """The people through the application's own custody, cheap to hash for."""
        with self.app.app_context():
            yield door().people()

    def later(self, **span: int) -> None:
        """Move the clock on."""
        self.clock.wait_until(self.clock.now() + timedelta(**span))

    def close(self) -> None:
        if self._app is not None:
            with self._app.app_context():
                door().close()
                shared().queries.close()  # in turn: a page may still be asking


def provision(root: Path, texts: dict[str, str] | None = None) -> Provisioned:
    """A bot made by the real steps. Takes half a second: ``copied`` is cheaper."""
    clock, settings = VirtualClock(START), settings_from(TEXTS | (texts or {}))
    _make(DataFolder(root), settings, clock)
    custody = Custody.open(DataFolder(root), clock)
    people = People(custody, cost=COST)
    ids = {
        role: people.register(
            role, password_of(role), role, actor="setup", command_id=f"test:{role}"
        )
        for role in ("admin", *(r for r in ROLES if r != "admin"))
    }
    custody.close()
    return Provisioned(root, clock, ids)


def _make(folder: DataFolder, settings: Settings, clock: VirtualClock) -> None:
    provision_bot(
        folder, settings, new_recovery_key().recipient,
        clock=clock, deposit=Decimal("100000"), progress=lambda _step: None,
    )  # fmt: skip


def copied(template: Provisioned, root: Path) -> Provisioned:
    """The same bot in another folder; the root key, which lies elsewhere, opens both."""
    shutil.copytree(template.folder.root, root, symlinks=True)
    return Provisioned(root, VirtualClock(START), template.ids)


def run(server: Any) -> Callable[[], None]:
    """Serve in a thread; what ends it. Ended in its own loop: waitress is not safe to close from
    elsewhere while connections are open."""
    thread = threading.Thread(target=server.run)
    thread.start()

    def stop() -> None:
        end = time.monotonic() + 5
        while server.active_channels and time.monotonic() < end:
            time.sleep(0.01)
        server.trigger.pull_trigger(server.close)
        thread.join(timeout=10)

    return stop


class Client(FlaskClient):
    """Posts forms as a browser does: with the token and a number of the form, unless given."""

    def open(self, *args: Any, **options: Any) -> TestResponse:
        options.setdefault("base_url", BASE)
        if options.get("method") == "POST" and options.pop("guarded", True):
            guard = {"csrf": self.token(), "command_id": next(_NUMBERS)}
            options["data"] = guard | dict(options.get("data") or {})
        return super().open(*args, **options)

    def token(self) -> str:
        """The token of this browser, read from a form that a page shows it."""
        page = super().open("/sign-in", base_url=BASE, method="GET")
        if page.status_code == 303:  # signed in: any page has the form to sign out
            page = super().open("/account", base_url=BASE, method="GET")
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
        return found[1] if found else ""


def _numbers() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"{number:032x}"


_NUMBERS = _numbers()


def client_of(app: Flask, role: str | None) -> FlaskClient:
    """A browser of its own, signed in as the user named as the role. Costs no bcrypt."""
    app.test_client_class = Client
    client = app.test_client()
    if role is not None:
        sign_in_as(app, client, role)
    return client


def sign_in_as(app: Flask, client: FlaskClient, name: str) -> None:
    token = f"{next(_NUMBERS):>043}"
    with app.test_request_context():
        person = door().people().users.named(name)
        assert person is not None
        now = door().people().custody.clock.now()
        door().sessions().begin(token, person.id, person.era, now, whole=True)
    client.set_cookie(COOKIE, token, domain="localhost", secure=True, httponly=True)
