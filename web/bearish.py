"""What is bought on weakness: what the strategies ask for, the mapping of inverse ETFs (M11)."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from flask import Blueprint, render_template, request

from aggregates.errors import DomainError
from aggregates.instrument import check_symbol
from aggregates.inverse_etfs import (
    REASON_LONGEST,
    MapInverseEtf,
    MappingMoved,
    UnmapInverseEtf,
)
from runtime.bearish_view import mapping_view
from web.access import may
from web.frame import entered, frame, seen, stamped
from web.recorded import Answer, reason_fault, recorded
from web.setting_form import values_of
from web.shared import shared

pages = Blueprint("bearish", __name__, url_prefix="/bearish")
STRATEGIES = ("OPEN", "MID", "CLOSE")
MEANING = {
    "disabled": "weakness is judged and recorded, and nothing is bought on it",
    "InverseETF": "the inverse ETF that is mapped below to the weak symbol is bought",
    "LongPut": "a put on the weak symbol is bought, chosen within the limits of PUT_…",
}
LIMITS = {
    "PUT_MIN_EXPIRY_DAYS": "days", "PUT_MAX_EXPIRY_DAYS": "days", "PUT_MIN_DELTA": "without sign",
    "PUT_MAX_DELTA": "without sign", "PUT_MAX_SPREAD_PCT": "of the mid price",
    "PUT_MIN_OPEN_INTEREST": "contracts",
}  # fmt: skip
OF_SYMBOLS = "1 to 24 characters without blanks or slashes"
LARGEST = Decimal(10)  # more is a typing error: no fund moves ten times as fast


@pages.get("")
def show() -> Answer:
    """As of the moment of the page; forms for those who may change it."""
    return _page("", {})


@pages.post("/map")
def put() -> Answer:
    """Map a symbol to its inverse ETF, or to another one."""
    typed = {name: entered(name) for name in ("underlying", "etf", "leverage", "map-reason")}
    faults = _faults(typed)
    leverage = _number(typed["leverage"])
    if faults or leverage is None:
        return _page("map", faults), 422
    command = MapInverseEtf(
        **stamped(), underlying=typed["underlying"].upper(), etf=typed["etf"].upper(),
        leverage=leverage, reason=typed["map-reason"], seen=seen(),
    )  # fmt: skip
    said = f"Weakness of {command.underlying} buys {command.etf} from the next entry on."
    # SHORT_TYPE_…: a mapping is only looked at where one of them is InverseETF
    if "InverseETF" not in [value for _, value, _ in _asked_for()]:
        said = (
            f"{command.underlying} is mapped to {command.etf}. Nothing is bought by it while no "
            "SHORT_TYPE_… is InverseETF."
        )
    return recorded(
        command, _page, of="bearish", form="map", field="etf", moved=MappingMoved, said=said
    )


@pages.post("/unmap")
def take_out() -> Answer:
    """From then on weakness of the symbol finds no inverse ETF; what is held is sold as before."""
    symbol, reason = entered("symbol").upper(), entered("unmap-reason")
    if faults := reason_fault("unmap-reason", reason, REASON_LONGEST):
        return _page("unmap", faults), 422
    command = UnmapInverseEtf(**stamped(), underlying=symbol, reason=reason, seen=seen())
    said = f"Nothing is mapped to {symbol} any more; what is held of its ETF is sold as before."
    return recorded(
        command, _page, of="bearish", form="unmap", field="symbol", moved=MappingMoved, said=said
    )


# What was typed


def _faults(typed: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, label in (("underlying", "Weak symbol"), ("etf", "Inverse ETF")):
        try:
            check_symbol(typed[name])
        except DomainError:
            found[name] = f"{label}: a symbol such as SPY, {OF_SYMBOLS}"
    if _number(typed["leverage"]) is None:
        found["leverage"] = "A number above 0, at most 10, such as 1, 2 or 3"
    return found | reason_fault("map-reason", typed["map-reason"], REASON_LONGEST)


def _number(text: str) -> Decimal | None:
    """A plain number above 0 with at most two decimals; a missing one is never filled in."""
    try:
        found = Decimal(text) if text.isascii() and set(text) <= set("0123456789.") else Decimal(0)
    except InvalidOperation:
        return None
    exponent = found.as_tuple().exponent
    fits = isinstance(exponent, int) and exponent >= -2
    return found if fits and 0 < found <= LARGEST else None


# The page


def _page(form: str, faults: dict[str, str], *, moved: bool = False) -> str:
    around = frame()
    mapping = shared().queries.of_history(mapping_view, around.clocks)
    return render_template(
        "bearish.html",
        mapping=mapping,
        strategies=_asked_for(),
        limits=_limits(),
        broker=_settings().get("BROKER_NAME", ""),
        form=form,
        faults=faults,
        moved=moved,
        typed=request.form if form else {},
        longest=REASON_LONGEST,
        may_change=around.present and may("bearish.put"),
    )


def _settings() -> dict[str, str]:
    """In force at the moment of the page; none in a demo from before there were any."""
    history = shared().queries.settings(frame().clocks)
    return values_of(history, history[-1].number) if history else {}


def _asked_for() -> list[tuple[str, str, str]]:
    """Of each strategy the setting, its value and what that means."""
    values = _settings()
    names = [f"SHORT_TYPE_{name}" for name in STRATEGIES]
    return [(n, values[n], MEANING.get(values[n], "")) for n in names if n in values]


def _limits() -> list[tuple[str, str, str]]:
    """Each with its unit."""
    values = _settings()
    return [(name, values[name], unit) for name, unit in LIMITS.items() if name in values]
