"""Who comes to the set-up (M27): who has the one-time token, until there is an admin."""

from __future__ import annotations

from typing import cast

from flask import Blueprint, Flask, current_app, g, redirect, render_template, request, url_for
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

from aggregates.errors import TradeBotError
from config.clock import Clock
from config.env_file import read_settings
from config.errors import ConfigError
from config.paths import DataFolder
from config.setting_keys import ENV, ENV_BOT
from config.setting_model import KEYS, text_of
from runtime.bot_state import BOOTSTRAPPING, PROVISIONING, REGISTRATION, state_of
from runtime.setup_token import use_token
from web import cookie
from web.setup_memory import BY_NAME, STEPS, SetupDesk, SetupSession, Step
from web.shared import shared

pages = Blueprint("setup", __name__, url_prefix="/setup")
NAME = "tradebot-setup"


class Locked(Forbidden):
    """No set-up session: the page says how to get one. ``description`` says what was wrong."""


def add_setup(app: Flask, clock: Clock) -> None:
    """Everything leads to the set-up while the bot is not set up; afterwards nothing does."""
    app.extensions[NAME] = SetupDesk(clock)
    app.before_request(_lead)


def desk() -> SetupDesk:
    return cast(SetupDesk, current_app.extensions[NAME])


def folder() -> DataFolder:
    return DataFolder(shared().queries.data_dir)


def session() -> SetupSession:
    """That of the present request, which has one."""
    return cast(SetupSession, g.setup)


def phase() -> str:
    """The bot's state while it has a set-up ahead; empty for ever once it has none."""
    if desk().ready or folder().demo.exists():
        return ""
    try:
        state = state_of(folder())
    except TradeBotError:  # a store that cannot be read: its pages say so
        return ""
    if state in (BOOTSTRAPPING, PROVISIONING, REGISTRATION):
        return state
    desk().ready = True
    return ""


def _lead() -> Response | None:
    if request.endpoint == "static":
        return None
    here = request.blueprint == pages.name
    g.setup_phase = phase()
    if not g.setup_phase:
        return redirect("/", 303) if here else None
    return None if here else redirect(url_for("setup.begin"), 303)


@pages.before_request
def _enter() -> Response | None:
    if request.endpoint == "setup.begin":
        return None
    g.setup = _found()
    wanted, job = _wanted(), session().job
    if wanted and request.endpoint not in {wanted, "setup.progress" if job else wanted}:
        return redirect(url_for(wanted), 303)
    if not wanted and request.endpoint == "setup.admin":
        return redirect(url_for("setup.begin"), 303)
    return None


def _wanted() -> str:
    """The one page that is open now; none while the steps are."""
    job = session().job
    if g.setup_phase == REGISTRATION:
        return "setup.admin"
    if g.setup_phase == PROVISIONING or (job and not job.failure):
        return "setup.progress"
    return ""


def _found() -> SetupSession:
    found = desk().session(cookie.sent_token())
    if found is None:
        raise Locked("")
    return found


@pages.errorhandler(Locked)
def _locked(e: Locked) -> tuple[str, int]:
    reason = e.description or ""
    page = render_template("setup_locked.html", reason=reason, folder=folder())
    return page, 403 if reason or request.method == "POST" else 200


@pages.get("")
def begin() -> Response:
    """With the token: a session. With a session: the first step that is to be done."""
    token = request.args.get("token", "")
    if token:
        if not use_token(folder(), token):
            raise Locked(
                "This token does not hold: it was used already, or `tbot run` was started again "
                "after it was printed. Nothing was changed."
            )
        desk().open(cookie.renew(), _prefilled())
        return redirect(url_for("setup.begin"), 303)
    found = _found()
    if g.setup_phase == REGISTRATION:
        return redirect(url_for("setup.admin"), 303)
    first = next((s for s in STEPS[:6] if s.name not in found.visited), BY_NAME["summary"])
    return redirect(address(first), 303)


@pages.app_template_global("setup_address")
def address(step: Step) -> str:
    """Where a step is."""
    return url_for("setup.step", name=step.name) if step.keys else url_for(f"setup.{step.name}")


def _prefilled() -> dict[str, str]:
    """What files of settings say, where there are any; and the port at which we are asked."""
    port = request.environ.get("SERVER_PORT", "")
    texts = {"WEB_PORT": port} if port.isascii() and port.isdigit() else {}
    root = folder().root
    if not any((root / file).exists() for file in (ENV_BOT, ENV)):
        return texts
    try:
        settings = read_settings(root)
    except ConfigError:  # `tbot run` refuses such files and names every fault
        return texts
    return {name: text_of(settings, name) for name in KEYS}
