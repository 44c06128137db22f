"""The chart of accounts: the tree, what posts where, its versions, and the forms that change it."""

from __future__ import annotations

from decimal import Decimal

from flask import Blueprint, Response, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from aggregates.chart_edits import TYPES
from aggregates.chart_of_accounts import Account, Chart, ChartMoved, EditRefused, changes_between
from runtime.chart_change import change_chart
from runtime.chart_versions import ChartVersion
from runtime.dispatch import BooksMoved
from runtime.export_chart import CHART_KINDS, chart_export
from web.access import actor, guarded, people
from web.chart_forms import FIELDS, Typed, check_may_change, done, edit_of, may_change, typed
from web.chart_views import own_balances, rows_of, sides, tops
from web.chart_words import ROLE_WORDS
from web.forms import command_id, notice
from web.frame import NotThere, frame, number
from web.ledger import TYPES as TYPE_NAMES
from web.shared import shared

pages = Blueprint("accounts", __name__, url_prefix="/accounts")
Answer = str | tuple[str, int] | Redirect
MEDIA = {"json": "application/json", "csv": "text/csv", "md": "text/markdown"}


@pages.get("")
def tree() -> str:
    """The chart in force at the moment of the page, with balances."""
    versions = _versions()
    if not versions:
        return render_template("accounts_none.html")
    chart = versions[-1].chart
    own = own_balances()
    groups = [
        (name, [row for top in tops(chart, kind) for row in rows_of(chart, own, top)])
        for kind, name in TYPE_NAMES.items()
    ]
    return render_template(
        "accounts.html",
        newest=versions[-1],
        groups=[(name, rows) for name, rows in groups if rows],
        may_change=may_change(),
        exports=CHART_KINDS,
    )


def _versions() -> list[ChartVersion]:
    return shared().queries.chart_versions(frame().clocks)


@pages.get("/roles")
def roles() -> str:
    """What posts where: every role of the rules with its account."""
    versions = _versions()
    if not versions:
        return render_template("accounts_none.html")
    return render_template(
        "accounts_roles.html",
        chart=versions[-1].chart,
        words=ROLE_WORDS,
        types=TYPE_NAMES,
        may_change=may_change(),
    )


@pages.get("/versions")
def versions() -> str:
    """Who changed the chart, when and why; newest first."""
    everybody = people().users.people.values() if guarded() else ()
    names = {each.id: each.name for each in everybody}
    return render_template("accounts_versions.html", versions=_versions()[::-1], names=names)


@pages.get("/difference")
def difference() -> str:
    """Two versions side by side; without numbers the last two."""
    found = {v.version: v for v in _versions()}
    newest = max(found, default=0)
    numbers = number("from", max(newest - 1, 1), 1), number("to", newest, 1)
    for asked in numbers:
        if asked not in found:
            raise NotThere(
                f"There is no version {asked} of the chart at this moment; it has {newest}."
            )
    old, new = (found[n] for n in numbers)
    return render_template(
        "accounts_difference.html",
        old=old,
        new=new,
        numbers=list(found),
        changes=list(changes_between(old.chart, new.chart)),
        sides=sides(old.chart, new.chart),
    )


@pages.get("/export/<kind>")
def export(kind: str) -> Response:
    """The chart at the moment of the page as a file."""
    if kind not in CHART_KINDS:
        raise NotThere(f"There is no export {kind[:20]!r}; there are {', '.join(CHART_KINDS)}.")
    name, data = chart_export(shared().queries, kind, frame().clocks)
    answer = Response(data, mimetype=MEDIA[kind])
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


# -- forms ---------------------------------------------------------------------------------


@pages.get("/new")
def new() -> Answer:
    check_may_change()
    return _new(Typed())


@pages.get("/account/<code>")
def account(code: str) -> Answer:
    """One account with the forms that change it."""
    check_may_change()
    return _account(code, Typed())


@pages.get("/role/<role>")
def role(role: str) -> Answer:
    """Where a role posts, and the form that maps it elsewhere."""
    check_may_change()
    return _role(role, Typed())


@pages.post("/check/<what>")
def check(what: str) -> str:
    """While one types: what is wrong, to be put beside the fields."""
    check_may_change()
    sent = typed(what)
    sent.faults = edit_of(sent).faults(_present())
    # nobody is told of a field that is still empty while another one is being typed; but that a
    # reason is needed, as nothing else in the form may be missing
    sent.faults = {n: why for n, why in sent.faults.items() if sent.values.get(n) or n == "reason"}
    return render_template("accounts_check.html", sent=sent, names=FIELDS[what])


@pages.post("/edit/<what>")
def edit(what: str) -> Answer:
    """Record one edit and rotate, then show what is in force."""
    check_may_change()
    sent = typed(what)
    try:
        change = change_chart(
            shared().custody(),
            shared().queries,
            edit_of(sent),
            actor=actor(),
            command_id=command_id(f"chart-{what}"),
        )
    except EditRefused as e:
        sent.faults = e.faults
        return _again(sent), 422
    except ChartMoved as e:
        sent.moved = e.changes
        sent.faults = {"seen": f"Somebody changed the chart since you saw version {e.seen}."}
        return _again(sent), 409
    except BooksMoved as e:
        sent.faults = {"seen": str(e)}
        return _again(sent), 409
    if change.unwritten:
        notice(f"{done(sent)} {change.unwritten}", "warn")
    else:
        notice(done(sent))
    if what == "map":
        return redirect(url_for("accounts.roles"), 303)
    return redirect(url_for("accounts.account", code=sent.values.get("code", "")), 303)


def _again(sent: Typed) -> str:
    """The page of the form, with everything as it was typed."""
    if sent.what == "new":
        return _new(sent)
    if sent.what == "map":
        return _role(sent.values.get("role", ""), sent)
    return _account(sent.values.get("code", ""), sent)


def _new(sent: Typed) -> str:
    chart = _present()
    return render_template(
        "accounts_new.html",
        sent=sent,
        seen=chart.version,
        type_choices=[(kind, kind) for kind in TYPES],
        parents=_parents(chart),
    )


def _account(code: str, sent: Typed) -> str:
    chart = _present()
    found = chart.account(code)
    if found is None:
        raise NotThere(f"There is no account {code[:20]!r} in the chart of accounts.")
    parents = [p for p in _parents(chart) if p.type == found.type and p.code != code]
    return render_template(
        "accounts_account.html",
        sent=sent,
        seen=chart.version,
        account=found,
        roles=chart.roles_of(code),
        below=chart.below(code),
        balance=own_balances().get(code, Decimal(0)),
        parents=parents,
        closing=_why_open(code, chart) if found.active else "",
        type=TYPE_NAMES[found.type],
    )


def _why_open(code: str, chart: Chart) -> str:
    """Why an account cannot be deactivated now; empty when it can."""
    asked = Typed("deactivate", {"code": code, "reason": "asked"}, seen=chart.version)
    return edit_of(asked).faults(chart).get("code", "")


def _role(role: str, sent: Typed) -> str:
    chart = _present()
    if role not in chart.mapping:
        raise NotThere(f"There is no role {role[:40]!r} in the posting rules.")
    now = chart.account(chart.mapping[role])
    fitting = [
        a
        for a in chart.accounts
        if now and a.active and (a.type, a.per_instrument) == (now.type, now.per_instrument)
    ]
    return render_template(
        "accounts_role.html",
        sent=sent,
        seen=chart.version,
        role=role,
        words=ROLE_WORDS.get(role, ""),
        now=now,
        fitting=fitting,
    )


def _present() -> Chart:
    return shared().queries.chart()


def _parents(chart: Chart) -> list[Account]:
    return [a for a in chart.accounts if a.active and not a.per_instrument]


@pages.app_template_filter("role_words")
def role_words(roles: list[str]) -> str:
    """cash_float, fees → cash float, fees."""
    return ", ".join(roles).replace("_", " ")


@pages.app_template_filter("account_choices")
def account_choices(accounts: list[Account]) -> list[tuple[str, str]]:
    """Accounts as the choices of a field."""
    return [(a.code, f"{a.code} {a.name}") for a in accounts]
