-- The tables of one pipeline, in a schema of their own (the search path names it). Columns are those of
-- the descriptors in src/tables/, which also give every table and column its comment; a test compares
-- them. Files here are only ever added.

-- Progress and fencing: the one row every commit begins with.
CREATE TABLE pipeline (
    id          text PRIMARY KEY,
    streams     integer NOT NULL CHECK (streams BETWEEN 1 AND 65535),
    lineage     text NOT NULL DEFAULT gen_random_uuid()::text,
    plan        text NOT NULL,
    archived    boolean NOT NULL,
    term        bigint NOT NULL DEFAULT 0,
    owner       text NOT NULL DEFAULT '',
    owner_host  text NOT NULL DEFAULT '',
    owner_pid   bigint NOT NULL DEFAULT 0,
    claimed_at  timestamptz,
    commit_seq  bigint NOT NULL DEFAULT 0,
    now         timestamptz NOT NULL DEFAULT '-infinity',
    halted      text
);
COMMENT ON TABLE pipeline IS 'Who writes these tables, and how far they are: all but the lagging ones equal a batch recomputation over the log up to cursors.';
COMMENT ON COLUMN pipeline.id IS 'The pipeline''s name: its streams are wt:<id>:events:0 .. and wt:<id>:control.';
COMMENT ON COLUMN pipeline.streams IS 'How many event streams there are; it never changes.';
COMMENT ON COLUMN pipeline.lineage IS 'Random name of this row: checkpoints made for another one are not used.';
COMMENT ON COLUMN pipeline.plan IS 'What decides the meaning of the tables: limits, rules, and the version of the program''s computation, as JSON.';
COMMENT ON COLUMN pipeline.archived IS 'Whether positions_log has every accepted position since the pipeline began, so that the tables can be computed anew from it.';
COMMENT ON COLUMN pipeline.term IS 'Grows by one whenever a daemon takes over: a writer of an earlier term can change nothing any more.';
COMMENT ON COLUMN pipeline.owner IS 'Random name of the daemon that writes.';
COMMENT ON COLUMN pipeline.owner_host IS 'The machine it runs on.';
COMMENT ON COLUMN pipeline.owner_pid IS 'Its process id there.';
COMMENT ON COLUMN pipeline.claimed_at IS 'When it took over.';
COMMENT ON COLUMN pipeline.commit_seq IS 'Number of the last commit; dense.';
COMMENT ON COLUMN pipeline.now IS 'The log''s own time at that commit: the least, over the streams, of the newest clock event read in each.';
COMMENT ON COLUMN pipeline.halted IS 'Why the tables are not brought up to date any more: entries of the log are lost. Empty while all is well.';

CREATE TABLE cursors (
    stream        text PRIMARY KEY,
    last_id       text NOT NULL,
    entries       bigint NOT NULL,
    skipped       bigint NOT NULL,
    rebased       bigint NOT NULL,
    rebased_after text NOT NULL,
    now           timestamptz NOT NULL
);
COMMENT ON TABLE cursors IS 'How far each stream has been read at pipeline.commit_seq.';
COMMENT ON COLUMN cursors.stream IS 'The Redis key.';
COMMENT ON COLUMN cursors.last_id IS 'Id of the last entry the tables contain.';
COMMENT ON COLUMN cursors.entries IS 'Entries up to there, those in skipped included: as many as Redis says were ever added by then, and those in rebased.';
COMMENT ON COLUMN cursors.skipped IS 'Entries that were gone when the pipeline began, or whose loss was accepted: the tables do not contain them.';
COMMENT ON COLUMN cursors.rebased IS 'Entries of earlier streams of this name, which were deleted or replaced by an older state: Redis no longer counts them. It only grows.';
COMMENT ON COLUMN cursors.rebased_after IS 'Id after which reading the present stream began; 0-0 is its beginning.';
COMMENT ON COLUMN cursors.now IS 'The newest clock event in it up to there.';

CREATE TABLE commit_log (
    commit_seq   bigint PRIMARY KEY,
    term         bigint NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    events       bigint NOT NULL,
    rows_changed bigint NOT NULL,
    cursors      jsonb NOT NULL,
    note         text
);
COMMENT ON TABLE commit_log IS 'One row a commit; the oldest are dropped.';
COMMENT ON COLUMN commit_log.commit_seq IS 'Number of the commit; dense.';
COMMENT ON COLUMN commit_log.term IS 'pipeline.term of its writer.';
COMMENT ON COLUMN commit_log.committed_at IS 'The database''s clock shortly before the commit.';
COMMENT ON COLUMN commit_log.events IS 'Events read since the commit before, refused ones included.';
COMMENT ON COLUMN commit_log.rows_changed IS 'Rows written or deleted in transactional tables.';
COMMENT ON COLUMN commit_log.cursors IS 'Id of the last entry read, by stream.';
COMMENT ON COLUMN commit_log.note IS 'What an operator decided with this commit; empty for all others.';

CREATE TABLE table_progress (
    table_name  text PRIMARY KEY,
    term        bigint NOT NULL,
    commit_seq  bigint NOT NULL
);
COMMENT ON TABLE table_progress IS 'The commit that each lagging table equals; all others equal pipeline.commit_seq.';
COMMENT ON COLUMN table_progress.table_name IS 'Which table.';
COMMENT ON COLUMN table_progress.term IS 'pipeline.term of the daemon that writes it.';
COMMENT ON COLUMN table_progress.commit_seq IS 'The commit it equals; never ahead of pipeline.commit_seq.';

CREATE TABLE vehicle_state (
    vehicle_id   text COLLATE "C" PRIMARY KEY,
    ts           timestamptz NOT NULL,
    lon          double precision NOT NULL,
    lat          double precision NOT NULL,
    speed_kmh    double precision,
    heading_deg  double precision,
    status       text NOT NULL,
    geofence_ids text[] NOT NULL,
    geog         geography(Point, 4326) GENERATED ALWAYS AS (ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography) STORED
) WITH (fillfactor = 70);
COMMENT ON COLUMN vehicle_state.geog IS 'The place, for maps and distances in metres. Without an index: it would make every update three times as dear; add one if you search by place.';

CREATE TABLE geofence_membership (
    vehicle_id  text COLLATE "C" NOT NULL,
    geofence_id text COLLATE "C" NOT NULL,
    entered_at  timestamptz NOT NULL,
    PRIMARY KEY (vehicle_id, geofence_id)
);
CREATE INDEX geofence_membership_geofence ON geofence_membership (geofence_id);

CREATE TABLE geofence_occupancy (
    geofence_id text COLLATE "C" PRIMARY KEY,
    vehicles    bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE visits (
    vehicle_id  text COLLATE "C" NOT NULL,
    geofence_id text COLLATE "C" NOT NULL,
    entered_at  timestamptz NOT NULL,
    exited_at   timestamptz,
    confirmed   boolean NOT NULL,
    PRIMARY KEY (vehicle_id, geofence_id, entered_at)
);
CREATE INDEX visits_geofence ON visits (geofence_id, entered_at);

CREATE TABLE offlines (
    vehicle_id text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    PRIMARY KEY (vehicle_id, started_at)
);
CREATE INDEX offlines_open ON offlines (started_at) WHERE ended_at IS NULL;

CREATE TABLE stops (
    vehicle_id  text COLLATE "C" NOT NULL,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    lon         double precision NOT NULL,
    lat         double precision NOT NULL,
    geofence_id text COLLATE "C",
    geog        geography(Point, 4326) GENERATED ALWAYS AS (ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography) STORED,
    PRIMARY KEY (vehicle_id, started_at)
);
CREATE INDEX stops_geog ON stops USING gist (geog);
COMMENT ON COLUMN stops.geog IS 'The place, for maps and distances in metres; indexed.';

CREATE TABLE idlings (
    vehicle_id text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    PRIMARY KEY (vehicle_id, started_at)
);

CREATE TABLE overspeeds (
    vehicle_id    text COLLATE "C" NOT NULL,
    started_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    geofence_id   text COLLATE "C",
    limit_kmh     double precision NOT NULL,
    max_speed_kmh double precision,
    distance_m    double precision,
    PRIMARY KEY (vehicle_id, started_at)
);
CREATE INDEX overspeeds_started_at ON overspeeds (started_at);

CREATE TABLE trips (
    vehicle_id     text COLLATE "C" NOT NULL,
    departed_at    timestamptz NOT NULL,
    arrived_at     timestamptz,
    origin_id      text COLLATE "C" NOT NULL,
    destination_id text COLLATE "C",
    distance_m     double precision,
    duration_s     double precision,
    moving_s       double precision,
    stopped_s      double precision,
    stops          bigint,
    max_speed_kmh  double precision,
    PRIMARY KEY (vehicle_id, departed_at)
);
CREATE INDEX trips_arrived_at ON trips (arrived_at);

CREATE TABLE turnarounds (
    vehicle_id          text COLLATE "C" NOT NULL,
    departed_at         timestamptz NOT NULL,
    returned_at         timestamptz NOT NULL,
    terminal_left_id    text COLLATE "C" NOT NULL,
    terminal_reached_id text COLLATE "C" NOT NULL,
    clients             text NOT NULL,
    distance_m          double precision NOT NULL,
    duration_s          double precision NOT NULL,
    PRIMARY KEY (vehicle_id, departed_at)
);
CREATE INDEX turnarounds_returned_at ON turnarounds (returned_at);

CREATE TABLE vehicle_daily (
    vehicle_id     text COLLATE "C" NOT NULL,
    day            date NOT NULL,
    distance_m     double precision NOT NULL,
    moving_s       double precision NOT NULL,
    stopped_s      double precision NOT NULL,
    idling_s       double precision NOT NULL,
    offline_s      double precision NOT NULL,
    max_speed_kmh  double precision,
    positions      bigint NOT NULL,
    overspeeds     bigint NOT NULL,
    overspeed_s    double precision NOT NULL,
    stops          bigint NOT NULL,
    visits         bigint NOT NULL,
    trips          bigint NOT NULL,
    first_moved_at timestamptz,
    last_moved_at  timestamptz,
    PRIMARY KEY (vehicle_id, day)
) WITH (fillfactor = 70);
CREATE INDEX vehicle_daily_day ON vehicle_daily (day);

CREATE TABLE geofence_hourly (
    geofence_id      text COLLATE "C" NOT NULL,
    hour             timestamptz NOT NULL,
    entries          bigint NOT NULL,
    exits            bigint NOT NULL,
    confirmed_visits bigint NOT NULL,
    unique_vehicles  bigint NOT NULL,
    dwell_total_s    double precision NOT NULL,
    dwell_mean_s     double precision,
    dwell_p50_s      double precision,
    dwell_p95_s      double precision,
    vehicle_s_inside double precision NOT NULL,
    peak_vehicles    bigint NOT NULL,
    PRIMARY KEY (geofence_id, hour)
) WITH (fillfactor = 70);

CREATE TABLE od_daily (
    origin_id       text COLLATE "C" NOT NULL,
    destination_id  text COLLATE "C" NOT NULL,
    day             date NOT NULL,
    trips           bigint NOT NULL,
    duration_mean_s double precision NOT NULL,
    duration_p50_s  double precision NOT NULL,
    duration_p95_s  double precision NOT NULL,
    distance_m      double precision NOT NULL,
    PRIMARY KEY (origin_id, destination_id, day)
);
CREATE INDEX od_daily_day ON od_daily (day);

CREATE TABLE fleet_daily (
    fleet              text COLLATE "C" NOT NULL,
    day                date NOT NULL,
    vehicles_known     bigint NOT NULL,
    vehicles_reporting bigint NOT NULL,
    vehicles_moving    bigint NOT NULL,
    distance_m         double precision NOT NULL,
    moving_s           double precision NOT NULL,
    trips_started      bigint NOT NULL,
    trips_completed    bigint NOT NULL,
    turnarounds        bigint NOT NULL,
    turnaround_mean_s  double precision,
    turnaround_p50_s   double precision,
    turnaround_p95_s   double precision,
    utilisation        double precision,
    PRIMARY KEY (fleet, day)
) WITH (fillfactor = 70);

CREATE TABLE kind_daily (
    kind            text COLLATE "C" NOT NULL,
    day             date NOT NULL,
    visits          bigint NOT NULL,
    unique_vehicles bigint NOT NULL,
    dwell_total_s   double precision NOT NULL,
    dwell_mean_s    double precision NOT NULL,
    dwell_p50_s     double precision NOT NULL,
    dwell_p95_s     double precision NOT NULL,
    PRIMARY KEY (kind, day)
);

CREATE TABLE vehicles (
    vehicle_id      text COLLATE "C" NOT NULL,
    effective_from  timestamptz NOT NULL,
    effective_until timestamptz,
    valid_from      timestamptz NOT NULL,
    name            text,
    fleet           text,
    speed_limit_kmh double precision,
    attributes      json,
    PRIMARY KEY (vehicle_id, effective_from)
);

CREATE TABLE geofences (
    geofence_id     text COLLATE "C" NOT NULL,
    effective_from  timestamptz NOT NULL,
    effective_until timestamptz,
    valid_from      timestamptz NOT NULL,
    name            text,
    kind            text,
    anchor          boolean NOT NULL,
    tags            text[] NOT NULL,
    min_dwell_s     double precision NOT NULL,
    exit_buffer_m   double precision NOT NULL,
    speed_limit_kmh double precision,
    radius_m        double precision,
    geometry        geometry(Geometry, 4326) NOT NULL,
    PRIMARY KEY (geofence_id, effective_from)
);
CREATE INDEX geofences_geometry ON geofences USING gist (geometry);

-- The archive: every accepted position event, a partition a day of ts; the partitions are made as they
-- are needed.
CREATE TABLE positions_log (
    vehicle_id  text COLLATE "C" NOT NULL,
    ts          timestamptz NOT NULL,
    entry       bigint NOT NULL,
    entry_index integer NOT NULL,
    received_at timestamptz NOT NULL,
    deleted     boolean NOT NULL,
    lon         double precision,
    lat         double precision,
    speed_kmh   double precision,
    heading_deg double precision,
    accuracy_m  double precision,
    altitude_m  double precision,
    ignition    boolean,
    attributes  json
) PARTITION BY RANGE (ts);
CREATE INDEX positions_log_ts ON positions_log USING brin (ts);
COMMENT ON TABLE positions_log IS 'Every accepted position event as it came, corrections and withdrawals included: the view positions shows what holds. One partition a day of ts.';
COMMENT ON COLUMN positions_log.vehicle_id IS 'Who.';
COMMENT ON COLUMN positions_log.ts IS 'When the vehicle was there.';
COMMENT ON COLUMN positions_log.entry IS 'Number of the entry in its stream, from 1: of several events for the same vehicle and instant the greatest (entry, entry_index) holds.';
COMMENT ON COLUMN positions_log.entry_index IS 'Number of the event in its entry, from 0.';
COMMENT ON COLUMN positions_log.received_at IS 'Its arrival: what its producer says, else the time in the entry''s id.';
COMMENT ON COLUMN positions_log.deleted IS 'The event withdraws what was known at ts.';
COMMENT ON COLUMN positions_log.lon IS 'Longitude, degrees WGS84, rounded to 1e-7; empty if deleted.';
COMMENT ON COLUMN positions_log.lat IS 'Latitude, degrees WGS84, rounded to 1e-7; empty if deleted.';
COMMENT ON COLUMN positions_log.speed_kmh IS 'As reported; empty if it was not.';
COMMENT ON COLUMN positions_log.heading_deg IS 'Clockwise from north, as reported; empty if it was not.';
COMMENT ON COLUMN positions_log.accuracy_m IS 'As reported; empty if it was not.';
COMMENT ON COLUMN positions_log.altitude_m IS 'As reported; empty if it was not.';
COMMENT ON COLUMN positions_log.ignition IS 'As reported; empty if it was not (and then counts as off).';
COMMENT ON COLUMN positions_log.attributes IS 'Anything else the producer said.';

CREATE TABLE edits_log (
    entry       bigint NOT NULL,
    entry_index integer NOT NULL,
    received_at timestamptz NOT NULL,
    event       json NOT NULL,
    PRIMARY KEY (entry, entry_index)
);
COMMENT ON TABLE edits_log IS 'Every accepted geofence and vehicle event, in the order of the control stream: with positions_log, all that the tables are computed from.';
COMMENT ON COLUMN edits_log.entry IS 'Number of the entry in the control stream, from 1.';
COMMENT ON COLUMN edits_log.entry_index IS 'Number of the event in its entry, from 0.';
COMMENT ON COLUMN edits_log.received_at IS 'Its arrival: it changes nothing before that less the lateness.';
COMMENT ON COLUMN edits_log.event IS 'The event, with the valid_from it was given if it named none.';

CREATE VIEW positions AS
SELECT vehicle_id, ts, lon, lat, speed_kmh, heading_deg, accuracy_m, altitude_m, ignition, attributes,
       ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography(Point, 4326) AS geog
FROM (SELECT DISTINCT ON (vehicle_id, ts) *
      FROM positions_log
      ORDER BY vehicle_id, ts, entry DESC, entry_index DESC) AS latest
WHERE NOT deleted;
COMMENT ON COLUMN positions.geog IS 'The place, for maps and distances in metres.';

CREATE TABLE rejected_events (
    stream     text COLLATE "C" NOT NULL,
    position   text COLLATE "C" NOT NULL,
    reason     text NOT NULL,
    event      bytea NOT NULL,
    detail     text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256     text NOT NULL,
    arrived_at timestamptz,
    PRIMARY KEY (stream, position)
);
CREATE INDEX rejected_events_arrived_at ON rejected_events (arrived_at);

CREATE TABLE rejected_counts (
    stream text COLLATE "C" NOT NULL,
    hour   timestamptz NOT NULL,
    reason text NOT NULL,
    events bigint NOT NULL,
    kept   bigint NOT NULL,
    PRIMARY KEY (stream, hour, reason)
);
