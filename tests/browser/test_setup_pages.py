"""The set-up's pages: who may open them, bad input in every field, what is kept, what is tested."""

from __future__ import annotations

import io
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from config import failpoints
from config.paths import DataFolder
from runtime.bot_state import state_of
from runtime.queries import Queries
from runtime.setup_token import new_token
from web.app import create_app
from web.setup_memory import BY_NAME, STEPS

PASSWORD = "four unrelated words here"  # noqa: S105 - of a throw-away bot
ODD = ("", "x" * 5000, "<script>alert(1)</script>", "a\x00b", "АСМЕ", "☃", "-1", "1e9", "NaN", " ")


class Setup:
    """A browser at the set-up of an empty folder."""

    def __init__(self, root: Path) -> None:
        self.folder = DataFolder(root)
        self.queries = Queries(self.folder)
        self.client = create_app(self.queries).test_client()
        self.page = ""

    def get(self, place: str, code: int = 200) -> str:
        return self._read(self.client.get(place, base_url="https://localhost"), code)

    def send(self, place: str, code: int = 303, /, **fields: Any) -> str:
        guard = dict(re.findall(r'name="(csrf|command_id)" value="([^"]*)"', self.page))
        answer = self.client.post(place, data=guard | fields, base_url="https://localhost")
        return self._read(answer, code)

    def _read(self, answer: Any, code: int) -> str:
        assert answer.status_code == code, (answer.status_code, answer.location, answer.text)
        if code == 303:
            return str(answer.location)
        self.page = answer.text
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", answer.text)))

    def open(self) -> None:
        self.get(f"/setup?token={new_token(self.folder)}", 303)
        self.get("/setup/step/identity")

    def step(self, name: str, code: int = 303, **fields: str) -> str:
        self.get(f"/setup/step/{name}")
        return self.send(f"/setup/step/{name}", code, **fields)

    def key(self) -> str:
        self.get("/setup/recovery")
        found = re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", self.page)
        assert found is not None
        return found[0]

    def all_steps(self) -> None:
        self.step("identity", ENTITY_CODE="ACME")
        self.send("/setup/recovery", kept=self.key())

    def provision(self) -> None:
        self.all_steps()
        self.get("/setup/summary")
        assert self.send("/setup/summary") == "/setup/progress"
        end = time.monotonic() + 30
        while state_of(self.folder) != "registration" and time.monotonic() < end:
            time.sleep(0.02)
        self.get("/setup/admin")


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setup]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = Setup(tmp_path / "data")
    made.open()
    yield made
    failpoints.arm(None)
    made.queries.close()


def test_without_the_token_only_the_way_to_it_is_shown(tmp_path: Path) -> None:
    stranger = Setup(tmp_path)
    for place in ("/", "/ledger", "/history/1", "/settings", "/nowhere", "/sign-in"):
        assert stranger.get(place, 303) == "/setup", place
    for place in ("/setup", "/setup/step/identity", "/setup/summary", "/setup/admin"):
        assert "tbot run" in stranger.get(place)
        assert 'method="post"' not in stranger.page
    assert not list(tmp_path.iterdir())  # looking makes nothing
    stranger.queries.close()


def test_another_browser_is_outside_and_a_form_without_its_guard_is_refused(setup: Setup) -> None:
    setup.page = ""
    setup.send("/setup/step/identity", 403, ENTITY_CODE="EVIL")
    assert "EVIL" not in setup.get("/setup/step/identity")
    setup.client.delete_cookie("__Host-tradebot", domain="localhost")
    assert "one-time link" in setup.get("/setup/step/identity")


def test_a_later_token_ends_the_earlier_set_up(setup: Setup) -> None:
    setup.step("identity", ENTITY_CODE="ACME")
    cookie = setup.client.get_cookie("__Host-tradebot", domain="localhost")
    setup.open()
    assert 'value="ACME"' not in setup.page
    assert cookie is not None
    setup.client.set_cookie("__Host-tradebot", cookie.value, domain="localhost", secure=True)
    assert "one-time link" in setup.get("/setup/step/identity")


def test_what_was_typed_is_kept_from_step_to_step(setup: Setup) -> None:
    setup.step("identity", ENTITY_CODE="ACME", CURRENCY_CODE="EUR")
    setup.step("mail", SMTP_HOST="mail.example.org", SMTP_SENDER="a@example.org")
    setup.step("settings", MAX_TRADES="7")
    setup.get("/setup/step/identity")
    assert 'value="ACME"' in setup.page
    assert "in CURRENCY_CODE" not in setup.get("/setup/step/broker")
    assert "EUR" in setup.page
    setup.get("/setup/step/settings")
    assert re.search(r'name="MAX_TRADES"[^>]*value="7"', setup.page)
    assert not list(setup.folder.root.rglob("*"))[2:], "nothing but the token's folder is on disk"


def test_codes_typed_in_small_letters_are_taken_in_capitals(setup: Setup) -> None:
    small = {"ENTITY_CODE": "acme", "CURRENCY_CODE": "eur", "EXCHANGE_CALENDAR": "xlon"}
    assert setup.step("identity", **small) == "/setup/step/broker"
    setup.get("/setup/step/identity")
    for text in ("ACME", "EUR", "XLON"):
        assert f'value="{text}"' in setup.page
    assert "needs restart" not in setup.get("/setup/step/settings")


def test_files_of_settings_fill_the_fields_in(tmp_path: Path) -> None:
    (tmp_path / ".env_bot").write_text(
        "ENTITY_CODE=ACME\nJURISDICTION_CODE=DEU\nBROKER_CODE=SIM\nBOT_ID=07\nMAX_TRADES=3\n"
        "CURRENCY_CODE=EUR\nTIMEZONE=US/Eastern\nEXCHANGE_CALENDAR=XNYS\n"
    )
    (tmp_path / ".env").write_text("FINNHUB_API_KEY=canary-finnhub\n")
    setup = Setup(tmp_path)
    setup.open()
    for text in ("ACME", "DEU", "07", "EUR"):
        assert f'value="{text}"' in setup.page
    setup.get("/setup/step/data")
    assert "canary" not in setup.page
    assert "set: type a new one" in setup.page
    setup.queries.close()


def test_a_secret_is_kept_and_never_shown(setup: Setup) -> None:
    texts = {"SMTP_HOST": "h", "SMTP_USERNAME": "bot", "SMTP_PASSWORD": "canary-77"}
    setup.step("mail", **texts)
    setup.get("/setup/step/mail")
    assert "canary-77" not in setup.page
    assert "set: type a new one" in setup.page
    setup.step("mail", SMTP_USERNAME="bot2")
    setup.step("mail", 422, clear="SMTP_PASSWORD")
    assert "SMTP_USERNAME is given, SMTP_PASSWORD is empty" in unescape(setup.page)


@pytest.mark.parametrize("step", [s.name for s in STEPS if s.keys])
def test_odd_texts_in_every_field_are_told_and_never_break_a_page(setup: Setup, step: str) -> None:
    names = (*BY_NAME[step].keys, *(["deposit"] if step == "broker" else []))
    setup.get(f"/setup/step/{step}")
    guard = dict(re.findall(r'name="(csrf|command_id)" value="([^"]*)"', setup.page))
    for odd in ODD:
        sent = guard | dict.fromkeys(names, odd)
        found = setup.client.post(f"/setup/step/{step}", data=sent, base_url="https://localhost")
        # a step whose texts may all be empty goes on
        assert found.status_code == 422 or (odd == "" and step == "mail"), odd
        assert "Please look at these fields" in found.text or found.status_code == 303
        assert "<script>alert" not in found.text
        assert "\x00" not in found.text


@pytest.mark.parametrize(
    ("step", "field", "text", "said"),
    [
        ("identity", "ENTITY_CODE", "", "empty"),
        ("identity", "ENTITY_CODE", "DEMO", "kept for demos"),
        ("identity", "ENTITY_CODE", "АСМЕ", r"\u0410"),
        ("identity", "CURRENCY_CODE", "XXX", "does not exist"),
        ("identity", "TIMEZONE", "US/Estern", "US/Eastern"),
        ("identity", "EXCHANGE_CALENDAR", "XNYX", "XNYS"),
        ("broker", "BROKER_NAME", "NOBODY", "no such choice"),
        ("broker", "BROKER_NAME", "ALPACA", "the named broker is switched off"),
        ("broker", "deposit", "0", "not an amount"),
        ("broker", "deposit", "1.005", "more decimals than USD has"),
        ("broker", "deposit", "1e5", "not an amount"),
        ("data", "SCREENER_NAME", "FINNHUB", "FINNHUB_API_KEY"),
        ("mail", "SMTP_PORT", "70000", "above the most allowed"),
        ("settings", "MAX_TRADES", "many", "not a number"),
        ("settings", "MAX_RISK_PER_TRADE", "0.1", "one trade may lose more than the day"),
    ],
)  # fmt: skip
def test_a_fault_is_told_beside_what_was_typed(
    setup: Setup, step: str, field: str, text: str, said: str
) -> None:
    words = setup.step(step, 422, **{field: text})
    assert said in words
    assert re.search(rf'value="{re.escape(text)}"', setup.page)


def test_a_contradiction_with_a_later_step_is_told_there(setup: Setup) -> None:
    """The supervisor's time suits New York; whoever is in Tokyo is not stopped at the zone."""
    setup.step("identity", ENTITY_CODE="ACME", TIMEZONE="Asia/Tokyo", EXCHANGE_CALENDAR="XTKS")
    words = setup.step("settings", 422)
    assert "TBOT_SUPERVISOR_UTC_HHMM" in words


def test_unknown_fields_are_refused(setup: Setup) -> None:
    assert "no such setting" in setup.step("settings", 422, MAX_TRADE="1")


# Tests on the spot


def test_a_gateway_that_is_not_there_is_said_in_words(setup: Setup) -> None:
    access = {"IBKR_ACCOUNT": "DU1234567", "IBKR_PORT": "1"}
    words = setup.step("broker", 200, go="test", BROKER_NAME="IBKR", IBKR_ENABLED="true", **access)
    assert "refused" in words
    setup.all_steps()
    words = setup.get("/setup/summary")
    assert "A test has failed" in words
    setup.send("/setup/summary", 422)
    assert state_of(setup.folder) == "bootstrapping"


def test_the_market_data_are_counted(setup: Setup) -> None:
    words = setup.step("data", 200, go="test")
    assert "holds no bars or quotes yet" in words
    assert "is played on invented prices" in words
    bars = setup.folder.market_data / "bars" / "SPY"
    bars.mkdir(parents=True)
    (bars / "2026-03-02.csv").write_text("ts,open,high,low,close,volume\n")
    assert "1 files that can be read" in setup.step("data", 200, go="test")


def test_a_mail_server_that_does_not_answer_is_given_up(setup: Setup) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        setup.step("settings", API_TIMEOUT="1")
        port = str(silent.getsockname()[1])
        words = setup.step("mail", 200, go="test", SMTP_HOST="127.0.0.1", SMTP_PORT=port)
    assert "No answer within 1 seconds" in words


def test_a_mail_server_that_is_not_there_is_told(setup: Setup) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = setup.step("mail", 200, go="test", SMTP_HOST="127.0.0.1", SMTP_PORT=port)
    assert "Connection refused" in words


# The recovery key


def test_the_recovery_key_must_be_given_back(setup: Setup) -> None:
    key = setup.key()
    other = "AGE-SECRET-KEY-1" + key[16:][::-1]
    for kept, said in (("", "Paste the key"), ("x\x00", "not a recovery key"), (other, "recovery")):
        assert said in setup.send("/setup/recovery", 422, kept=kept)
        assert key in setup.page
    file = setup.client.get("/setup/recovery-key.txt", base_url="https://localhost")
    assert "attachment" in file.headers["Content-Disposition"]
    setup.send("/setup/recovery", file=(io.BytesIO(file.data), "kept.txt"))
    setup.get("/setup/recovery")
    assert key not in setup.page
    assert "age1" in setup.page
    assert setup.get("/setup/recovery-key.txt", 303) == "/setup/recovery"
    setup.get("/setup/recovery")
    setup.send("/setup/recovery", 200, go="new")
    assert key not in setup.page
    assert "AGE-SECRET-KEY-1" in setup.page


# Provisioning and the first admin


def test_the_summary_names_what_is_still_to_be_done(setup: Setup) -> None:
    words = setup.get("/setup/summary")
    assert "Identity and zone" in words
    setup.get("/setup/step/identity")
    assert "Something is still to be done" in setup.send("/setup/summary", 422)
    assert state_of(setup.folder) == "bootstrapping"


def test_a_full_disk_is_told_and_tried_again(setup: Setup) -> None:
    def full(step: str) -> None:
        if step == "custody.prepared":
            raise OSError(28, "No space left on device")

    failpoints.arm(full)
    setup.all_steps()
    setup.get("/setup/summary")
    setup.send("/setup/summary")
    end = time.monotonic() + 20
    while "What happened" not in (words := setup.get("/setup/progress")):
        assert time.monotonic() < end
        time.sleep(0.05)
    for said in ("No space left on device", "Nothing was set up", "Your entries are kept"):
        assert said in words
    failpoints.arm(None)
    setup.send("/setup/progress")
    while state_of(setup.folder) != "registration":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_progress_asks_for_itself_with_and_without_script(setup: Setup) -> None:
    go_on = threading.Event()
    failpoints.arm(lambda step: step == "provisioning.committed" and go_on.wait(20))
    setup.all_steps()
    setup.get("/setup/summary")
    setup.send("/setup/summary")
    words = setup.get("/setup/progress")
    assert "of 6 done" in words
    assert '<noscript><meta http-equiv="refresh"' in setup.page
    assert 'hx-trigger="every 400ms"' in setup.page
    assert setup.get("/setup/step/identity", 303) == "/setup/progress"
    go_on.set()
    end = time.monotonic() + 20
    while state_of(setup.folder) != "registration":
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.05)
    asked = {"HX-Request": "true"}
    answer = setup.client.get("/setup/progress", base_url="https://localhost", headers=asked)
    assert answer.headers["HX-Refresh"] == "true"
    assert setup.get("/setup/progress", 303) == "/setup/admin"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "anna"}, "Choose a password"),
        ({"name": "", "password": PASSWORD, "again": PASSWORD}, "A user name has"),
        ({"name": "аnna", "password": PASSWORD, "again": PASSWORD}, "A user name has"),
        ({"name": "anna", "password": PASSWORD, "again": "other"}, "not the same"),
        ({"name": "anna", "password": "short", "again": "short"}, "at least 12"),
        ({"name": "<script>", "password": PASSWORD, "again": PASSWORD}, "A user name has"),
        ({"name": "anna", "password": PASSWORD, "again": PASSWORD, "email": "x"}, "e-mail"),
    ],
)
def test_bad_input_registers_nobody(
    provisioned_setup: Setup, fields: dict[str, str], said: str
) -> None:
    setup = provisioned_setup
    setup.get("/setup/admin")
    assert said in setup.send("/setup/admin", 422, **fields)
    assert PASSWORD not in setup.page
    assert "<script>" not in setup.page.partition("<main")[2]
    assert state_of(setup.folder) == "registration"


def test_everything_wrong_with_the_first_admin_is_said_at_once(provisioned_setup: Setup) -> None:
    setup = provisioned_setup
    setup.get("/setup/admin")
    fields = {"name": "-", "password": "short", "again": "other", "email": "x"}
    said = setup.send("/setup/admin", 422, **fields)
    for each in ("A user name has", "at least 12", "not the same", "e-mail"):
        assert each in said


@pytest.fixture(scope="module")
def provisioned_setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    place = tmp_path_factory.mktemp("provisioned")
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(place / "config")
    made = Setup(place / "data")
    made.open()
    made.provision()
    yield made
    made.queries.close()
    os.environ.pop("XDG_CONFIG_HOME")
    if before is not None:
        os.environ["XDG_CONFIG_HOME"] = before


def test_registering_sent_twice_registers_once_and_ends_the_set_up(setup: Setup) -> None:
    setup.provision()
    fields = {"name": "Anna", "password": PASSWORD, "again": PASSWORD, "email": "a@example.org"}
    assert setup.send("/setup/admin", **fields) == "/"
    assert setup.send("/setup/admin", **fields) == "/"
    assert state_of(setup.folder) == "idle"
    assert not setup.folder.setup_token.exists()
    assert setup.get("/setup/admin", 303) == "/"
    assert setup.get("/setup?token=x", 303) == "/"
    assert len(setup.queries.events(topics=("User.Registered",), limit=9)) == 1
