-- What devices may answer without the center, what they answered, and when they were heard.

CREATE TABLE lease (
    serial TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    device_id TEXT COLLATE "C" NOT NULL,
    policy_version TEXT COLLATE "C" NOT NULL,
    issued_at BIGINT NOT NULL,
    scenes TEXT COLLATE "C" NOT NULL
);
CREATE INDEX lease_by_device ON lease (device_id, issued_at);

-- A provisional receipt, as it came with its capture. `answered_at` is what the device says.
CREATE TABLE provisional (
    number TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    institution TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    lease_serial TEXT COLLATE "C" NOT NULL,
    scene TEXT COLLATE "C" NOT NULL,
    answered_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    compact TEXT COLLATE "C" NOT NULL
);
CREATE INDEX provisional_by_lease ON provisional (lease_serial, scene);
CREATE INDEX provisional_by_device ON provisional (device_id, sequence);
CREATE INDEX provisional_by_request ON provisional (institution, transaction_id, attempt);

-- When a device was last heard; when it last said that nothing waits, and its highest number then. How far its numbers are
-- complete, and since when the next one is missed.
CREATE TABLE device_heard (
    device_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    heard_at BIGINT NOT NULL,
    nothing_waited_at BIGINT,
    highest_then BIGINT NOT NULL DEFAULT 0,
    complete_up_to BIGINT,
    gap_since BIGINT
);

ALTER TABLE flag ADD COLUMN reason TEXT COLLATE "C" NOT NULL DEFAULT '';
