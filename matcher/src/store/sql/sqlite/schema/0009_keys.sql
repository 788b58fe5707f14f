-- Key-encryption keys that are out of use: the first nine bytes of the data keys they wrapped. A process that was
-- asleep while a key was dropped must not write what nobody can unwrap any more.
CREATE TABLE retired_key_encryption (
    prefix BLOB NOT NULL PRIMARY KEY CHECK (length(prefix) = 9),
    retired_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER data_key_of_retired_key BEFORE INSERT ON data_key
WHEN EXISTS (SELECT 1 FROM retired_key_encryption WHERE prefix = substr(NEW.wrapped, 1, 9))
BEGIN
    SELECT RAISE(ABORT, 'the key-encryption key is out of use');
END;

-- Which authority's certificate (SHA-256 of its DER form) a device last said that it trusts.
CREATE TABLE device_authority (
    device_id TEXT NOT NULL PRIMARY KEY,
    authority BLOB NOT NULL CHECK (length(authority) = 32),
    reported_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
