"""The newest chapter of the golden history: every kind of event, by public commands.

Only the newest chapter is here. Earlier ones are files in tests/golden/events, which are never made
again. The README there says when a new chapter begins.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from aggregates.base import Command
from aggregates.capital import RecordFee
from aggregates.chart_edits import (
    CreateAccount,
    DeactivateAccount,
    MapRole,
    MoveAccount,
    ReactivateAccount,
    RenameAccount,
)
from aggregates.configuration import Change, ChangeSettings
from aggregates.keys import IntroduceSigner, RecordRotation, RenewKeys
from aggregates.order_messages import IntendOrder, RecordFill
from aggregates.user_activity import (
    RecordDenial,
    RecordFailedSignIn,
    RecordResetLink,
    RecordSignIn,
    RecordSignOut,
)
from aggregates.users import (
    ChangePassword,
    ChangeRole,
    DeactivateUser,
    EnrolSecondFactor,
    ReactivateUser,
    RegisterUser,
    RemoveSecondFactor,
    SignOutEverywhere,
    UseRecoveryCode,
)
from runtime.dispatch import Dispatcher

CHAPTER = 2
SOFTWARE = "0.1.0"  # what wrote this chapter
OPENED = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)  # the store's clock when the chapter begins
IDENTITY = "DEMO_USA_SIM_01"
D = Decimal


class Scribe:
    """Sends commands under readable ids, which name the files; gives the last event's position."""

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch
        self._day = ""

    def head(self) -> int:
        return self._dispatch.store.head().position

    def day(self, day: str) -> None:
        self._day = day

    def make(self, kind: type, /, at: str = "15:00", on: str = "", **fields: Any) -> Command:
        moment = datetime.fromisoformat(f"{self._day} {at}").replace(tzinfo=UTC)
        made: Command = kind(
            at=moment, effective_date=date.fromisoformat(on or self._day), **fields
        )
        return made

    def send(self, name: str, *commands: Command, thread: str = "", cause: str = "") -> int:
        done = self._dispatch(
            *commands, command_id=f"{CHAPTER}:{name}", correlation=thread, causation=cause
        )
        return done.positions[-1]

    def do(self, name: str, kind: type, /, **fields: Any) -> int:
        return self.send(name, self.make(kind, **fields))

    def money(self, name: str, kind: type, amount: str, /, **fields: Any) -> int:
        return self.do(
            name, kind, reference=name, currency="USD", amount=D(amount), reason=f"golden {name}",
            **fields,
        )  # fmt: skip

    def intent(self, order: str, symbol: str, side: str, quantity: str, **fields: Any) -> Command:
        own = {"sleeve": "trading", "order_type": "market", "strategy": "OPEN"}
        return self.make(
            IntendOrder, order_id=order, bot_identity=IDENTITY, side=side, symbol=symbol,
            instrument_id=f"XNYS:{symbol}", quantity=D(quantity), reason="golden", **(own | fields),
        )  # fmt: skip

    def report(
        self, order: str, quantity: str, price: str, *, part: int = 1, net: str | None = None,
        commission: str = "0", fees: str = "0", **circumstances: Any,
    ) -> Command:  # fmt: skip
        return self.make(
            RecordFill, order_id=order, execution_id=f"x-{order}-{part}", quantity=D(quantity),
            price=D(price), currency="USD", commission=D(commission), fees=D(fees),
            net_amount=None if net is None else D(net), settles_on=date(2024, 1, 5),
            **circumstances,
        )  # fmt: skip

    def trade(
        self, name: str, symbol: str, side: str, quantity: str, price: str, *, on: str = "",
        costs: Any = (), **terms: Any,
    ) -> int:  # fmt: skip
        """An order and its one fill in one batch; the position is the fill's."""
        intent = self.intent(name, symbol, side, quantity, on=on, **terms)
        return self.send(name, intent, self.report(name, quantity, price, on=on, **dict(costs)))


def write(dispatch: Dispatcher) -> None:
    """The whole chapter."""
    s = Scribe(dispatch)
    edits_of_the_chart(s)
    changes_of_settings(s)
    changes_of_keys(s)
    people(s)
    at_the_door(s)
    renewals_of_keys(s)


def edits_of_the_chart(s: Scribe) -> None:
    """Every kind of edit, with and without a parent, and what is posted between them."""
    s.day("2025-03-03")
    head = {"code": "5000", "name": "Trading costs", "type": "expense"}
    s.do("chart-header", CreateAccount, seen=2, reason="one sum", **head)
    feeds = {"code": "5090", "name": "Data feeds, “Café”", "type": "expense", "parent": "5000"}
    s.do("chart-create", CreateAccount, seen=3, reason="apart from fees", **feeds)
    bonds = {"code": "1150", "name": "Bonds", "type": "asset", "per_instrument": True}
    s.do("chart-securities", CreateAccount, seen=4, reason="for later", **bonds)
    s.do("chart-move", MoveAccount, seen=5, reason="one sum", code="5080", parent="5000")
    s.do("chart-rename", RenameAccount, seen=6, reason="clearer", code="5080", name="Broker fees")
    books = {"held": (), "books_at": s.head()}
    s.do("chart-map", MapRole, seen=7, reason="a test", role="fees", code="5090", **books)
    s.money("fee-of-data", RecordFee, "4.25")
    books = {"held": (), "books_at": s.head()}
    s.do("chart-map-back", MapRole, seen=8, reason="over", role="fees", code="5080", **books)
    books = {"held": (), "books_at": s.head()}
    s.do("chart-close", DeactivateAccount, seen=9, reason="not used", code="1150", **books)
    s.do("chart-open", ReactivateAccount, seen=10, reason="used", code="1150")
    s.do("chart-to-the-top", MoveAccount, seen=11, reason="alone", code="5090", parent="")
    s.trade("sell-under-version-12", "SPY", "sell", "1", "301", costs={"fees": "0.02"})


def changes_of_settings(s: Scribe) -> None:
    """A plain key, a secret by its fingerprint, and both back again."""
    s.day("2025-03-04")
    secret = "8f14e45fceea167a5a36dedd4bea2543"  # noqa: S105 - a fingerprint
    there = (("SEED", "2", "3"), ("SMTP_PASSWORD", "", secret))
    back = tuple((key, after, before) for key, before, after in there)
    for seen, changes, reason in ((2, there, ""), (3, back, "“as before”")):
        listed = tuple(Change(key=k, before=b, after=a) for k, b, a in changes)
        s.do(f"settings-{seen}", ChangeSettings, seen=seen, changes=listed, reason=reason)


def changes_of_keys(s: Scribe) -> None:
    """Two rotations and a new signer. Fingerprints and hashes are made up."""
    s.day("2025-03-05")
    for number in (1, 2):
        marks = tuple(f"{number}{key}".ljust(64, "0") for key in range(3))
        s.do(
            f"rotation-{number}", RecordRotation, generation=number, fingerprints=marks,
            manifest_hash=f"{number}".ljust(64, "f"),
        )  # fmt: skip
    keys = {"old_vkey": "DEMO+00000001+AQ==", "new_vkey": "DEMO+00000002+AQ=="}
    s.do("signer", IntroduceSigner, reason="“once a year”", **keys)


def renewals_of_keys(s: Scribe) -> None:
    s.day("2025-03-08")
    s.do("renewed", RenewKeys, root_key=False, reason="“once a year”")
    s.do("root-key", RenewKeys, root_key=True, reason="a new machine")


def people(s: Scribe) -> None:
    """Two users through all that can become of one, with and without an address for mail."""
    s.day("2025-03-06")
    s.do("anna", RegisterUser, user_id="u1", name="anna", role="admin", email="")
    s.do("boris", RegisterUser, user_id="u2", name="boris", role="viewer", email="b@example.org")
    s.do("role", ChangeRole, user_id="u2", role="operator", reason="“new job”", by="u1")
    s.do("password-own", ChangePassword, user_id="u1", way="own")
    s.do("password-link", ChangePassword, user_id="u2", way="link")
    s.do("factor", EnrolSecondFactor, user_id="u2")
    s.do("factor-code", UseRecoveryCode, user_id="u2")
    s.do("factor-off", RemoveSecondFactor, user_id="u2", reason="lost the phone")
    s.do("everywhere", SignOutEverywhere, user_id="u2")
    s.do("deactivate", DeactivateUser, user_id="u2", reason="left")
    s.do("reactivate", ReactivateUser, user_id="u2", reason="came back")


def at_the_door(s: Scribe) -> None:
    """What people do at the door, one whom nobody knows among them."""
    s.day("2025-03-07")
    here = {"address": "127.0.0.1"}
    s.do("sign-in", RecordSignIn, user_id="u1", second_factor=False, **here)
    s.do("sign-in-factor", RecordSignIn, user_id="u2", second_factor=True, **here)
    s.do("wrong", RecordFailedSignIn, user_id="u2", cause="password", waits_s=2, **here)
    s.do("unknown", RecordFailedSignIn, user_id="", cause="unknown name", waits_s=0, address="::1")
    s.do("denied", RecordDenial, user_id="u2", role="operator", route="users.every", method="GET")
    s.do("link-shown", RecordResetLink, user_id="u2", sent="shown", minutes=60)
    s.do("link-mailed", RecordResetLink, user_id="u2", sent="mail", minutes=60)
    s.do("sign-out", RecordSignOut, user_id="u1")
