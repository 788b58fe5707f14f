-- Who came in a holder's place: document, name and numbers are sealed under a key of the row's own (`wrapped`), so that the
-- register outlives a withdrawn consent and goes with a forgotten person, like the decision it belongs to.
CREATE TABLE proxy_register (
    subject_id BLOB NOT NULL CHECK (length(subject_id) = 16),
    verification_id BLOB NOT NULL CHECK (length(verification_id) = 16),
    recorded_at INTEGER NOT NULL,
    institution TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    proxy_hash BLOB NOT NULL CHECK (length(proxy_hash) = 32),
    holder BLOB NOT NULL CHECK (length(holder) = 32),
    wrapped BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (subject_id, verification_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX proxy_register_by_time ON proxy_register (recorded_at);
CREATE INDEX proxy_register_by_transaction ON proxy_register (institution, transaction_id);

-- The holders one proxy came for in a day: each takes the next place, so that two at a time cannot take the same.
CREATE TABLE proxy_slot (
    day INTEGER NOT NULL,
    proxy_hash BLOB NOT NULL CHECK (length(proxy_hash) = 32),
    slot INTEGER NOT NULL CHECK (slot >= 0),
    holder BLOB NOT NULL CHECK (length(holder) = 32),
    PRIMARY KEY (day, proxy_hash, slot)
) STRICT, WITHOUT ROWID;

-- What was drawn: a match, or another way that was taken.
ALTER TABLE blind_draw ADD COLUMN drawn TEXT NOT NULL DEFAULT 'match' CHECK (drawn IN ('match', 'other_way'));
