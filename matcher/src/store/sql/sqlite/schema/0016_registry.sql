-- One-time codes that devices join with. `digest` is over locator and secret, which are not kept. `wrong` counts tries with a
-- wrong secret; a code is spent by the first key that comes with it (`used_key`), and answers that key again.
CREATE TABLE device_invitation (
    locator TEXT NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    device_id TEXT NOT NULL,
    institution TEXT NOT NULL,
    counter TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('counter', 'enrolment')),
    replaces INTEGER NOT NULL CHECK (replaces IN (0, 1)),
    made_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    wrong INTEGER NOT NULL DEFAULT 0,
    used_at INTEGER,
    used_key BLOB CHECK (length(used_key) = 32)
) STRICT, WITHOUT ROWID;

-- The certificate that was issued last to a device that joined or renewed, to be given again when the answer was lost; and the
-- one before it, which goes on until it ends.
CREATE TABLE device_certificate (
    device_id TEXT NOT NULL PRIMARY KEY,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    pem TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    previous_sha256 BLOB UNIQUE CHECK (length(previous_sha256) = 32)
) STRICT, WITHOUT ROWID;

-- The last health reports of each device, a bounded number: what rules look at in columns, everything else as JSON.
CREATE TABLE device_report (
    device_id TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    behind_ms INTEGER NOT NULL,
    step_ms INTEGER NOT NULL,
    instance BLOB CHECK (length(instance) = 16),
    detail TEXT NOT NULL,
    PRIMARY KEY (device_id, received_at)
) STRICT, WITHOUT ROWID;
