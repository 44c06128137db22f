"""Single edits of the chart: what each leads to, what forbids it, and who was faster."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates.chart_edits import (
    EDITS,
    TYPES,
    CreateAccount,
    DeactivateAccount,
    Held,
    MapRole,
    MoveAccount,
    ReactivateAccount,
    RenameAccount,
)
from aggregates.chart_of_accounts import (
    STREAM,
    Account,
    AccountChange,
    Chart,
    ChartAdopted,
    ChartChanged,
    ChartMoved,
    ChartOfAccounts,
    faults_of,
)
from projections.ledger import template_chart

AT = datetime(2024, 1, 2, 15, 0, tzinfo=UTC)
DAY = date(2024, 1, 2)
CHART = template_chart()
EMPTY: dict[str, Any] = {"books_at": 9, "held": ()}
HELD = Held("1110.SPY", Decimal("4130.00"), Decimal("40.000"))


def make(kind: type, /, **fields: Any) -> Any:
    return kind(**({"at": AT, "effective_date": DAY, "seen": 1, "reason": "asked for"} | fields))


def adopted(chart: Chart = CHART) -> ChartAdopted:
    return ChartAdopted(occurred_at=AT, effective_date=DAY, chart=chart, reason="default")


def with_account(**fields: Any) -> Chart:
    """The default chart with one more account, or another one in the place of its code."""
    own = {"code": "5080", "name": "Data feeds", "type": "expense"} | fields
    kept = [a for a in CHART.accounts if a.code != own["code"]]
    accounts = sorted([*kept, Account(**own)], key=lambda a: a.code)
    return msgspec.structs.replace(CHART, accounts=tuple(accounts))


CREATE: dict[str, Any] = {"code": "5080", "name": "Data feeds", "type": "expense"}
CLOSED = with_account(active=False)
# An edit, the chart that it finds, and what its event says: what, subject, before, after.
ALLOWED = [
    (CreateAccount, CREATE, CHART, ("added", "5080", "", "Data feeds")),
    (CreateAccount, CREATE | {"parent": "5020"}, CHART, ("added", "5080", "", "Data feeds")),
    (
        CreateAccount,
        {"code": "1150", "name": "Bonds", "type": "asset", "per_instrument": True},
        CHART,
        ("added", "1150", "", "Bonds"),
    ),
    (RenameAccount, {"code": "5020", "name": "Broker’s fees"}, CHART,
     ("renamed", "5020", "Regulatory and broker fees", "Broker’s fees")),
    (MoveAccount, {"code": "5010", "parent": "5020"}, CHART, ("moved", "5010", "", "5020")),
    (MoveAccount, {"code": "5080", "parent": ""}, with_account(parent="5020"),
     ("moved", "5080", "5020", "")),
    (DeactivateAccount, {"code": "5080"} | EMPTY, with_account(),
     ("deactivated", "5080", "Data feeds", "Data feeds")),
    (ReactivateAccount, {"code": "5080"}, CLOSED,
     ("activated", "5080", "Data feeds", "Data feeds")),
    (MapRole, {"role": "fees", "code": "5080"} | EMPTY, with_account(),
     ("remapped", "fees", "5020", "5080")),
    # what has been an expense stays one where it was booked: its balance is no hindrance
    (MapRole, {"role": "fees", "code": "5010", "books_at": 9, "held": (Held("5020", Decimal(7)),)},
     CHART, ("remapped", "fees", "5020", "5010")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "chart", "said"), ALLOWED)
def test_an_edit_is_an_event_with_before_and_after_and_the_next_version(
    given: Any, kind: type, fields: dict[str, Any], chart: Chart, said: tuple[str, ...]
) -> None:
    case = given(ChartOfAccounts(STREAM), adopted(chart))
    event = case.when(ChartOfAccounts.edit, make(kind, **fields)).event
    assert (event.what, event.subject, event.before, event.after) == said
    assert (event.reason, event.chart.version) == ("asked for", 2)
    assert faults_of(event.chart) == []


def test_only_what_was_asked_changes(given: Any) -> None:
    case = given(ChartOfAccounts(STREAM), adopted())
    event = case.when(
        ChartOfAccounts.edit, make(RenameAccount, code="5020", name="Broker’s fees")
    ).event
    expected = msgspec.structs.replace(with_account(
        code="5020", name="Broker’s fees", type="expense"
    ), version=2)  # fmt: skip
    assert event == ChartChanged(
        occurred_at=AT, effective_date=DAY, what="renamed", subject="5020",
        before="Regulatory and broker fees", after="Broker’s fees", chart=expected,
        reason="asked for",
    )  # fmt: skip


def test_accounts_without_a_parent_are_stored_as_before() -> None:
    assert b"parent" not in msgspec.json.encode(CHART)
    there_and_back = with_account(parent="5020")
    case = ChartOfAccounts.at(there_and_back)
    case.edit(make(MoveAccount, code="5080", parent=""))
    assert case.chart is not None
    assert b"parent" not in msgspec.json.encode(case.chart)


NAMES = [
    ("", "needs a name"),
    ("   ", "needs a name"),
    ("x" * 61, "at most 60 characters, this one 61"),
    ("Fees\x00", "U+0000"),
    ("Fees\n", "U+000A"),
    ("Fees\u200b", "U+200B"),
    ("Fees\u202egip", "U+202E"),
    ("Broker\u00a0fees", "U+00A0"),
    ("\uff26ees", "look like others"),
    ("\u0421ash fees", "several alphabets (Cyrillic, Latin)"),
    ("=1+1", "begins with a letter or digit"),
    (" Fees", "begins with a letter or digit"),
    ("Broker  fees", "single spaces"),
    ("DIVIDENDS", "4030 is called Dividends already"),
]


@pytest.mark.parametrize(("name", "words"), NAMES)
def test_a_name_that_misleads_is_refused(given: Any, name: str, words: str) -> None:
    case = given(ChartOfAccounts(STREAM), adopted())
    for edit in (make(CreateAccount, **(CREATE | {"name": name})),
                 make(RenameAccount, code="5020", name=name)):  # fmt: skip
        case.when(ChartOfAccounts.edit, edit).refused(words, "as it was")


def test_markup_and_other_alphabets_are_only_text(given: Any) -> None:
    for name in ("Fees <script>alert(1)</script>", "Gebühren für Börsen", "Комиссии", "手数料"):
        edit = make(RenameAccount, code="5020", name=name)
        event = given(ChartOfAccounts(STREAM), adopted()).when(ChartOfAccounts.edit, edit).event
        assert event.chart.account("5020").name == name


REFUSED: list[tuple[type, dict[str, Any], Chart, str, str]] = [
    (CreateAccount, CREATE | {"code": "5020"}, CHART, "code", "taken by Regulatory and broker"),
    (CreateAccount, CREATE, CLOSED, "code", "taken by Data feeds; a code is never used again"),
    (CreateAccount, CREATE | {"type": "income"}, with_account(), "code", "taken"),
    *((CreateAccount, CREATE | {"code": code}, CHART, "code", "four digits")
      for code in ("", "508", "50800", "5O80", "508\n", "٥٠٨٠", "5080.X", "-508")),
    *((CreateAccount, CREATE | {"type": kind}, CHART, "type", "one of asset, liability")
      for kind in ("", "Expense", "fund")),
    (CreateAccount, CREATE | {"per_instrument": True}, CHART, "per_instrument", "Only asset"),
    (CreateAccount, CREATE | {"parent": "5999"}, CHART, "parent", "not in the chart"),
    (CreateAccount, CREATE | {"parent": "4030"}, CHART, "parent", "type expense, 4030 above it"),
    (CreateAccount, CREATE | {"parent": "5080"}, CHART, "parent", "not in the chart"),
    (CreateAccount, {"code": "1111", "name": "x", "type": "asset", "parent": "1110"}, CHART,
     "parent", "for its securities"),
    (RenameAccount, {"code": "5999", "name": "x"}, CHART, "code", "no account '5999'"),
    (RenameAccount, {"code": "5020", "name": "Regulatory and broker fees"}, CHART, "name",
     "is called Regulatory and broker fees already"),
    (MoveAccount, {"code": "5010", "parent": "5010"}, CHART, "parent", "under itself"),
    (MoveAccount, {"code": "5020", "parent": "5080"}, with_account(parent="5020"), "parent",
     "under itself"),
    (MoveAccount, {"code": "5010", "parent": ""}, CHART, "parent", "stands there already"),
    (MoveAccount, {"code": "5010", "parent": "1010"}, CHART, "parent", "1010 above it"),
    (MoveAccount, {"code": "5010", "parent": "5080"}, CLOSED, "parent", "not active"),
    (MoveAccount, {"code": "5010", "parent": "x"}, CHART, "parent", "not in the chart"),
    (DeactivateAccount, {"code": "5080"} | EMPTY, CLOSED, "code", "5080 is not active"),
    (DeactivateAccount, {"code": "5020"} | EMPTY, CHART, "code", "The role fees posts to 5020"),
    (DeactivateAccount, {"code": "5080", "books_at": 9, "held": (HELD,)}, with_account(), "code",
     "5080 holds 4,130.00 (40 units in 1110.SPY)"),
    (DeactivateAccount, {"code": ""} | EMPTY, CHART, "code", "no account"),
    (ReactivateAccount, {"code": "5020"}, CHART, "code", "active already"),
    (MapRole, {"role": "fees", "code": "5080"} | EMPTY, CHART, "code", "not an active account"),
    (MapRole, {"role": "fees", "code": "5080"} | EMPTY, CLOSED, "code", "not an active account"),
    (MapRole, {"role": "fees", "code": "4030"} | EMPTY, CHART, "code", "of type expense"),
    (MapRole, {"role": "fees", "code": "5020"} | EMPTY, CHART, "code", "to 5020 already"),
    (MapRole, {"role": "magic", "code": "5020"} | EMPTY, CHART, "role", "no role 'magic'"),
    (MapRole, {"role": "cash_float", "code": "1110"} | EMPTY, CHART, "code", "without one sub-"),
    (MapRole, {"role": "trading_securities", "code": "1990"} | EMPTY, CHART, "code", "with one"),
    (MapRole, {"role": "holdings_securities", "code": "1110"} | EMPTY, CHART, "code",
     "shares account 1110 with trading securities"),
    (MapRole, {"role": "tax_reserve", "code": "1010"} | EMPTY, CHART, "code", "with cash float"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "chart", "field", "words"), REFUSED)
def test_an_edit_against_a_rule_is_refused_at_its_field(
    given: Any, kind: type, fields: dict[str, Any], chart: Chart, field: str, words: str
) -> None:
    edit = make(kind, **fields)
    given(ChartOfAccounts(STREAM), adopted(chart)).when(ChartOfAccounts.edit, edit).refused(words)
    assert list(edit.faults(chart)) == [field]


def test_children_hold_their_parent_open(given: Any) -> None:
    """And a closed parent keeps a child closed."""
    parent = Account(code="5090", name="Data", type="expense")
    child = Account(code="5080", name="Data feeds", type="expense", parent="5090")
    chart = msgspec.structs.replace(CHART, accounts=(*CHART.accounts, child, parent))
    case = given(ChartOfAccounts(STREAM), adopted(chart))
    close = make(DeactivateAccount, code="5090", **EMPTY)
    case.when(ChartOfAccounts.edit, close).refused("5080 stands under 5090")
    for number, code in enumerate(("5080", "5090"), start=1):
        edit = make(DeactivateAccount, code=code, seen=number, **EMPTY)
        assert case.when(ChartOfAccounts.edit, edit).event.chart.account(code).active is False
    again = make(ReactivateAccount, code="5080", seen=3)
    case.when(ChartOfAccounts.edit, again).refused("5090, which is not active")


@pytest.mark.parametrize("role", ["trading_securities", "trading_options", "holdings_securities",
                                  "tax_reserve_vehicle", "cash_float", "tax_reserve",
                                  "payroll_reserve", "reinvestment_pool"])  # fmt: skip
def test_units_and_cash_hold_their_role_where_it_is(given: Any, role: str) -> None:
    """What stays behind would be missing at the next sale, or in the comparison of cash."""
    chart = with_account(
        code="1200", name="Another", type="asset", per_instrument="securities" in role
        or role in ("trading_options", "tax_reserve_vehicle"),
    )  # fmt: skip
    edit = make(MapRole, role=role, code="1200", books_at=9, held=(HELD,))
    case = given(ChartOfAccounts(STREAM), adopted(chart))
    case.when(ChartOfAccounts.edit, edit).refused("still holds 4,130.00", "Rename the account")
    edit = make(MapRole, role=role, code="1200", books_at=9, held=())
    assert case.when(ChartOfAccounts.edit, edit).event.chart.mapping[role] == "1200"


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize(
    ("reason", "words"),
    [("", "Say why"), (" ", "Say why"), ("y" * 301, "at most 300"), ("a\x00b", "U+0000")],
)
def test_no_edit_without_a_reason(kind: Any, reason: str, words: str) -> None:
    fields = {"code": "5020", "name": "n", "type": "expense", "parent": "", "role": "fees"} | EMPTY
    named = {name: value for name, value in fields.items() if name in kind.__struct_fields__}
    assert words in make(kind, **(named | {"reason": reason})).faults(CHART)["reason"]


def test_all_faults_of_a_form_are_said_at_once() -> None:
    faults = make(CreateAccount, code="1", name="", type="?", reason="").faults(CHART)
    assert set(faults) == {"code", "name", "type", "reason"}


def test_who_comes_second_is_told_what_the_first_did(given: Any) -> None:
    case = given(ChartOfAccounts(STREAM), adopted())
    case.when(ChartOfAccounts.edit, make(RenameAccount, code="5020", name="First")).event  # noqa: B018
    late = make(RenameAccount, code="5020", name="Second")
    case.when(ChartOfAccounts.edit, late).refused(
        "at version 2 by now; you saw version 1",
        "account 5020 renamed from Regulatory and broker fees to First",
        "Nothing was changed",
    )
    with pytest.raises(ChartMoved) as moved:
        case.aggregate.edit(late)
    assert (moved.value.seen, moved.value.now) == (1, 2)
    assert moved.value.changes == (
        AccountChange("5020", "renamed", "Regulatory and broker fees", "First"),
    )
    case.when(ChartOfAccounts.edit, make(RenameAccount, code="5020", name="x", seen=7)).refused(
        "you saw version 7", "never in force"
    )


def test_no_edit_before_there_is_a_chart(given: Any) -> None:
    edit = make(RenameAccount, code="5020", name="x", seen=0)
    given(ChartOfAccounts(STREAM)).when(ChartOfAccounts.edit, edit).refused("no chart of accounts")


def test_every_type_can_be_created() -> None:
    for number, kind in enumerate(TYPES):
        edit = make(CreateAccount, code=f"80{number}0", name=f"New {kind}", type=kind)
        assert edit.faults(CHART) == {}
        assert faults_of(edit.applied(CHART)) == []
