"""The mails to people: how they stand, and a test mail with the settings in force (M19)."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from runtime.alert_status import read_alerts
from runtime.connection_tests import send_test_mail
from runtime.settings_change import current_settings
from web.door import folder
from web.frame import BadInput, frame
from web.shared import shared

pages = Blueprint("mails", __name__, url_prefix="/settings/mail")


@pages.route("", methods=["GET", "POST"])
def show() -> str:
    """A POST sends the test mail and shows what the server answers; it takes a minute at most."""
    if not frame().present:
        raise BadInput("Mail is looked at in the present, and a demo has none. Go back to now.")
    settings, now = current_settings(shared().custody()), shared().clock.now()
    tested = send_test_mail(folder(), settings, now) if request.method == "POST" else None
    return render_template(
        "mails.html", mail=settings, tested=tested, alerts=read_alerts(folder()), now=now
    )
