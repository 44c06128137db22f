"""The steps of the set-up (M27): one a page, no script needed, from identity to the first admin.

What is typed stays in memory until the bot is provisioned; nothing is on the disk before.
"""

from __future__ import annotations

from typing import Any

from flask import Response as Answer
from flask import g, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from aggregates.users import email_fault, name_fault
from config.setting_check import Finding
from config.setting_model import KEYS
from config.this_machine import is_this_machine
from runtime.bot_state import PROVISIONING, REGISTRATION
from runtime.connected import Result
from runtime.connection_tests import (
    try_broker,
    try_connections,
    try_mail,
    try_market_data,
    usable,
)
from runtime.people import FormFaults, People
from runtime.provisioning import STEPS as PROVISIONING_STEPS
from runtime.provisioning_job import ProvisioningJob
from runtime.recovery_key import kept_file, recipient_of
from runtime.setup_token import drop_token
from web.forms import command_id, notice
from web.setting_fields import BESIDE, FieldGroup, field_groups, read_form
from web.setup_gate import add_setup, address, desk, folder, pages, phase, session
from web.setup_memory import BY_NAME, DEPOSIT, STEPS, Step, in_capitals, printable
from web.shared import shared

__all__ = ["add_setup", "pages"]

OWN_FIELDS = BESIDE | {DEPOSIT, "go"}
TESTS = {"broker": try_broker, "data": try_market_data, "mail": try_mail}
CHOOSE_ONE = "Choose a password"
LONGEST_KEPT = 4096  # characters of a recovery key's file


def _page(template: str, step: Step, code: int = 200, **more: Any) -> tuple[str, int]:
    visited = session().visited
    page = render_template(
        template,
        step=step,
        steps=STEPS,
        number=STEPS.index(step) + 1,
        visited=visited,
        known_settings=KEYS,
        **more,
    )
    return page, code


def _after(step: Step) -> Response:
    """On to the next step."""
    session().visited.add(step.name)
    return redirect(address(STEPS[STEPS.index(step) + 1]), 303)


# -- the steps that ask for settings -------------------------------------------------------


@pages.route("/step/<name>", methods=["GET", "POST"])
def step(name: str) -> tuple[str, int] | Response:
    here = BY_NAME.get(name)
    if here is None or not here.keys:
        raise NotFound
    if request.method == "GET":
        return _fields(here, [])
    found = _take(here)
    if found:
        return _fields(here, found, 422)
    if request.form.get("go") == "test" and name in TESTS:
        return _fields(here, [], result=TESTS[name](folder(), session().settings_so_far()))
    return _after(here)


def _take(here: Step) -> list[Finding]:
    """Keep what was typed, right or wrong; what is wrong with it."""
    sent = read_form(request.form, OWN_FIELDS)
    session().values.update(
        (n, in_capitals(n, text)) for n, text in sent.texts.items() if n in here.keys
    )
    if DEPOSIT in request.form and here.name == "broker":
        session().deposit = printable(request.form[DEPOSIT].strip())
    return [*sent.faults, *session().faults(here)]


def _fields(
    here: Step, found: list[Finding], code: int = 200, result: Result | None = None
) -> tuple[str, int]:
    values = session().values
    groups = [
        FieldGroup(g.id, g.title, fields)
        for g in field_groups(
            {}, values, found=found,
            given={name: bool(text) for name, text in values.items()},
        )
        if (fields := [f for f in g.fields if f.name in here.keys])
    ]  # fmt: skip
    return _page(
        f"setup_{here.name}.html", here, code,
        groups=groups, found=found, fields={f.name: f for g in groups for f in g.fields},
        deposit=session().deposit, currency=values["CURRENCY_CODE"], result=result,
        market_data=folder().market_data,
        deposit_fault=next((f.text for f in found if f.keys == (DEPOSIT,)), ""),
    )  # fmt: skip


# -- the recovery key ----------------------------------------------------------------------


@pages.route("/recovery", methods=["GET", "POST"])
def recovery() -> tuple[str, int] | Response:
    """Shown until it is given back; then only its public half is kept."""
    here, mine = BY_NAME["recovery"], session()
    if request.method == "GET":
        return _recovery()
    if request.form.get("go") == "new":
        mine.recipient, mine.key = "", None
        return _recovery()
    if mine.recipient:
        return _after(here)
    file = request.files.get("file")
    given = request.form.get("kept", "") + (
        file.read(LONGEST_KEPT).decode("utf-8", "replace") if file else ""
    )
    fault = _kept_fault(given[: 2 * LONGEST_KEPT])
    if fault:
        return _recovery(fault, 422)
    mine.confirm()
    return _after(here)


def _kept_fault(given: str) -> str:
    if not given.strip():
        return "Paste the key, or choose the file that you kept: without it nobody can recover."
    recipient = recipient_of(given)
    if not recipient:
        return "That is not a recovery key. It begins with AGE-SECRET-KEY-1; give all of its line."
    if recipient != session().recovery_key().recipient:
        return "That is another recovery key. Give the one that this page shows."
    return ""


def _recovery(fault: str = "", code: int = 200) -> tuple[str, int]:
    mine = session()
    key = None if mine.recipient else mine.recovery_key()
    here = BY_NAME["recovery"]
    return _page("setup_recovery.html", here, code, key=key, recipient=mine.recipient, fault=fault)


@pages.get("/recovery-key.txt")
def recovery_file() -> Answer | Response:
    if session().recipient:  # it is gone
        return redirect(url_for("setup.recovery"), 303)
    bot = "_".join(session().values[name] for name in
                   ("ENTITY_CODE", "JURISDICTION_CODE", "BROKER_CODE", "BOT_ID"))  # fmt: skip
    text = kept_file(session().recovery_key(), "".join(c for c in bot if c.isalnum() or c == "_"))
    answer = Answer(text, mimetype="text/plain")
    answer.headers["Content-Disposition"] = "attachment; filename=tradebot-recovery-key.txt"
    return answer


# -- the summary, and provisioning ---------------------------------------------------------


@pages.route("/summary", methods=["GET", "POST"])
def summary() -> tuple[str, int] | Response:
    """All tests are made when the page is shown, and once more before anything is written."""
    mine, here = session(), BY_NAME["summary"]
    todo = mine.unfinished()
    results = [] if todo else try_connections(folder(), mine.settings())
    fine = not todo and usable(results)
    if request.method == "GET" or not fine:
        settings = None if todo else mine.settings()
        return _page(
            "setup_summary.html", here, 422 if request.method == "POST" else 200,
            todo=todo, results=results, fine=fine, settings=settings, values=mine.values,
            deposit=mine.opening_deposit() if settings else None, folder=folder(),
        )  # fmt: skip
    _start()
    return redirect(url_for("setup.progress"), 303)


def _start() -> None:
    """Begin provisioning, unless it runs already."""
    mine = session()
    mine.visited.add("summary")
    with desk().lock:
        if mine.job is None or mine.job.failure:
            mine.job = ProvisioningJob(
                folder(), mine.settings(), mine.recipient,
                clock=desk().clock, deposit=mine.opening_deposit(),
            )  # fmt: skip


@pages.route("/progress", methods=["GET", "POST"])
def progress() -> tuple[str, int] | Response:
    """Asks for itself anew until the job has ended; POST tries a failed one again."""
    job = session().job
    if request.method == "POST":
        if job is not None and job.failure:
            _start()
        return redirect(url_for("setup.progress"), 303)
    running = job is not None and not job.finished and not job.failure
    if not running and request.headers.get("HX-Request"):
        return Answer(headers={"HX-Refresh": "true"})  # the whole page changes
    if job is not None and job.finished:
        return redirect(url_for("setup.admin"), 303)
    return _page(
        "setup_progress.html", BY_NAME["summary"],
        job=job, running=running, names=list(PROVISIONING_STEPS.values()),
        done=job.done if job else 0, interrupted=job is None and g.setup_phase == PROVISIONING,
    )  # fmt: skip


# -- the first admin -----------------------------------------------------------------------


@pages.route("/admin", methods=["GET", "POST"])
def admin() -> tuple[str, int] | Response:
    people = People(shared().custody())
    if request.method == "GET":
        return _admin(people, {}, {})
    typed = {name: printable(request.form.get(name, "")) for name in ("name", "email")}
    with desk().lock:
        faults = _register(people, typed)
    if faults:
        return _admin(people, typed, faults, 422)
    drop_token(folder())
    desk().close()
    notice(f"{typed['name'].strip()} is registered. Sign in to see the dashboard.{_later(people)}")
    return redirect("/", 303)


def _later(people: People) -> str:
    """What the set-up's own pages do not follow: they stay where they are up to the next start."""
    s = people.settings
    if s.WEB_ENABLED and is_this_machine(s.WEB_HOST) and not (s.TRUSTED_PROXY or s.TRUSTED_HOSTS):
        return ""
    return (
        " Until `tbot run` is started again the pages stay on this machine alone; then WEB_ENABLED,"
        " WEB_HOST, TRUSTED_PROXY and TRUSTED_HOSTS hold as you set them."
    )


def _admin(
    people: People, typed: dict[str, str], faults: dict[str, str], code: int = 200
) -> tuple[str, int]:
    least = people.settings.PASSWORD_MIN_LENGTH
    here = BY_NAME["admin"]
    return _page("setup_admin.html", here, code, typed=typed, faults=faults, least=least)


def _register(people: People, typed: dict[str, str]) -> dict[str, str]:
    """Register the first admin; what is wrong, by field. Nobody, when there is one already."""
    password = request.form.get("password", "")
    again = password == request.form.get("again", "")
    faults = {
        "name": name_fault(typed["name"]),
        # to the people's register no password means that a link will set it
        "password": people.password_fault(password, typed["name"]) if password else CHOOSE_ONE,
        "again": "" if again else "The two passwords are not the same",
        "email": email_fault(typed["email"].strip()),
    }
    if found := {field: text for field, text in faults.items() if text}:
        return found
    if phase() != REGISTRATION:
        return {}
    try:
        people.register(
            typed["name"], password, "admin", email=typed["email"].strip(), actor="setup",
            command_id=command_id("first-admin"),
        )  # fmt: skip
    except FormFaults as e:
        return e.faults
    return {}
