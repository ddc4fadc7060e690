-- heard, usable, segments, legs and parts, which are no tables of a pipeline: every position with what the rules of
-- movement say of it.
--
-- Distances may be wrong by 1e-6 of them and a millimetre a step, and so may means: speed_error_kmh.

-- The straight way, in whole millimetres.
CREATE FUNCTION pg_temp.way_mm(a geography, b geography) RETURNS numeric
IMMUTABLE LANGUAGE sql AS $$ SELECT round(ST_Distance(a, b)::numeric * 1000) $$;

-- A mean speed, rounded down to a millionth of a km/h.
CREATE FUNCTION pg_temp.mean_kmh(way_mm numeric, ms numeric) RETURNS numeric
IMMUTABLE LANGUAGE sql AS $$ SELECT div(way_mm * 3600000, ms) / 1000000 $$;

-- Whether a vehicle cannot have gone the way in that time.
CREATE FUNCTION pg_temp.implausible(a geography, b geography, ms numeric, jump_mm numeric, max_kmh numeric) RETURNS boolean
IMMUTABLE LANGUAGE sql AS $$
    SELECT way > jump_mm AND pg_temp.mean_kmh(way, ms) > max_kmh FROM pg_temp.way_mm(a, b) AS way
$$;

-- heard: all positions. silent: an offline lies before it; session: how many do. An offline is longer than the
-- offline_after_s of the vehicle's version in force at the position before, or else than offline_after. ignition: what
-- is known of it, the last reported since the last offline.
CREATE TEMP TABLE heard AS
WITH track AS (
    SELECT vehicle_id, ts, lon, lat, geog, speed_kmh, accuracy_m, ignition AS reported,
           extract(epoch FROM ts) * 1000 AS ms,
           lag(ts) OVER (PARTITION BY vehicle_id ORDER BY ts) AS ts_before
    FROM positions
), judged AS (
    SELECT track.*,
           coalesce(pg_temp.milliseconds(ts - ts_before)
                    > coalesce((SELECT (own.offline_after_s * 1000)::numeric
                                FROM vehicles AS own
                                WHERE own.vehicle_id = track.vehicle_id AND own.effective_from <= ts_before
                                  AND (own.effective_until > ts_before OR own.effective_until IS NULL)),
                               pg_temp.parameter('offline_after_ms', 1800000)), false) AS silent
    FROM track
), numbered AS (
    SELECT *, count(*) FILTER (WHERE silent) OVER (PARTITION BY vehicle_id ORDER BY ts) AS session
    FROM judged
), grouped AS (
    SELECT *, count(reported) OVER (PARTITION BY vehicle_id, session ORDER BY ts) AS reports
    FROM numbered
)
SELECT vehicle_id, ts, ms, ts_before, lon, lat, geog, speed_kmh, silent, session, reported,
       first_value(reported) OVER (PARTITION BY vehicle_id, session, reports ORDER BY ts) AS ignition,
       CASE WHEN pg_temp.parameter('max_accuracy_m', 1000) > 0
             AND accuracy_m > pg_temp.parameter('max_accuracy_m', 1000) THEN 'inaccurate' END AS mark
FROM grouped;
CREATE INDEX ON heard (vehicle_id, ts);
ANALYZE heard;

-- Outliers: runs of one to five accurate positions within ten minutes and without an offline. Behind the last usable
-- position since the last offline, the way to the run and the way from it are implausible and that past it is not; if
-- an offline follows, the run is left implausibly if its last position is farther from the one behind. Without one
-- before, the run is left implausibly, and one more legs than it has positions, behind it, are plausible.
CREATE FUNCTION pg_temp.outliers() RETURNS TABLE (vehicle_id text, at_ms numeric)
LANGUAGE plpgsql AS $$
DECLARE
    jump_mm CONSTANT numeric := pg_temp.parameter('jump_mm', 100000);
    max_kmh CONSTANT numeric := pg_temp.parameter('max_plausible_kmh', 250);
    t numeric[]; g geography[]; s bigint[];
    n integer; i integer; b integer; run integer; fine boolean;
BEGIN
    FOR vehicle_id, t, g, s IN
        SELECT heard.vehicle_id, array_agg(ms ORDER BY ms), array_agg(geog ORDER BY ms), array_agg(session ORDER BY ms)
        FROM heard WHERE mark IS NULL GROUP BY heard.vehicle_id
    LOOP
        n := cardinality(t); i := 1; b := NULL;
        WHILE i <= n LOOP
            IF b IS NOT NULL AND s[b] <> s[i] THEN b := NULL; END IF;
            run := NULL;
            IF b IS NULL OR pg_temp.implausible(g[b], g[i], t[i] - t[b], jump_mm, max_kmh) THEN
                FOR length IN 1..5 LOOP
                    EXIT WHEN i + length > n OR s[i + length - 1] <> s[i] OR t[i + length - 1] - t[i] > 600000;
                    IF s[i + length] <> s[i] THEN
                        fine := b IS NOT NULL AND pg_temp.way_mm(g[i + length - 1], g[i + length])
                                                > pg_temp.way_mm(g[b], g[i + length]);
                    ELSE
                        fine := pg_temp.implausible(g[i + length - 1], g[i + length], t[i + length] - t[i + length - 1],
                                                    jump_mm, max_kmh);
                    END IF;
                    CONTINUE WHEN NOT fine;
                    IF b IS NOT NULL THEN
                        fine := NOT pg_temp.implausible(g[b], g[i + length], t[i + length] - t[b], jump_mm, max_kmh);
                    ELSE
                        fine := i + 2 * length + 1 <= n;
                        FOR k IN i + length .. i + 2 * length LOOP
                            EXIT WHEN NOT fine;
                            fine := s[k + 1] = s[k]
                                AND NOT pg_temp.implausible(g[k], g[k + 1], t[k + 1] - t[k], jump_mm, max_kmh);
                        END LOOP;
                    END IF;
                    IF fine THEN run := length; EXIT; END IF;
                END LOOP;
            END IF;
            IF run IS NULL THEN
                b := i; i := i + 1;
            ELSE
                FOR k IN i .. i + run - 1 LOOP
                    at_ms := t[k];
                    RETURN NEXT;
                END LOOP;
                i := i + run;
            END IF;
        END LOOP;
    END LOOP;
END $$;

UPDATE heard SET mark = 'outlier'
FROM (SELECT * FROM pg_temp.outliers() WHERE pg_temp.parameter('skip_outliers', 1) = 1) AS outlier
WHERE outlier.vehicle_id = heard.vehicle_id AND outlier.at_ms = heard.ms;

-- usable: the others, numbered.
CREATE TEMP TABLE usable AS
SELECT vehicle_id, row_number() OVER by_time AS k, ts, ms, lead(ts) OVER by_time AS ts_after, lon, lat, geog, speed_kmh,
       session, ignition,
       CASE WHEN speed_kmh <= pg_temp.parameter('max_plausible_kmh', 250) THEN speed_kmh::numeric END AS reported_kmh
FROM heard
WHERE mark IS NULL
WINDOW by_time AS (PARTITION BY vehicle_id ORDER BY ts);
CREATE UNIQUE INDEX ON usable (vehicle_id, k);
CREATE UNIQUE INDEX ON usable (vehicle_id, ts);
ANALYZE usable;

-- The runs of anchors: those within the radius that follow, and a single one outside if the next is back within two
-- minutes; the position behind a run is the next anchor. A run that lasts is a stop; it continues the one before if its
-- anchor is right behind that, or at most two minutes after its end, and within twice the radius of its first anchor.
CREATE FUNCTION pg_temp.standings() RETURNS TABLE (vehicle_id text, first bigint, last bigint)
LANGUAGE plpgsql AS $$
DECLARE
    radius_m CONSTANT double precision := pg_temp.parameter('stop_radius_m', 50);
    stop_min_ms CONSTANT numeric := pg_temp.parameter('stop_min_ms', 300000);
    t numeric[]; g geography[];
    n integer; a integer; l integer;
BEGIN
    FOR vehicle_id, t, g IN
        SELECT usable.vehicle_id, array_agg(ms ORDER BY ms), array_agg(geog ORDER BY ms)
        FROM usable GROUP BY usable.vehicle_id
    LOOP
        n := cardinality(t); a := 1; first := NULL;
        WHILE a <= n LOOP
            l := a;
            LOOP
                IF l + 1 <= n AND ST_Distance(g[a], g[l + 1]) <= radius_m THEN
                    l := l + 1;
                ELSIF l + 2 <= n AND t[l + 2] - t[l + 1] <= 120000 AND ST_Distance(g[a], g[l + 2]) <= radius_m THEN
                    l := l + 2;
                ELSE
                    EXIT;
                END IF;
            END LOOP;
            IF l > a AND t[l] - t[a] >= stop_min_ms THEN
                IF first IS NOT NULL AND (a = last + 1 OR t[a] - t[last::integer] <= 120000)
                   AND ST_Distance(g[first::integer], g[a]) <= 2 * radius_m THEN
                    last := l;
                ELSE
                    IF first IS NOT NULL THEN RETURN NEXT; END IF;
                    first := a; last := l;
                END IF;
            END IF;
            a := l + 1;
        END LOOP;
        IF first IS NOT NULL THEN RETURN NEXT; END IF;
    END LOOP;
END $$;

CREATE TEMP TABLE standings AS SELECT * FROM pg_temp.standings();
CREATE INDEX ON standings (vehicle_id COLLATE "C", first);
ANALYZE standings;

-- segments: a usable position and the time until the next one; the last one has no length.
--
-- * stop_first, stop_last: the ends of the stop it is in, if it is in one; stands: so is the next.
-- * speed_kmh: 0 in a stop, empty across an offline, else as reported if that holds for so short a segment, else the
--   mean of the segment, or of a longer stretch up to its end if it is shorter than speed_span; empty if implausible.
--   Of the last position: as reported, else that of the segment before it.
CREATE TEMP TABLE segments AS
WITH rule AS (
    SELECT pg_temp.parameter('max_plausible_kmh', 250) AS max_kmh, pg_temp.parameter('speed_hold_ms', 120000) AS hold_ms,
           pg_temp.parameter('speed_span_ms', 10000) AS span_ms, pg_temp.parameter('idle_speed_kmh', 5) AS idle_kmh
), placed AS (
    SELECT usable.*, standings.first AS stop_first, standings.last AS stop_last, coalesce(usable.k < standings.last, false) AS stands,
           lead(ms) OVER by_time AS ms_after, lead(geog) OVER by_time AS geog_after,
           coalesce(lead(session) OVER by_time <> session, false) AS gap
    FROM usable
    LEFT JOIN standings ON standings.vehicle_id = usable.vehicle_id AND usable.k BETWEEN standings.first AND standings.last
    WINDOW by_time AS (PARTITION BY usable.vehicle_id ORDER BY usable.k)
), known AS (
    SELECT placed.*, rule.*, older.since_ms,
           CASE WHEN since_ms IS NOT NULL
                THEN pg_temp.mean_kmh(pg_temp.way_mm(since_geog, geog_after), ms_after - since_ms) END AS mean_kmh
    FROM placed
    CROSS JOIN rule
    LEFT JOIN LATERAL (
        SELECT from_.ms AS since_ms, from_.geog AS since_geog
        FROM usable AS from_
        WHERE from_.vehicle_id = placed.vehicle_id AND from_.k <= placed.k AND from_.session = placed.session
          AND (ms_after - placed.ms >= span_ms AND from_.k = placed.k OR ms_after - placed.ms < span_ms AND ms_after - from_.ms >= span_ms)
        ORDER BY from_.k DESC
        LIMIT 1) AS older ON NOT gap AND NOT stands AND ts_after IS NOT NULL
                         AND NOT coalesce(reported_kmh IS NOT NULL AND ms_after - placed.ms <= hold_ms, false)
), timed AS (
    SELECT *,
           CASE WHEN ts_after IS NULL THEN NULL
                WHEN stands THEN 0
                WHEN gap THEN NULL
                WHEN reported_kmh IS NOT NULL AND ms_after - ms <= hold_ms THEN reported_kmh
                WHEN mean_kmh <= max_kmh THEN mean_kmh END AS segment_kmh,
           CASE WHEN since_ms IS NOT NULL THEN 3.6 / (ms_after - since_ms) + mean_kmh * 1e-6 ELSE 0 END AS segment_error
    FROM known
), spoken AS (
    SELECT *,
           CASE WHEN ts_after IS NOT NULL THEN segment_kmh
                WHEN stop_first IS NOT NULL THEN 0
                ELSE coalesce(reported_kmh, lag(segment_kmh) OVER by_time) END AS best_kmh,
           CASE WHEN ts_after IS NOT NULL THEN segment_error
                WHEN stop_first IS NOT NULL OR reported_kmh IS NOT NULL THEN 0
                ELSE coalesce(lag(segment_error) OVER by_time, 0) END AS best_error
    FROM timed
    WINDOW by_time AS (PARTITION BY vehicle_id ORDER BY k)
)
SELECT vehicle_id, k, ts, ms, coalesce(ts_after, ts) AS until, ts_after IS NULL AS is_last, lon, lat, geog, geog_after, ms_after,
       session, ignition, gap, stop_first, stop_last, stands,
       best_kmh AS speed_kmh, best_error::double precision AS speed_error_kmh,
       coalesce(best_kmh >= idle_kmh, false) AS moving,
       CASE WHEN stop_first IS NULL THEN reported_kmh END AS outside_kmh
FROM spoken;
CREATE UNIQUE INDEX ON segments (vehicle_id, k);
CREATE UNIQUE INDEX ON segments (vehicle_id, ts);
ANALYZE segments;

-- legs: from one counted position to the next. Counted are the first, the first after an offline, the first of each UTC
-- hour outside stops, the first of a stop, and outside stops each that is min_step_m from the counted one before. A leg
-- across an offline, or too fast, adds nothing.
CREATE FUNCTION pg_temp.legs() RETURNS TABLE (vehicle_id text, from_k bigint, to_k bigint, way_mm numeric)
LANGUAGE plpgsql AS $$
DECLARE
    min_step_mm CONSTANT numeric := pg_temp.parameter('min_step_mm', 25000);
    max_kmh CONSTANT numeric := pg_temp.parameter('max_plausible_kmh', 250);
    t numeric[]; g geography[]; s bigint[]; f bigint[];
    n integer; c integer; hour numeric; far numeric; counts boolean;
BEGIN
    FOR vehicle_id, t, g, s, f IN
        SELECT segments.vehicle_id, array_agg(ms ORDER BY k), array_agg(geog ORDER BY k), array_agg(session ORDER BY k),
               array_agg(stop_first ORDER BY k)
        FROM segments GROUP BY segments.vehicle_id
    LOOP
        n := cardinality(t); c := 1; hour := CASE WHEN f[1] IS NULL THEN div(t[1], 3600000) END;
        FOR i IN 2..n LOOP
            counts := s[i] <> s[i - 1] OR f[i] = i OR f[i] IS NULL AND hour IS DISTINCT FROM div(t[i], 3600000);
            IF f[i] IS NULL THEN hour := div(t[i], 3600000); END IF;
            IF coalesce(counts, false) OR f[i] IS NULL THEN
                far := pg_temp.way_mm(g[c], g[i]);
                IF coalesce(counts, false) OR far >= min_step_mm THEN
                    from_k := c; to_k := i;
                    way_mm := CASE WHEN s[c] = s[i] AND pg_temp.mean_kmh(far, t[i] - t[c]) <= max_kmh THEN far ELSE 0 END;
                    RETURN NEXT;
                    c := i;
                END IF;
            END IF;
        END LOOP;
    END LOOP;
END $$;

CREATE TEMP TABLE legs AS
SELECT ended.vehicle_id, from_k, to_k, way_mm, ended.ts AS ended_at -- the id of a table has its collation, and so its index
FROM pg_temp.legs() AS legs
JOIN segments AS ended ON ended.vehicle_id = legs.vehicle_id AND ended.k = legs.to_k;
CREATE INDEX ON legs (vehicle_id, ended_at);
ANALYZE legs;

-- gaps: the straight way from a usable position to the next across an offline, none within a stop, none too fast. It
-- counts at the end of the last offline between.
CREATE TEMP TABLE gaps AS
SELECT vehicle_id, way_mm,
       (SELECT max(heard.ts) FROM heard
        WHERE heard.vehicle_id = segments.vehicle_id AND silent AND heard.ts > segments.ts AND heard.ts <= segments.until) AS ended_at
FROM segments, pg_temp.way_mm(geog, geog_after) AS way_mm
WHERE gap AND NOT stands
  AND pg_temp.mean_kmh(way_mm, ms_after - ms) <= pg_temp.parameter('max_plausible_kmh', 250);
CREATE INDEX ON gaps (vehicle_id, ended_at);

-- parts: the time of segments that is no offline.
CREATE TEMP TABLE parts AS
SELECT heard.vehicle_id, ts_before AS since, heard.ts AS until, speed.speed_kmh, speed_error_kmh, moving
FROM heard
JOIN LATERAL (SELECT speed_kmh, speed_error_kmh, moving, is_last
              FROM segments
              WHERE segments.vehicle_id = heard.vehicle_id AND segments.ts <= ts_before
              ORDER BY segments.ts DESC
              LIMIT 1) AS speed ON NOT is_last
WHERE NOT silent AND ts_before IS NOT NULL;
CREATE INDEX ON parts (vehicle_id, since);
ANALYZE parts;

-- What adds up from an instant until before another one: legs that end later than the first, up to the other; gaps that
-- end between, both included; the time of parts between the two; the greatest speed of these parts, and reported at
-- positions between the two outside stops.
CREATE FUNCTION pg_temp.measures(vehicle text, since_ timestamptz, before timestamptz)
RETURNS TABLE (distance_m double precision, distance_m_error double precision,
               gap_m double precision, gap_m_error double precision,
               moving_s double precision, stopped_s double precision,
               max_speed_kmh double precision, max_speed_kmh_error double precision)
STABLE LANGUAGE sql AS $$
    SELECT (coalesce(d.mm, 0) / 1000)::double precision, (coalesce(d.error, 0) / 1000)::double precision,
           (coalesce(g.mm, 0) / 1000)::double precision, (coalesce(g.error, 0) / 1000)::double precision,
           pg_temp.seconds(coalesce(p.moving_ms, 0)), pg_temp.seconds(coalesce(p.stopped_ms, 0)),
           greatest(p.kmh, o.kmh)::double precision, coalesce(p.error, 0)
    FROM (SELECT sum(way_mm) AS mm, sum(way_mm * 1e-6 + 1) AS error FROM legs
          WHERE vehicle_id = vehicle AND ended_at > since_ AND ended_at <= before) AS d,
         (SELECT sum(way_mm) AS mm, sum(way_mm * 1e-6 + 1) AS error FROM gaps
          WHERE vehicle_id = vehicle AND ended_at >= since_ AND ended_at <= before) AS g,
         (SELECT sum(ms) FILTER (WHERE moving) AS moving_ms, sum(ms) FILTER (WHERE NOT moving) AS stopped_ms,
                 max(speed_kmh) AS kmh, max(speed_error_kmh) AS error
          FROM parts,
               LATERAL (SELECT pg_temp.milliseconds(least(until, before) - greatest(since, since_)) AS ms) AS length
          WHERE vehicle_id = vehicle AND since < before AND until > since_
            AND since >= coalesce((SELECT max(since) FROM parts WHERE vehicle_id = vehicle AND since <= since_), since_)) AS p,
         (SELECT max(outside_kmh) AS kmh FROM segments
          WHERE vehicle_id = vehicle AND ts >= since_ AND ts < before) AS o
$$;
