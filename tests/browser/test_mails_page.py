"""The page about mail: how alerts stand, and a test mail whose answer is shown in words."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from beside import beside

from runtime.alert_status import AlertsStatus
from runtime.settings_change import change_settings

mail_server: Any = beside("integration/mail_server")


def words(answer: Any, code: int = 200) -> str:
    assert answer.status_code == code, answer.text
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.text)))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pem = mail_server.certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    found = mail_server.MailServer(pem)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def mailing(provisioned: Any, trading: Any, server: Any) -> Any:
    texts = {
        "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "SMTP_SENDER": "bot@example.org",
        "SMTP_RECIPIENTS": "ann@example.org,bob@example.org", "SMTP_USERNAME": "bot",
        "SMTP_PASSWORD": mail_server.PASSWORD, "NOTIFY_ON_FAILURE": "true",
    }  # fmt: skip
    change_settings(trading.custody, texts, seen=1, actor="test", reason="", command_id="mail-on")
    return provisioned


def test_a_test_mail_is_sent_and_the_answer_is_shown(mailing: Any, server: Any) -> None:
    admin = mailing.client("admin")
    assert "failures, and the report of each session" in words(admin.get("/settings/mail"))
    page = words(admin.post("/settings/mail"))
    assert "The test mail was taken." in page
    assert "for ann@example.org, bob@example.org and says: 250 kept as 42." in page
    assert server.subjects() == ["[ACME_USA_SIM_01] Test mail"]
    server.rcpt = {"bob@example.org": "550 no such box"}
    page = words(admin.post("/settings/mail"))
    assert "NOT for bob@example.org: 550 no such box." in page
    assert "The test mail failed. It took the mail for ann@example.org and says" in page


def test_what_goes_wrong_is_said_without_the_password(mailing: Any, server: Any) -> None:
    admin, server.password = mailing.client("admin"), "another"
    answer = admin.post("/settings/mail")
    said = f"The test mail failed. The mail server 127.0.0.1:{server.port} did not take the mail"
    assert f"{said} (it refuses the user name or the password)" in words(answer)
    assert "Nothing is lost: alerts wait and trading goes on. Correct the settings" in words(answer)
    assert mail_server.PASSWORD not in answer.text
    server.stop()
    assert "ConnectionRefusedError" in words(admin.post("/settings/mail"))


def test_without_a_server_there_is_nothing_to_test(provisioned: Any) -> None:
    admin = provisioned.client("admin")
    assert "are needed first" in words(admin.get("/settings/mail"))
    assert "No test mail was sent." in words(admin.post("/settings/mail"))
    assert provisioned.client("operator").post("/settings/mail").status_code == 403


def test_today_shows_how_the_alerts_stand(provisioned: Any, trading: Any) -> None:
    trading.day()
    now = provisioned.clock.now()
    told = AlertsStatus(
        at=now, on=("NOTIFY_ON_FAILURE",), recipients=2, sent=41, mails=7, waiting=3, off=12,
        last_sent=now, error="it refuses the password.", error_at=now, failing=True, next_try=now,
    )  # fmt: skip
    provisioned.folder.alerts.write_bytes(msgspec.json.encode(told))
    page = words(provisioned.client("viewer").get("/"))
    assert (
        "Alerts cannot be mailed: it refuses the password. 3 alerts wait and none is lost" in page
    )
    assert "Sent 41 in 7 mails" in page
    trading.tell()
    assert b'"waiting":3' in provisioned.folder.status.read_bytes()
