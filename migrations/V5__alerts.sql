-- Alert rules, and the facts that they select.
CREATE TABLE rules (
    rule_id         text COLLATE "C" NOT NULL,
    effective_from  timestamptz NOT NULL,
    effective_until timestamptz,
    valid_from      timestamptz NOT NULL,
    kind            text NOT NULL,
    severity        text NOT NULL,
    definition      json NOT NULL,
    PRIMARY KEY (rule_id, effective_from)
);

CREATE TABLE alerts (
    rule_id     text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    at          timestamptz NOT NULL,
    kind        text NOT NULL,
    vehicle_id  text,
    geofence_id text,
    severity    text NOT NULL,
    values      json NOT NULL,
    PRIMARY KEY (rule_id, subject)
);
CREATE INDEX alerts_at ON alerts (at);
CREATE INDEX alerts_vehicle ON alerts (vehicle_id, at);
