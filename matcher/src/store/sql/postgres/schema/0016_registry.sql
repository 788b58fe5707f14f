-- One-time codes that devices join with. `digest` is over locator and secret, which are not kept. `wrong` counts tries with a
-- wrong secret; a code is spent by the first key that comes with it (`used_key`), and answers that key again.
CREATE TABLE device_invitation (
    locator TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    digest BYTEA NOT NULL CHECK (length(digest) = 32),
    device_id TEXT COLLATE "C" NOT NULL,
    institution TEXT COLLATE "C" NOT NULL,
    counter TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('counter', 'enrolment')),
    replaces BIGINT NOT NULL CHECK (replaces IN (0, 1)),
    made_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    wrong BIGINT NOT NULL DEFAULT 0,
    used_at BIGINT,
    used_key BYTEA CHECK (length(used_key) = 32)
);

-- The certificate that was issued last to a device that joined or renewed, to be given again when the answer was lost; and the
-- one before it, which goes on until it ends.
CREATE TABLE device_certificate (
    device_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sha256 BYTEA NOT NULL CHECK (length(sha256) = 32),
    pem TEXT COLLATE "C" NOT NULL,
    issued_at BIGINT NOT NULL,
    previous_sha256 BYTEA UNIQUE CHECK (length(previous_sha256) = 32)
);

-- The last health reports of each device, a bounded number: what rules look at in columns, everything else as JSON.
CREATE TABLE device_report (
    device_id TEXT COLLATE "C" NOT NULL,
    received_at BIGINT NOT NULL,
    behind_ms BIGINT NOT NULL,
    step_ms BIGINT NOT NULL,
    instance BYTEA CHECK (length(instance) = 16),
    detail TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (device_id, received_at)
);
