-- What devices may answer without the center, what they answered, and when they were heard.

CREATE TABLE lease (
    serial TEXT NOT NULL PRIMARY KEY,
    device_id TEXT NOT NULL,
    policy_version TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    scenes TEXT NOT NULL
) STRICT;
CREATE INDEX lease_by_device ON lease (device_id, issued_at);

-- A provisional receipt, as it came with its capture. `answered_at` is what the device says.
CREATE TABLE provisional (
    number TEXT NOT NULL PRIMARY KEY,
    institution TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    lease_serial TEXT NOT NULL,
    scene TEXT NOT NULL,
    answered_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    compact TEXT NOT NULL
) STRICT;
CREATE INDEX provisional_by_lease ON provisional (lease_serial, scene);
CREATE INDEX provisional_by_device ON provisional (device_id, sequence);
CREATE INDEX provisional_by_request ON provisional (institution, transaction_id, attempt);

-- When a device was last heard; when it last said that nothing waits, and its highest number then. How far its numbers are
-- complete, and since when the next one is missed.
CREATE TABLE device_heard (
    device_id TEXT NOT NULL PRIMARY KEY,
    heard_at INTEGER NOT NULL,
    nothing_waited_at INTEGER,
    highest_then INTEGER NOT NULL DEFAULT 0,
    complete_up_to INTEGER,
    gap_since INTEGER
) STRICT;

ALTER TABLE flag ADD COLUMN reason TEXT NOT NULL DEFAULT '';
