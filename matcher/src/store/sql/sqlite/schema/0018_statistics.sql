-- Figures of days and what stood out in them. All but drift_accepted follows from the log of decisions, can be deleted and comes
-- back. Days are counted from 1970-01-01 by the center's calendar; nobody is named but operators, as their institutions do.

-- Band of age of whoever was compared, at the capture.
ALTER TABLE verification ADD COLUMN age_band TEXT NOT NULL DEFAULT 'unknown';

-- Counts of a day by dimension: figures of all institutions stand under an empty name. `model` is what the scores are of.
CREATE TABLE statistic (
    dimension TEXT NOT NULL,
    day INTEGER NOT NULL,
    institution TEXT NOT NULL,
    item TEXT NOT NULL,
    model TEXT NOT NULL,
    captures INTEGER NOT NULL,
    matched INTEGER NOT NULL,
    review INTEGER NOT NULL,
    non_match INTEGER NOT NULL,
    no_reference INTEGER NOT NULL,
    no_face INTEGER NOT NULL,
    attack INTEGER NOT NULL,
    other_way INTEGER NOT NULL,
    document INTEGER NOT NULL,
    not_the_person INTEGER NOT NULL,
    proxy INTEGER NOT NULL,
    other INTEGER NOT NULL,
    provisional INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    scores INTEGER NOT NULL,
    wait_0 INTEGER NOT NULL,
    wait_1 INTEGER NOT NULL,
    wait_2 INTEGER NOT NULL,
    wait_3 INTEGER NOT NULL,
    wait_4 INTEGER NOT NULL,
    wait_5 INTEGER NOT NULL,
    wait_6 INTEGER NOT NULL,
    wait_7 INTEGER NOT NULL,
    wait_8 INTEGER NOT NULL,
    wait_9 INTEGER NOT NULL,
    wait_10 INTEGER NOT NULL,
    wait_11 INTEGER NOT NULL,
    score_sum REAL NOT NULL,
    score_squares REAL NOT NULL,
    PRIMARY KEY (dimension, day, institution, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX statistic_of_item ON statistic (dimension, institution, item, day);

-- Days that were counted; `final` once nothing more comes. `charts` is how many readings were judged together.
CREATE TABLE statistic_day (
    day INTEGER NOT NULL PRIMARY KEY,
    counted_at INTEGER NOT NULL,
    final INTEGER NOT NULL CHECK (final IN (0, 1)),
    charts INTEGER
) STRICT, WITHOUT ROWID;

-- Charts that were an alarm on a day.
CREATE TABLE drift_alarm (
    day INTEGER NOT NULL,
    dimension TEXT NOT NULL,
    institution TEXT NOT NULL,
    item TEXT NOT NULL,
    chart TEXT NOT NULL,
    value REAL NOT NULL,
    expected REAL NOT NULL,
    effect REAL NOT NULL,
    p REAL NOT NULL,
    PRIMARY KEY (day, dimension, institution, item, chart)
) STRICT, WITHOUT ROWID;
CREATE INDEX drift_alarm_of_item ON drift_alarm (dimension, institution, item, chart, day);

-- Somebody said that a chart's state from a day on is the new one (another camera, say): what was before is no past of it.
CREATE TABLE drift_accepted (
    dimension TEXT NOT NULL,
    institution TEXT NOT NULL,
    item TEXT NOT NULL,
    chart TEXT NOT NULL,
    from_day INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    accepted_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (dimension, institution, item, chart, from_day)
) STRICT, WITHOUT ROWID;

CREATE INDEX provisional_by_time ON provisional (received_at);
