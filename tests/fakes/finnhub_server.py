"""A fake Finnhub over a real socket: what it lists and tells is in a made-up market beside it.

It holds the caller to 60 calls in any minute of the clock it is given, and counts what was asked.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from beside import beside

http = beside("fakes/faulty_http")
KEY = "canary-finnhub-key-0001"
A_MINUTE = 60


@dataclass
class Share:
    """Prices as Finnhub writes them; ``cap`` and ``shares`` in millions, ``volume`` too."""

    symbol: str
    mic: str = "XNYS"
    kind: str = "Common Stock"
    currency: str = "USD"
    filed_in: str = "USD"
    cap: Any = 5000.5
    shares: Any = 100
    volume: Any = 2.25
    price: Any = 50.01
    opening: Any = 49.5
    before: Any = 49.25


@dataclass
class Market:
    """``at`` is when every price was; None: now."""

    clock: Callable[[], datetime]
    shares: dict[str, Share] = field(default_factory=dict)
    at: datetime | None = None

    def add(self, *shares: Share) -> None:
        self.shares |= {share.symbol: share for share in shares}


class FinnhubServer(http.FaultyServer):  # type: ignore[misc, name-defined]
    """``told`` answers a path otherwise, once set; ``too_fast`` counts calls above the limit."""

    def __init__(self, market: Market, hold_s: float = 0.6) -> None:
        self.told: dict[str, Any] = {}
        self.calls: list[str] = []
        self.too_fast = 0
        self._minute: deque[datetime] = deque()
        super().__init__(market, hold_s)

    @property
    def base(self) -> str:
        return f"{self.url}/api/v1"

    def knows(self, headers: dict[str, str]) -> bool:
        return headers.get("x-finnhub-token") == KEY

    def no_keys(self) -> Any:
        return 401, {"error": "Invalid API key."}, {}

    def too_many(self, reset: int) -> Any:
        said = {"error": "API limit reached. Please try again later. Remaining Limit: 0"}
        return 429, said, {"X-Ratelimit-Reset": str(reset)}

    def refusal(self, said: str) -> Any:
        return 403, {"error": f"You don't have access to this resource. {said} {KEY}"}, {}

    def answer(self, _method: str, path: str, query: dict[str, str], _body: Any) -> Any:
        what = path.removeprefix("/api/v1").lstrip("/")
        now = self.books.clock()
        while self._minute and self._minute[0] <= now - timedelta(minutes=1):
            self._minute.popleft()
        self._minute.append(now)
        self.too_fast += len(self._minute) > A_MINUTE
        self.calls.append(f"{what} {query.get('symbol') or query.get('mic')}")
        if what in self.told:
            return 200, self.told[what]
        if what == "stock/symbol":
            return 200, [_row(s) for s in self.books.shares.values() if s.mic == query["mic"]]
        share = self.books.shares.get(query["symbol"])
        return 200, {} if share is None else self._of(what, share, now)

    def _of(self, what: str, share: Share, now: datetime) -> dict[str, Any]:
        if what == "stock/profile2":
            return {
                "ticker": share.symbol, "currency": share.filed_in, "name": "Made Up Inc",
                "marketCapitalization": share.cap, "shareOutstanding": share.shares,
            }  # fmt: skip
        if what == "stock/metric":
            metric = {"10DayAverageTradingVolume": share.volume, "52WeekHigh": 99.9}
            return {"metric": metric, "metricType": "all", "series": {}, "symbol": share.symbol}
        at = int((self.books.at or now).timestamp())
        return {
            "c": share.price, "d": 0.5, "dp": 1.01, "h": 51, "l": 49, "o": share.opening,
            "pc": share.before, "t": at,
        }  # fmt: skip


def _row(share: Share) -> dict[str, Any]:
    return {
        "symbol": share.symbol, "displaySymbol": share.symbol, "description": "MADE UP INC",
        "currency": share.currency, "mic": share.mic, "type": share.kind, "figi": "",
    }  # fmt: skip
