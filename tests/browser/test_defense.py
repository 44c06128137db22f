"""Defense mode by hand: who switches it and what is shown of it; the setting is on its own."""

from __future__ import annotations

import html
import re
from typing import Any

from runtime.settings_change import change_settings


def words(answer: Any, code: int = 200) -> str:
    assert answer.status_code == code, answer.text
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.text)))


def switched(bot: Any) -> list[Any]:
    found = bot.app.extensions["tradebot"].queries.events(topics=("Control.DefenseSwitched",))
    return [(e.payload["active"], e.payload["reason"], e.actor) for e in found]


def test_it_is_switched_on_and_off_with_a_reason(provisioned: Any, trading: Any) -> None:
    trading.day()
    operator, me = provisioned.client("operator"), provisioned.ids["operator"]
    assert "Defense mode:" not in words(operator.get("/"))
    page = words(operator.get("/control/defense"))
    assert "Defense mode off" in page
    assert "Invested at most 0.25 of equity while it is active, 0.5 otherwise" in page
    assert "Size of a trade 0.5 of the usual size while it is active" in page
    refused = words(operator.post("/control/defense", data={"active": "on"}), 422)
    assert "Nothing was switched" in refused
    assert "A reason is needed" in refused
    assert not switched(provisioned)
    on = {"active": "on", "reason": "news at noon"}
    assert operator.post("/control/defense", data=on).status_code == 303
    page = words(operator.get("/"))
    assert "Defense mode: on by hand since 2026-03-02 15:00:00 UTC" in page
    assert "operator: news at noon" in page
    provisioned.later(minutes=10)
    assert "Defense mode: on by hand since 2026-03-02" in words(operator.get("/"))
    off = {"active": "off", "reason": "calm again"}
    assert operator.post("/control/defense", data=off).status_code == 303
    assert "Defense mode:" not in words(operator.get("/"))
    assert switched(provisioned) == [(True, "news at noon", me), (False, "calm again", me)]


def test_the_setting_is_on_its_own(provisioned: Any, trading: Any) -> None:
    trading.day()
    change_settings(
        trading.custody, {"DEFENSE_MODE_ACTIVE": "true"}, seen=1, actor="test", reason="",
        command_id="defense-on",
    )  # fmt: skip
    operator = provisioned.client("operator")
    assert "Defense mode: on by the setting DEFENSE_MODE_ACTIVE" in words(operator.get("/"))
    on = {"active": "on", "reason": "both"}
    assert operator.post("/control/defense", data=on).status_code == 303
    assert ", and by the setting." in words(operator.get("/"))
    assert "It stays active: the setting is on" in words(operator.get("/control/defense"))


def test_who_may_not_reads_it_and_switches_nothing(provisioned: Any, trading: Any) -> None:
    trading.day()
    viewer = provisioned.client("viewer")
    assert "/control/defense" not in viewer.get("/").text
    on = {"active": "on", "reason": "not mine"}
    assert viewer.post("/control/defense", data=on).status_code == 403
    assert not switched(provisioned)
