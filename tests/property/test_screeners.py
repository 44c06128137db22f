"""Whatever a screener says or a kill leaves, values are exact or not known, and nothing breaks."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from screeners.finnhub_screener import _listed, _profile, _quote, _usual_volume
from screeners.finnhub_wire import NotTold
from screeners.kept_answers import Answer, KeptAnswers
from screeners.port import Facts

AT = datetime(2026, 3, 3, 12, tzinfo=UTC)
numbers = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(),
    st.text(max_size=5), st.just([]),
)  # fmt: skip
NAMES = (
    "c o pc t symbol type currency metric marketCapitalization shareOutstanding "
    "10DayAverageTradingVolume"
).split()
objects = st.dictionaries(st.sampled_from(NAMES), numbers)
said = st.one_of(objects, numbers, st.lists(objects, max_size=2), st.builds(
    lambda inner: {"metric": inner}, objects))  # fmt: skip


def as_read(value: Any) -> Any:
    """As the wire hands it on: numbers with a point are exact decimals."""
    return json.loads(json.dumps(value), parse_float=Decimal)


@settings(max_examples=150)
@given(said)
@example({"c": 1e300, "t": 1}).via("beyond any price")
@example({"t": True, "c": 1.5}).via("a truth for a time")
def test_values_are_above_nothing_and_exact_or_not_known(value: Any) -> None:
    answer = as_read(value)
    client = cast(Any, SimpleNamespace(
        quote=lambda _s: answer, company_profile2=lambda symbol: answer,  # noqa: ARG005
        company_basic_financials=lambda _s, _m: answer,
    ))  # fmt: skip
    for ask in (_quote, _profile, _usual_volume):
        try:
            found = ask(client, "SPY")
        except NotTold:
            assert not isinstance(answer, dict)
            continue
        told = [found.price, found.opening, found.previous_close, found.volume, found.market_cap]
        for number in filter(lambda n: n is not None, told):
            assert isinstance(number, Decimal)
            assert number.is_finite()
            assert number > 0
    listed = _listed(answer, "XNYS")
    assert listed is None or (listed.symbol and listed.exchange == "XNYS")


@settings(max_examples=60)
@given(st.integers(0, 400), st.binary(max_size=6))
def test_any_end_of_the_kept_answers_loses_at_most_what_was_torn(cut: int, torn: bytes) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "answers.jsonl"
        kept = KeptAnswers(path)
        for symbol in "ABCD":
            kept.keep(Answer("quote", symbol, AT, (Facts(symbol=symbol, price=Decimal("1.50")),)))
        kept.close()
        whole = path.read_bytes()[:cut]
        path.write_bytes(whole + torn)
        kept = KeptAnswers(path)
        lines = whole.count(b"\n")
        for symbol in "ABCD"[:lines]:
            assert kept.find("quote", symbol, AT) is not None
        kept.keep(Answer("quote", "Z", AT, (Facts(symbol="Z"),)))
        kept.close()
        assert KeptAnswers(path).find("quote", "Z", AT) == (Facts(symbol="Z"),)
