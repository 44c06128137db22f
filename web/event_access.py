"""Which events one may see: those that tell of people are for whom the page of activity is for."""

from __future__ import annotations

from web.access import may, require

PEOPLES = "User"  # the family of events with names, e-mail and network addresses
WHOSE_PAGE = "activity.show"


def hidden() -> str:
    """The family that is left out of what the present user asks for; empty when none is."""
    return "" if may(WHOSE_PAGE) else PEOPLES


def check_topic(topic: str) -> None:
    """Raises NotAllowed for a topic, or a family of them, that the present user may not see."""
    if topic.partition(".")[0] == PEOPLES:
        require(WHOSE_PAGE)
