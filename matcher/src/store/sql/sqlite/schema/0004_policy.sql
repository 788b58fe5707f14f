-- Policies as they were applied, each signed; the last one is in force. Nothing is ever changed here: going back to an
-- earlier one applies it again.
CREATE TABLE policy (
    number INTEGER PRIMARY KEY,
    version TEXT NOT NULL,
    text TEXT NOT NULL,
    text_signature BLOB NOT NULL CHECK (length(text_signature) = 64),
    device_policy BLOB NOT NULL,
    device_signature BLOB NOT NULL CHECK (length(device_signature) = 64),
    key_id TEXT NOT NULL,
    applied_at INTEGER NOT NULL,
    applied_by TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

-- What a dry run needs of a decision: whether it was told, the recipe, and what was known of person and photo.
ALTER TABLE verification ADD COLUMN mode TEXT NOT NULL DEFAULT 'demonstration' CHECK (mode IN ('shadow', 'live', 'demonstration'));
UPDATE verification SET mode = 'live' WHERE provisional = 0;
ALTER TABLE verification DROP COLUMN provisional;
ALTER TABLE verification ADD COLUMN recipe TEXT NOT NULL DEFAULT '';
ALTER TABLE verification ADD COLUMN consent TEXT NOT NULL DEFAULT '';
ALTER TABLE verification ADD COLUMN minor INTEGER NOT NULL DEFAULT 0 CHECK (minor IN (0, 1));
ALTER TABLE verification ADD COLUMN childhood_photo INTEGER NOT NULL DEFAULT 0 CHECK (childhood_photo IN (0, 1));
ALTER TABLE verification ADD COLUMN photo_age_days INTEGER;
