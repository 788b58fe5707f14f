-- When a request was decided stands beside it, so that its record is found in the right part of the log at once.
ALTER TABLE request ADD COLUMN decided_at INTEGER NOT NULL DEFAULT 0;
UPDATE request SET decided_at = coalesce((SELECT decided_at FROM verification AS v
    WHERE v.subject_id = request.subject_id AND v.id = request.verification_id), 0);
