"""The table of what is logged names every kind of event, and can tell each that was ever stored."""

from datetime import UTC, datetime
from pathlib import Path

from aggregates import catalog
from aggregates.session import Decided
from eventstore.codec import decode
from runtime.log_topics import QUIET, ROUTES, files_of

EVENTS = Path(__file__).resolve().parents[1] / "golden" / "events"


def test_every_kind_of_event_is_in_the_table() -> None:
    named = {event.topic for event in ROUTES} | QUIET
    assert named == catalog.TOPICS.keys()


class Anything:
    """Facts about whatever is asked."""

    actor = "somebody"

    def order(self, _order_id: str) -> None:
        return None

    def was_unknown(self, _order_id: str) -> bool:
        return False

    def result(self) -> str:
        return "1.50"

    def name(self, user_id: str) -> str:
        return f"user {user_id}"


def test_every_event_that_was_ever_stored_can_be_told() -> None:
    told = 0
    for path in sorted(EVENTS.glob("*/*/*.json")):
        topic, version, number = path.parts[-3], int(path.parts[-2][1:]), int(path.name[:4])
        event = decode(topic, version, path.read_bytes(), number, "0.1.0")
        route = ROUTES.get(type(event))
        if route is None:
            assert topic in QUIET
            continue
        said = route.words(event, Anything())
        assert said["message"].strip()
        assert "{" not in said["message"]
        assert list(files_of(route, said)), f"{topic} is in no file"
        told += 1
    assert told > 100


def test_a_put_is_told_by_its_own_symbol_with_the_weak_one_beside_it() -> None:
    """Three contracts are not three shares of what is weak."""
    at = datetime(2026, 3, 2, 17, 16, tzinfo=UTC)
    bought = Decided(
        occurred_at=at, effective_date=at.date(), decision_id="d", strategy="MID", symbol="BRVO",
        kind="bearish", outcome="taken", reason="close far above VWAP", verdicts=(),
        inputs={"instrument": "BRVO260313P00066000", "quantity": "3"}, order_id="o",
    )  # fmt: skip
    said = ROUTES[Decided].words(bought, Anything())
    assert (said["ticker"], said["size"]) == ("BRVO260313P00066000", "3")
    assert said["message"] == "bearish taken: close far above VWAP, on weakness of BRVO"
