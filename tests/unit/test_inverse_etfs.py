"""The mapping of inverse ETFs: entered by a person, changed with a reason, never overwritten."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from aggregates.base import Event
from aggregates.inverse_etfs import (
    STREAM,
    InverseEtf,
    InverseEtfMapped,
    InverseEtfs,
    InverseEtfUnmapped,
    MapInverseEtf,
    UnmapInverseEtf,
)

D = Decimal
AT, DAY = datetime(2013, 10, 7, 14, 0, tzinfo=UTC), date(2013, 10, 7)


def put(underlying: str = "SPY", etf: str = "SH", leverage: str = "1", **more: Any) -> Any:
    own = {"reason": "its prospectus", "seen": 0} | more
    return MapInverseEtf(
        at=AT, effective_date=DAY, underlying=underlying, etf=etf, leverage=D(leverage), **own
    )


def take_out(underlying: str = "SPY", **more: Any) -> Any:
    own = {"reason": "closed", "seen": 1} | more
    return UnmapInverseEtf(at=AT, effective_date=DAY, underlying=underlying, **own)


def mapped(underlying: str = "SPY", etf: str = "SH", leverage: str = "1", **more: Any) -> Event:
    own = {"etf_before": None, "leverage_before": None, "reason": "its prospectus"} | more
    return InverseEtfMapped(
        occurred_at=AT, effective_date=DAY, underlying=underlying, etf=etf, leverage=D(leverage),
        **own,
    )  # fmt: skip


@pytest.fixture
def mapping(given: Any) -> Callable[..., Any]:
    return lambda *past: given(InverseEtfs(STREAM), *past)


def test_nothing_is_mapped_until_somebody_does(mapping: Any) -> None:
    case = mapping()
    assert case.aggregate.of("SPY") is None
    case.when(InverseEtfs.map, put()).then(mapped())
    assert case.aggregate.of("SPY") == InverseEtf(underlying="SPY", etf="SH", leverage=D(1))
    assert case.aggregate.of("QQQ") is None


def test_a_change_keeps_what_was_before(mapping: Any) -> None:
    changed = put(etf="SPXU", leverage="3", seen=1)
    case = mapping(mapped()).when(InverseEtfs.map, changed)
    case.then(mapped(etf="SPXU", leverage="3", etf_before="SH", leverage_before=D(1)))
    removed = InverseEtfUnmapped(
        occurred_at=AT, effective_date=DAY, underlying="SPY", etf="SPXU", leverage=D(3),
        reason="closed",
    )  # fmt: skip
    case.when(InverseEtfs.unmap, take_out(seen=2)).then(removed)
    assert case.aggregate.of("SPY") is None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (put(etf="SPY", seen=1), "its own inverse"),
        (put(leverage="0", seen=1), "above 0"),
        (put(leverage="-1", seen=1), "above 0"),
        (put(etf="S H", seen=1), "cannot be a symbol"),
        (put("", seen=1), "cannot be a symbol"),
        (put(etf="SPXU", reason=" ", seen=1), "reason"),
        (put(etf="SPXU", reason="x" * 501, seen=1), "reason"),
        (put(seen=1), "mapped so already"),
        (put("IVV", seen=1), "SH answers for SPY already"),
        (put(etf="SPXU", seen=0), "you saw 0 changes, now there are 1"),
        (put(etf="SPXU", seen=2), "you saw 2 changes"),
    ],
)
def test_what_cannot_be_meant_is_refused(mapping: Any, asked: Any, words: str) -> None:
    mapping(mapped()).when(InverseEtfs.map, asked).refused(words)


def test_only_what_is_mapped_can_be_removed(mapping: Any) -> None:
    case = mapping(mapped())
    case.when(InverseEtfs.unmap, take_out("QQQ")).refused("QQQ has no inverse ETF")
    case.when(InverseEtfs.unmap, take_out(seen=0)).refused("changed meanwhile")
    case.when(InverseEtfs.unmap, take_out(reason="")).refused("reason")
