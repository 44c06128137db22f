-- The ledger of one bot. Rows are appended, never changed: "as of a date" is effective_date <= ?,
-- "as known at" is position <= ?. Amounts are minor units of the base currency (debit positive),
-- quantities are 1e-9 units.

CREATE TABLE tracking (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;

CREATE TABLE books (
    identity TEXT NOT NULL,
    entity_code TEXT NOT NULL,
    jurisdiction_code TEXT NOT NULL,
    currency_code TEXT NOT NULL,
    exponent INTEGER NOT NULL,
    broker_code TEXT NOT NULL,
    timezone TEXT NOT NULL,
    cost_method TEXT NOT NULL,
    demo INTEGER NOT NULL,
    position INTEGER NOT NULL
) STRICT;

-- One row a version of the chart; the newest is the one in force.
CREATE TABLE coa_metadata (
    currency_code TEXT NOT NULL,
    entity_code TEXT NOT NULL,
    jurisdiction_code TEXT NOT NULL,
    coa_version INTEGER PRIMARY KEY,
    created_at_utc TEXT NOT NULL,
    last_updated_utc TEXT NOT NULL,
    position INTEGER NOT NULL,
    coa_json TEXT NOT NULL
) STRICT;

CREATE TABLE coa_accounts (
    coa_version INTEGER NOT NULL,
    account_code TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    per_instrument INTEGER NOT NULL,
    active INTEGER NOT NULL,
    PRIMARY KEY (coa_version, account_code)
) STRICT;

CREATE TABLE rules (
    rules_version INTEGER NOT NULL,
    position INTEGER NOT NULL
) STRICT;

CREATE TABLE period_closes (
    through TEXT NOT NULL,
    position INTEGER NOT NULL
) STRICT;

-- account_suffix is what follows the point in 1110.SYM; it stays when the symbol changes.
CREATE TABLE instruments (
    position INTEGER PRIMARY KEY,
    instrument_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    multiplier INTEGER NOT NULL,
    account_suffix TEXT NOT NULL
) STRICT;

-- pnl is the realized gain of a sale less its own costs; on a re-cost row, what it changes.
-- position: the event that caused the row. about: the event whose effect it states; they differ
-- for re-cost rows and reversals.
CREATE TABLE transactions (
    transaction_id INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    about INTEGER NOT NULL,
    effective_date TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    topic TEXT NOT NULL,
    description TEXT NOT NULL,
    strategy_name TEXT NOT NULL,
    ticker TEXT NOT NULL,
    side TEXT NOT NULL,
    size TEXT NOT NULL,
    entry_price TEXT,
    exit_price TEXT,
    pnl INTEGER,
    broker TEXT NOT NULL,
    error_code TEXT NOT NULL,
    sleeve TEXT NOT NULL,
    context TEXT NOT NULL,
    reference TEXT NOT NULL,
    settles_on TEXT NOT NULL,
    coa_version INTEGER NOT NULL,
    rules_version INTEGER NOT NULL
) STRICT;

CREATE TABLE postings (
    posting_id INTEGER PRIMARY KEY,
    transaction_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    about INTEGER NOT NULL,
    effective_date TEXT NOT NULL,
    account_code TEXT NOT NULL,
    amount INTEGER NOT NULL,
    quantity INTEGER NOT NULL
) STRICT;

-- Units bought, sold and split by cost pool (account_code), in the order that costs follow.
-- kind: buy, sell, split, void (takes the movement of "about" out again).
CREATE TABLE movements (
    position INTEGER NOT NULL,
    about INTEGER NOT NULL,
    account_code TEXT NOT NULL,
    effective_date TEXT NOT NULL,
    kind TEXT NOT NULL,
    units INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    new_units INTEGER NOT NULL,
    old_units INTEGER NOT NULL
) STRICT;

-- What each event added to or took from each lot, at the lot's own cost. A lot is named by the
-- position of the purchase that opened it.
CREATE TABLE lots (
    position INTEGER NOT NULL,
    about INTEGER NOT NULL,
    account_code TEXT NOT NULL,
    lot INTEGER NOT NULL,
    acquired_on TEXT NOT NULL,
    effective_date TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    cost INTEGER NOT NULL
) STRICT;

CREATE INDEX postings_account ON postings (account_code, effective_date, position);
CREATE INDEX postings_transaction ON postings (transaction_id);
CREATE INDEX transactions_about ON transactions (about);
CREATE INDEX transactions_date ON transactions (effective_date, transaction_id);
CREATE INDEX movements_pool ON movements (account_code, effective_date, position);
CREATE INDEX lots_pool ON lots (account_code, lot);

-- Units and cost at this moment, one row an account of securities.
CREATE VIEW positions AS
SELECT account_code, SUM(quantity) AS quantity, SUM(amount) AS cost
FROM postings WHERE account_code LIKE '%.%' GROUP BY account_code;
