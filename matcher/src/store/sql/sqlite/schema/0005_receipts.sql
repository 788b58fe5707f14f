-- Receipts, each written with its verification, and the settlements that used them. Not of persons: a receipt
-- names the card by a keyed hash inside its signed form, and outlives faces as decisions do.
CREATE TABLE receipt (
    number TEXT NOT NULL PRIMARY KEY CHECK (length(number) = 22),
    institution TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    verification_id BLOB NOT NULL CHECK (length(verification_id) = 16),
    device_id TEXT NOT NULL,
    drill INTEGER NOT NULL CHECK (drill IN (0, 1)),
    disposition TEXT NOT NULL,
    uses_max INTEGER NOT NULL CHECK (uses_max > 0),
    amount_max_fen INTEGER,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    compact TEXT NOT NULL,
    reversed_at INTEGER,
    UNIQUE (institution, transaction_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_by_time ON receipt (issued_at, number);

CREATE TABLE receipt_use (
    number TEXT NOT NULL REFERENCES receipt (number),
    settlement_id TEXT NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen >= 0),
    document_checked_by TEXT NOT NULL,
    device_id TEXT NOT NULL,
    confirmed_at INTEGER NOT NULL,
    reversed_at INTEGER,
    PRIMARY KEY (number, settlement_id)
) STRICT, WITHOUT ROWID;
