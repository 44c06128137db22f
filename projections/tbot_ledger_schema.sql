-- The ledger of one bot. Rows are appended, never changed: "as of a date" is effective_date <= ?,
-- "as known at" is position <= ?. Amounts are minor units of the base currency (debit positive),
-- quantities are 1e-9 units. What people read are the views transactions, postings, lots and
-- positions; the tables under them say nothing twice, so that a million fills rebuild in seconds.

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

-- One row a version of the chart; the newest is the one in force. coa_json also says which role
-- posts where.
CREATE TABLE coa_metadata (
    currency_code TEXT NOT NULL,
    entity_code TEXT NOT NULL,
    jurisdiction_code TEXT NOT NULL,
    coa_version INTEGER PRIMARY KEY,
    created_at_utc TEXT NOT NULL,
    last_updated_utc TEXT NOT NULL,
    effective_date TEXT NOT NULL,
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
    parent TEXT NOT NULL,
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
    effective_date TEXT NOT NULL,
    instrument_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    multiplier INTEGER NOT NULL,
    account_suffix TEXT NOT NULL
) STRICT;

-- What many entries have in common, written once; for fills also the accounts that they post to
-- under the chart and the rules of then (NULL for other entries).
CREATE TABLE terms (
    terms_id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    strategy_name TEXT NOT NULL,
    ticker TEXT NOT NULL,
    side TEXT NOT NULL,
    broker TEXT NOT NULL,
    sleeve TEXT NOT NULL,
    context TEXT NOT NULL,
    coa_version INTEGER NOT NULL,
    rules_version INTEGER NOT NULL,
    security TEXT,
    cash TEXT,
    gain_short TEXT,
    gain_long TEXT,
    commissions TEXT,
    fees TEXT,
    rounding TEXT
) STRICT;

-- position: the event that caused the row. about: the event whose effect it states; they differ
-- for re-cost rows and reversals. Of a fill everything is in its row: its words, its realized gain
-- and its postings follow from the columns from traded_on on, which other entries do not have. Those
-- have a description, their postings are entry_lines, and pnl is what a re-cost row or a reversal
-- changes of a realized gain.
--
-- traded_on is the fill's own date where its period was closed, else NULL; units are negative for a
-- sale; gross is the price paid or received, of which a sale's two gains are what its units did not
-- cost; cash is what the cash account is debited with, residue what the broker rounded.
CREATE TABLE entries (
    transaction_id INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    about INTEGER NOT NULL,
    effective_date TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    terms_id INTEGER NOT NULL,
    size TEXT NOT NULL,
    price TEXT,
    pnl INTEGER,
    reference TEXT NOT NULL,
    settles_on TEXT NOT NULL,
    description TEXT,
    traded_on TEXT,
    units INTEGER,
    gross INTEGER,
    short_gain INTEGER,
    long_gain INTEGER,
    commission INTEGER,
    fees INTEGER,
    cash INTEGER,
    residue INTEGER
) STRICT;

-- Postings that do not follow from a fill's row: of entries that are no fills, and of a fill what
-- its broker's amount differs by beyond rounding. posting_id is 256 * transaction_id + number of
-- the line.
CREATE TABLE entry_lines (
    posting_id INTEGER PRIMARY KEY,
    account_code TEXT NOT NULL,
    amount INTEGER NOT NULL,
    quantity INTEGER NOT NULL
) STRICT;

-- See the view postings.
CREATE TABLE line_kinds (kind INTEGER PRIMARY KEY) STRICT;
INSERT INTO line_kinds VALUES (0), (1), (2), (3), (4), (5), (6), (7);

-- Entries dated before an entry that was posted earlier.
CREATE TABLE late_entries (
    transaction_id INTEGER PRIMARY KEY
) STRICT;

-- A balance point comes after an entry, where a day begins: all entries up to it are dated
-- "through" or before, and all later ones after it, but for the late ones.
CREATE TABLE balance_points (
    point INTEGER PRIMARY KEY,
    transaction_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    through TEXT NOT NULL
) STRICT;

-- Totals of an account from the first entry to a point, at each point since which it moved. result
-- is what the entries of a security's account gained less their commissions and fees.
CREATE TABLE balances (
    account_code TEXT NOT NULL,
    point INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    postings INTEGER NOT NULL,
    result INTEGER NOT NULL,
    PRIMARY KEY (account_code, point)
) STRICT, WITHOUT ROWID;

CREATE TABLE splits (
    position INTEGER NOT NULL,
    account_code TEXT NOT NULL,
    effective_date TEXT NOT NULL,
    new_units INTEGER NOT NULL,
    old_units INTEGER NOT NULL
) STRICT;

-- The event at "position" took the movement or split of "about" out of its pool again.
CREATE TABLE voids (
    position INTEGER NOT NULL,
    about INTEGER NOT NULL,
    account_code TEXT NOT NULL
) STRICT;

-- What each event added to or took from each lot, at the lot's own cost, the purchase that opened
-- it left out. A lot is named by the position of that purchase.
CREATE TABLE lot_changes (
    position INTEGER NOT NULL,
    about INTEGER NOT NULL,
    lot INTEGER NOT NULL,
    effective_date TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    cost INTEGER NOT NULL
) STRICT;

CREATE INDEX terms_security ON terms (security);
CREATE INDEX entries_about ON entries (about);
CREATE INDEX entries_terms ON entries (terms_id, COALESCE(traded_on, effective_date));
CREATE INDEX lot_changes_lot ON lot_changes (lot);

CREATE VIEW transactions AS
SELECT e.transaction_id, e.position, e.about, e.effective_date, e.timestamp, t.topic,
    COALESCE(e.description, CASE t.side WHEN 'sell' THEN 'Sold ' ELSE 'Bought ' END
        || e.size || ' ' || t.ticker || ' at ' || e.price) AS description,
    t.strategy_name, t.ticker, t.side, e.size,
    CASE t.side WHEN 'sell' THEN NULL ELSE e.price END AS entry_price,
    CASE t.side WHEN 'sell' THEN e.price END AS exit_price,
    CASE WHEN e.units < 0 THEN e.short_gain + e.long_gain - e.commission - e.fees ELSE e.pnl END
        AS pnl,
    t.broker, '' AS error_code, t.sleeve, t.context, e.reference, e.settles_on, t.coa_version,
    t.rules_version
FROM entries e JOIN terms t USING (terms_id);

-- The lines of a fill are, in this order and where they are not zero: the security (always), cash,
-- short-term gain, long-term gain, commission, fees, rounding; then entry_lines, which are all that
-- other entries have. So each entry is asked for eight kinds of lines.
CREATE VIEW postings AS
SELECT
    CASE WHEN k.kind < 7 THEN 256 * e.transaction_id
        + (k.kind > 0)
        + (k.kind > 1 AND e.cash <> 0)
        + (k.kind > 2 AND e.short_gain <> 0)
        + (k.kind > 3 AND e.long_gain <> 0)
        + (k.kind > 4 AND e.commission <> 0)
        + (k.kind > 5 AND e.fees <> 0)
        ELSE l.posting_id END AS posting_id,
    e.transaction_id, e.position, e.about, e.effective_date,
    CASE k.kind WHEN 0 THEN t.security WHEN 1 THEN t.cash WHEN 2 THEN t.gain_short
        WHEN 3 THEN t.gain_long WHEN 4 THEN t.commissions WHEN 5 THEN t.fees WHEN 6 THEN t.rounding
        ELSE l.account_code END AS account_code,
    CASE k.kind WHEN 0 THEN e.short_gain + e.long_gain + e.gross * (1 - 2 * (e.units < 0))
        WHEN 1 THEN e.cash WHEN 2 THEN -e.short_gain WHEN 3 THEN -e.long_gain
        WHEN 4 THEN e.commission WHEN 5 THEN e.fees WHEN 6 THEN e.residue
        ELSE l.amount END AS amount,
    CASE k.kind WHEN 0 THEN e.units WHEN 7 THEN l.quantity ELSE 0 END AS quantity
FROM entries e CROSS JOIN terms t ON t.terms_id = e.terms_id
CROSS JOIN line_kinds k ON CASE k.kind WHEN 0 THEN e.units IS NOT NULL WHEN 1 THEN e.cash <> 0
    WHEN 2 THEN e.short_gain <> 0 WHEN 3 THEN e.long_gain <> 0 WHEN 4 THEN e.commission <> 0
    WHEN 5 THEN e.fees <> 0 WHEN 6 THEN e.residue <> 0
    ELSE EXISTS (SELECT 1 FROM entry_lines WHERE posting_id BETWEEN 256 * e.transaction_id
        AND 256 * e.transaction_id + 255) END
LEFT JOIN entry_lines l ON k.kind = 7 AND l.posting_id BETWEEN 256 * e.transaction_id
    AND 256 * e.transaction_id + 255;

-- Units bought (positive) and sold by cost pool (account_code); amount is the gross price paid or
-- received. posted_on is the date of the entry: another one when the period was closed.
CREATE VIEW movements AS
SELECT e.about AS position, t.security AS account_code,
    COALESCE(e.traded_on, e.effective_date) AS effective_date, e.effective_date AS posted_on,
    e.units, e.gross AS amount, e.terms_id
FROM entries e JOIN terms t USING (terms_id) WHERE e.units IS NOT NULL;

CREATE VIEW lots AS
SELECT position, position AS about, account_code, position AS lot, effective_date AS acquired_on,
    posted_on AS effective_date, units AS quantity, amount AS cost
FROM movements WHERE units > 0
UNION ALL
SELECT c.position, c.about, m.account_code, c.lot, m.effective_date, c.effective_date, c.quantity,
    c.cost
FROM lot_changes c JOIN movements m ON m.position = c.lot;

-- Units and cost at this moment, one row an account of securities.
CREATE VIEW positions AS
SELECT account_code, SUM(quantity) AS quantity, SUM(amount) AS cost
FROM postings WHERE account_code LIKE '%.%' GROUP BY account_code;
