-- What was measured of an enrolment photo when it was enrolled, sealed like the photo; none for references that
-- are older than this.
ALTER TABLE enrolment_photo ADD COLUMN quality BLOB;
