"""Every route, every role, and nobody: what the table says is what is answered."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from aggregates.users import ROLES
from web.app import create_app
from web.permissions import PERMISSIONS, PUBLIC

VALUES = {
    "filename": "site.css", "day": "2026-03-02", "code": "1010", "position": "1", "name": "x",
    "token": "x", "user_id": "x", "number": "1", "path": "x",
}  # fmt: skip
# Rows that were refused for another reason: what was asked for is not there, the form is empty
REFUSED_OTHERWISE = {200, 303, 400, 404, 409, 410, 422, 429}


def routes(app: Flask) -> list[tuple[str, str, str]]:
    """Endpoint, address and method of every rule, but for the methods that Flask adds."""
    found = []
    for rule in app.url_map.iter_rules():
        with app.test_request_context(base_url="https://localhost"):
            values = {name: VALUES.get(name, "x") for name in rule.arguments}
            address = app.url_for(rule.endpoint, **values, _external=False)
        methods = (rule.methods or set()) & {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"}
        found += [(rule.endpoint, address, method) for method in sorted(methods)]
    return found


def ask(client: Any, address: str, method: str) -> int:
    """The code; what is answered is not read, so a stream ends here like any other answer."""
    with client.open(address, method=method) as answer:
        return int(answer.status_code)


def test_every_route_is_in_the_table_and_the_table_has_no_other(provisioned: Any) -> None:
    listed = {endpoint for endpoint, _, _ in routes(provisioned.app)}
    assert listed - set(PERMISSIONS) == set(), "routes that answer nobody: list them"
    assert set(PERMISSIONS) - listed == set(), "names of routes that are no more"
    assert all(roles == PUBLIC or roles <= set(ROLES) for roles in PERMISSIONS.values())


def test_changes_are_made_by_post_alone(provisioned: Any) -> None:
    assert {method for _, _, method in routes(provisioned.app)} <= {"GET", "HEAD", "POST"}


def test_no_route_takes_a_form_by_another_method(provisioned: Any) -> None:
    """With or without a body, and whatever a header says of the method that is meant."""
    admin = provisioned.client("admin")
    newest = provisioned.app.extensions["tradebot"].queries.newest
    before = newest()
    form = {"command_id": "ab" * 16, "name": "eve", "role": "admin", "reason": "x", "confirm": "1"}
    meant = {"X-HTTP-Method-Override": "POST", "X-HTTP-Method": "POST"}
    for endpoint, address, method in routes(provisioned.app):
        if method == "HEAD":
            read = ask(admin, address, "GET")
            assert ask(admin, address, "HEAD") == read, endpoint
            for other in ("HEAD", "GET"):
                with admin.open(address, method=other, data=form, headers=meant) as answer:
                    assert answer.status_code == read, f"{other} {endpoint}"
        for other in ("OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "POSTX"):
            with admin.open(address, method=other, data=form, headers=meant) as answer:
                assert answer.status_code == 405, f"{other} {endpoint}"
    assert newest() == before


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_answered_as_the_table_says(provisioned: Any, role: str) -> None:
    for endpoint, address, method in routes(provisioned.app):
        client = provisioned.client(role)  # anew: signing out and changes end sessions
        code = ask(client, address, method)
        allowed = PERMISSIONS[endpoint]
        what = f"{role} {method} {endpoint}: {code}"
        if allowed == PUBLIC or role in allowed:
            assert code in REFUSED_OTHERWISE, what
        else:
            assert code == 403, what


def test_who_is_not_signed_in_is_led_to_the_door(provisioned: Any) -> None:
    for endpoint, address, method in routes(provisioned.app):
        client = provisioned.client(None)
        with client.open(address, method=method) as answer:
            what = f"{method} {endpoint}: {answer.status_code}"
            if PERMISSIONS[endpoint] == PUBLIC:
                assert answer.status_code in {*REFUSED_OTHERWISE, 401}, what
            else:
                # programs are told, people are led there
                assert answer.status_code == (401 if endpoint.startswith("api.") else 303), what
                assert answer.headers.get("Location", "/sign-in").startswith("/sign-in"), what


def test_a_demo_is_read_on_its_machine_and_never_changed(queries: Any) -> None:
    app = create_app(queries)
    client = app.test_client()
    for endpoint, address, method in routes(app):
        allowed, code = PERMISSIONS[endpoint], ask(client, address, method)
        what = f"demo {method} {endpoint}: {code}"
        if endpoint == "static" or endpoint.startswith("setup."):
            assert code in {200, 303, 403}, what  # there is no set-up left
        elif method != "POST" and allowed == set(ROLES) and not endpoint.startswith("users."):
            assert code in {200, 303, 400, 404}, what
            elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
            assert client.get(address, environ_overrides=elsewhere).status_code == 403, what
        else:
            assert code == 403, what


def test_what_is_refused_says_who_may_and_is_recorded_once_a_minute(provisioned: Any) -> None:
    client = provisioned.client("accountant")
    for _ in range(3):
        refused = client.get("/users")
        assert refused.status_code == 403
        assert "admin" in refused.text
        assert "Your role is accountant" in refused.text
    asked = provisioned.app.extensions["tradebot"].queries.events

    def denials() -> list[dict[str, Any]]:
        return [e.payload for e in asked(topics=("User.Denied",))]

    (one,) = denials()
    assert (one["route"], one["method"], one["role"]) == ("users.every", "GET", "accountant")
    provisioned.later(minutes=1)
    client.get("/users")
    assert len(denials()) == 2


def test_an_address_that_leads_nowhere_tells_a_visitor_nothing(provisioned: Any) -> None:
    answer = provisioned.client(None).get("/nowhere")
    assert answer.status_code == 404
    assert "ACME" not in answer.text
    assert "ACME" in provisioned.client("viewer").get("/nowhere").text


def test_a_part_of_a_page_leads_the_whole_page_to_the_door(provisioned: Any) -> None:
    answer = provisioned.client(None).get("/badge", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/sign-in")
