-- Figures of days and what stood out in them. All but drift_accepted follows from the log of decisions, can be deleted and comes
-- back. Days are counted from 1970-01-01 by the center's calendar; nobody is named but operators, as their institutions do.

-- Band of age of whoever was compared, at the capture.
ALTER TABLE verification ADD COLUMN age_band TEXT COLLATE "C" NOT NULL DEFAULT 'unknown';

-- Counts of a day by dimension: figures of all institutions stand under an empty name. `model` is what the scores are of.
CREATE TABLE statistic (
    dimension TEXT COLLATE "C" NOT NULL,
    day BIGINT NOT NULL,
    institution TEXT COLLATE "C" NOT NULL,
    item TEXT COLLATE "C" NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    captures BIGINT NOT NULL,
    matched BIGINT NOT NULL,
    review BIGINT NOT NULL,
    non_match BIGINT NOT NULL,
    no_reference BIGINT NOT NULL,
    no_face BIGINT NOT NULL,
    attack BIGINT NOT NULL,
    other_way BIGINT NOT NULL,
    document BIGINT NOT NULL,
    not_the_person BIGINT NOT NULL,
    proxy BIGINT NOT NULL,
    other BIGINT NOT NULL,
    provisional BIGINT NOT NULL,
    flags BIGINT NOT NULL,
    scores BIGINT NOT NULL,
    wait_0 BIGINT NOT NULL,
    wait_1 BIGINT NOT NULL,
    wait_2 BIGINT NOT NULL,
    wait_3 BIGINT NOT NULL,
    wait_4 BIGINT NOT NULL,
    wait_5 BIGINT NOT NULL,
    wait_6 BIGINT NOT NULL,
    wait_7 BIGINT NOT NULL,
    wait_8 BIGINT NOT NULL,
    wait_9 BIGINT NOT NULL,
    wait_10 BIGINT NOT NULL,
    wait_11 BIGINT NOT NULL,
    score_sum DOUBLE PRECISION NOT NULL,
    score_squares DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (dimension, day, institution, item)
);
CREATE INDEX statistic_of_item ON statistic (dimension, institution, item, day);

-- Days that were counted; `final` once nothing more comes. `charts` is how many readings were judged together.
CREATE TABLE statistic_day (
    day BIGINT NOT NULL PRIMARY KEY,
    counted_at BIGINT NOT NULL,
    final SMALLINT NOT NULL CHECK (final IN (0, 1)),
    charts BIGINT
);

-- Charts that were an alarm on a day.
CREATE TABLE drift_alarm (
    day BIGINT NOT NULL,
    dimension TEXT COLLATE "C" NOT NULL,
    institution TEXT COLLATE "C" NOT NULL,
    item TEXT COLLATE "C" NOT NULL,
    chart TEXT COLLATE "C" NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    expected DOUBLE PRECISION NOT NULL,
    effect DOUBLE PRECISION NOT NULL,
    p DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (day, dimension, institution, item, chart)
);
CREATE INDEX drift_alarm_of_item ON drift_alarm (dimension, institution, item, chart, day);

-- Somebody said that a chart's state from a day on is the new one (another camera, say): what was before is no past of it.
CREATE TABLE drift_accepted (
    dimension TEXT COLLATE "C" NOT NULL,
    institution TEXT COLLATE "C" NOT NULL,
    item TEXT COLLATE "C" NOT NULL,
    chart TEXT COLLATE "C" NOT NULL,
    from_day BIGINT NOT NULL,
    accepted_at BIGINT NOT NULL,
    accepted_by TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (dimension, institution, item, chart, from_day)
);

CREATE INDEX provisional_by_time ON provisional (received_at);
