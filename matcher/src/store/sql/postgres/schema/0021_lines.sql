-- The lines of a page of the queue are found in one index, in their order and without a look into the table: where an index lacks what the page
-- asks for, a server that does not know how many cases a value has reads all of them and puts them in order.
DROP INDEX case_desk_working;
DROP INDEX case_desk_by_standing;
DROP INDEX case_facet_working;
DROP INDEX case_facet_by_standing;
CREATE INDEX case_desk_working ON case_desk (rank, case_id, subject_id) WHERE standing <> 'closed';
CREATE INDEX case_desk_by_standing ON case_desk (standing, rank, case_id, subject_id);
CREATE INDEX case_facet_working ON case_facet (facet, value, rank, case_id, subject_id) WHERE standing <> 'closed';
CREATE INDEX case_facet_by_standing ON case_facet (facet, value, standing, rank, case_id, subject_id);
