-- How trading went. Rows are appended; "state" is what the fold needs to go on after a restart.
-- Amounts are minor units, quantities 1e-9 units, prices decimal text.

CREATE TABLE tracking (
    one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, hash BLOB NOT NULL
) STRICT;

CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL
) STRICT;

CREATE TABLE phases (
    position INTEGER PRIMARY KEY,
    effective_date TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    phase TEXT NOT NULL,
    change TEXT NOT NULL
) STRICT;

CREATE TABLE decisions (
    position INTEGER PRIMARY KEY,
    effective_date TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    strategy TEXT NOT NULL,
    symbol TEXT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    refused_by TEXT NOT NULL,
    order_id TEXT NOT NULL
) STRICT;

-- A round trip from flat to flat. pnl is the sum of its cash: after commissions and fees.
CREATE TABLE trades (
    position INTEGER PRIMARY KEY,
    effective_date TEXT NOT NULL,
    strategy TEXT NOT NULL,
    symbol TEXT NOT NULL,
    entry_at TEXT NOT NULL,
    exit_at TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    entry_price TEXT NOT NULL,
    exit_price TEXT NOT NULL,
    costs INTEGER NOT NULL,
    pnl INTEGER NOT NULL,
    fills INTEGER NOT NULL,
    exit_reason TEXT NOT NULL,
    multiplier INTEGER NOT NULL
) STRICT;

CREATE TABLE equity (
    position INTEGER PRIMARY KEY,
    effective_date TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    occasion TEXT NOT NULL,
    equity INTEGER NOT NULL,
    cash INTEGER NOT NULL
) STRICT;

-- The last price of each security at each marking: what market values are rebuilt from.
CREATE TABLE marks (
    position INTEGER NOT NULL,
    effective_date TEXT NOT NULL,
    instrument_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    price TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;

CREATE TABLE reconciliations (
    position INTEGER PRIMARY KEY,
    effective_date TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    broker_cash TEXT NOT NULL,
    differences TEXT NOT NULL
) STRICT;

CREATE INDEX decisions_date ON decisions (effective_date, position);
CREATE INDEX trades_date ON trades (effective_date, position);
CREATE INDEX equity_date ON equity (effective_date, position);
CREATE INDEX marks_instrument ON marks (instrument_id, effective_date, position);
