-- Relays: devices that speak for the counters of their institution. A relay's role column says `counter`, as the first
-- schema allows no other word; this column tells them apart.
ALTER TABLE device ADD COLUMN relay BIGINT NOT NULL DEFAULT 0 CHECK (relay IN (0, 1));
ALTER TABLE device_invitation ADD COLUMN relay BIGINT NOT NULL DEFAULT 0 CHECK (relay IN (0, 1));
