-- What a comparison needs of a record stands beside its probe, as JSON: a job reads a table, where it looked up a million rows. Probes from
-- before have none, and theirs is looked up.
ALTER TABLE probe ADD COLUMN facts TEXT;
-- A chunk is the probes of a span, and of persons by the first bytes of their ids.
ALTER TABLE batch_chunk ADD COLUMN first_person BLOB NOT NULL DEFAULT x'0000000000000000';
ALTER TABLE batch_chunk ADD COLUMN last_person BLOB NOT NULL DEFAULT x'ffffffffffffffff';
