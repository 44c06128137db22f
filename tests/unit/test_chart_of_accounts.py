"""The chart of accounts: every fault at once, one version after the other."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from aggregates.chart_of_accounts import (
    ROLES,
    STREAM,
    Account,
    AdoptChart,
    Chart,
    ChartAdopted,
    ChartOfAccounts,
    faults_of,
)
from aggregates.errors import DomainError
from projections.ledger import template_chart

AT = datetime(2024, 1, 2, 15, 0, tzinfo=UTC)
DAY = date(2024, 1, 2)
CHART = template_chart()


def adopt(chart: Chart) -> AdoptChart:
    return AdoptChart(at=AT, effective_date=DAY, chart=chart, reason="default")


def adopted(chart: Chart) -> ChartAdopted:
    return ChartAdopted(occurred_at=AT, effective_date=DAY, chart=chart, reason="default")


def but(**changes: Any) -> Chart:
    return msgspec.structs.replace(CHART, **changes)


def test_the_default_chart_is_that_of_the_books(given: Any) -> None:
    """Codes, types and who has sub-accounts, as accountants were told."""
    assert faults_of(CHART) == []
    types = {a.code: a.type for a in CHART.accounts}
    expected = {
        "asset": "1010 1030 1040 1050 1110 1120 1130 1140 1990",
        "liability": "2010 2020 2030",
        "equity": "3010 3020 3090",
        "income": "4010 4020 4030 4040",
        "expense": "5010 5020 5030 5040 5050 5060 5070",
        "memo": "9010 9020",
    }
    assert types == {code: kind for kind, codes in expected.items() for code in codes.split()}
    assert [a.code for a in CHART.accounts if a.per_instrument] == "1110 1120 1130 1140".split()
    assert set(CHART.mapping) == set(ROLES)
    assert len(set(CHART.mapping.values())) == len(ROLES)  # one account a role, to begin with
    given(ChartOfAccounts(STREAM)).when(ChartOfAccounts.adopt, adopt(CHART)).then(adopted(CHART))


def test_all_faults_are_listed_at_once(given: Any) -> None:
    """Whoever edits a chart sees the whole list, not one fault a try."""
    mapping = CHART.mapping | {"dividends": "4999", "interest": "4041", "magic": "1010"}
    del mapping["fees"]
    bad = but(
        accounts=(
            *CHART.accounts,
            CHART.accounts[0],
            Account(code="104", name="Short", type="asset"),
            Account(code="1O10", name="Letter O", type="asset"),
            Account(code="4041", name="Old interest", type="income", active=False),
            Account(code="5999", name=" ", type="expense"),
        ),
        mapping=mapping,
    )
    expected = [
        "account 1010 is listed twice",
        "account code '104' is not four digits",
        "account code '1O10' is not four digits",
        "account 5999 has no name",
        "role fees has no account",
        "role dividends names account 4999, which is not an active account",
        "role interest names account 4041, which is not an active account",
        "role magic is unknown",
    ]
    assert faults_of(bad) == expected
    case = given(ChartOfAccounts(STREAM)).when(ChartOfAccounts.adopt, adopt(bad))
    case.refused("was not adopted", *expected)


@pytest.mark.parametrize("role", ROLES)
def test_a_chart_without_any_role_cannot_be_adopted(role: str) -> None:
    mapping = {r: c for r, c in CHART.mapping.items() if r != role}
    assert faults_of(but(mapping=mapping)) == [f"role {role} has no account"]


def test_versions_follow_one_another(given: Any) -> None:
    second = but(version=2)
    case = given(ChartOfAccounts(STREAM))
    case.when(ChartOfAccounts.adopt, adopt(second)).refused("version 2; the next one is 1")
    case.when(ChartOfAccounts.adopt, adopt(CHART)).then(adopted(CHART))
    case.when(ChartOfAccounts.adopt, adopt(CHART)).refused("version 1; the next one is 2")
    case.when(ChartOfAccounts.adopt, adopt(second)).then(adopted(second))
    case.when(ChartOfAccounts.adopt, adopt(but(version=4))).refused("the next one is 3")


def test_a_sub_account_has_the_type_of_its_account() -> None:
    assert CHART.type_of("1110.BRK.B") == "asset"
    assert CHART.type_of("4010") == "income"
    with pytest.raises(DomainError, match=r"7777\.X is not in chart 1"):
        CHART.type_of("7777.X")
