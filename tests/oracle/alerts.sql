-- alerts: every fact against every version of every rule, by the tables of facts as they are.

CREATE FUNCTION pg_temp.iso(t timestamptz) RETURNS text
STABLE LANGUAGE sql AS $$ SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- An identifier within a subject.
CREATE FUNCTION pg_temp.escaped(id text) RETURNS text
IMMUTABLE LANGUAGE sql AS $$ SELECT replace(replace(id, '%', '%25'), '/', '%2F') $$;

-- Whether hours begin on a date.
CREATE FUNCTION pg_temp.begins_on(hours jsonb, day date) RETURNS boolean
IMMUTABLE LANGUAGE sql AS $$
    SELECT EXISTS (
        SELECT
        FROM jsonb_array_elements_text(coalesce(hours -> 'days', '["mon-sun"]')) AS listed,
             regexp_split_to_table(listed, ',') AS part,
             LATERAL (SELECT ARRAY['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] AS names) AS week,
             LATERAL (SELECT array_position(names, split_part(part, '-', 1)) AS first,
                             array_position(names, reverse(split_part(reverse(part), '-', 1))) AS last) AS span
        WHERE (extract(isodow FROM day)::integer - first + 7) % 7 <= (last - first + 7) % 7)
$$;

-- Whether a rule with these hours is active.
CREATE FUNCTION pg_temp.is_active(hours jsonb, t timestamptz) RETURNS boolean
STABLE LANGUAGE sql AS $$
    SELECT hours IS NULL OR CASE
        WHEN since < until THEN pg_temp.begins_on(hours, day) AND clock >= since AND clock < until
        ELSE (clock >= since AND pg_temp.begins_on(hours, day)) OR (clock < until AND pg_temp.begins_on(hours, day - 1))
        END
    FROM (SELECT t AT TIME ZONE coalesce(hours ->> 'zone', pg_temp.time_zone()) AS local) AS here,
         LATERAL (SELECT local::date AS day, local::time AS clock,
                         coalesce(hours ->> 'from', '00:00')::time AS since,
                         coalesce(hours ->> 'to', '24:00')::time AS until) AS parts
$$;

-- version: the versions of rules, with what of them is a time.
CREATE TEMP TABLE rule_version AS
SELECT rule_id, effective_from, effective_until, kind, severity, definition::jsonb -> 'where' AS scope,
       definition::jsonb -> 'hours' AS hours,
       coalesce(definition ->> 'after', '0 ms')::interval AS after,
       coalesce(definition ->> 'cooldown', '0 ms')::interval AS cooldown,
       coalesce(definition ->> 'mode', 'immediate') = 'final' AS waits
FROM rules;

-- fact: what an alert may be about. It lasts from started_at for `least` at least, or happens at `instant`. The geofence
-- counts as it is at judged_at.
CREATE TEMP TABLE alert_fact AS
WITH version AS (
    SELECT geofence_id, effective_from, effective_until,
           NOT EXISTS (SELECT FROM geofences AS next
                       WHERE next.geofence_id = geofences.geofence_id
                         AND next.effective_from = geofences.effective_until) AS is_last
    FROM geofences
), least AS (
    SELECT pg_temp.parameter('overspeed_min_ms', 0) * interval '1 ms' AS overspeed,
           pg_temp.parameter('idle_min_ms', 1200000) * interval '1 ms' AS idling,
           pg_temp.parameter('stop_min_ms', 300000) * interval '1 ms' AS stop,
           pg_temp.parameter('offline_after_ms', 1800000) * interval '1 ms' AS offline
), fact (kind, vehicle_id, geofence_id, judged_at, started_at, instant, ended_at, least, says_end, detail) AS (
    SELECT v.kind, vehicle_id, geofence_id, entered_at, entered_at, v.instant, exited_at, interval '0', v.kind = 'exit',
           '{}'::jsonb
    FROM visits, LATERAL (VALUES ('enter', NULL), ('dwell', NULL), ('exit', exited_at)) AS v (kind, instant)
    WHERE v.kind <> 'exit' OR v.instant IS NOT NULL
    UNION ALL
    SELECT v.kind, vehicle_id, NULL, started_at, started_at, v.instant, ended_at,
           coalesce((SELECT own.offline_after_s * interval '1 second'
                     FROM vehicles AS own
                     WHERE own.vehicle_id = offlines.vehicle_id AND own.effective_from <= started_at
                       AND (own.effective_until > started_at OR own.effective_until IS NULL)), least.offline),
           v.kind = 'back_online', '{}'
    FROM least, offlines, LATERAL (VALUES ('offline', NULL), ('back_online', ended_at)) AS v (kind, instant)
    WHERE v.kind <> 'back_online' OR v.instant IS NOT NULL
    UNION ALL
    SELECT 'stop', vehicle_id, geofence_id, started_at, started_at, NULL, ended_at, least.stop, false,
           jsonb_build_object('lon', lon, 'lat', lat)
    FROM least, stops
    UNION ALL
    SELECT 'idling', vehicle_id, NULL, started_at, started_at, NULL, ended_at, least.idling, false, '{}'
    FROM least, idlings
    UNION ALL
    SELECT 'overspeed', vehicle_id, geofence_id, started_at, started_at, NULL, ended_at, least.overspeed, false,
           jsonb_build_object('limit_kmh', limit_kmh)
    FROM least, overspeeds
    UNION ALL
    SELECT 'trip_started', vehicle_id, origin_id, departed_at - interval '1 ms', departed_at, departed_at, NULL,
           interval '0', false, '{}'
    FROM trips
    UNION ALL
    SELECT 'trip_completed', vehicle_id, destination_id, arrived_at, departed_at, arrived_at, arrived_at, interval '0',
           true, jsonb_build_object('origin_id', origin_id, 'distance_m', distance_m)
    FROM trips
    WHERE arrived_at IS NOT NULL
    UNION ALL
    SELECT 'turnaround_completed', vehicle_id, terminal_reached_id, returned_at, departed_at, returned_at, returned_at,
           interval '0', true, jsonb_build_object('origin_id', terminal_left_id, 'distance_m', distance_m)
    FROM turnarounds
    UNION ALL
    -- A version that is announced ahead begins once now has reached it.
    SELECT 'geofence_changed', NULL, geofence_id, begun.judged_at, begun.t, begun.t, begun.t, interval '0', false,
           begun.detail
    FROM pipeline, version,
         LATERAL (VALUES (effective_from, effective_from, '{}'::jsonb),
                         (CASE WHEN is_last THEN effective_until END, effective_until - interval '1 ms',
                          '{"deleted": true}')) AS begun (t, judged_at, detail)
    WHERE begun.t > '-infinity' AND begun.t <= now
)
SELECT row_number() OVER () AS fact, fact.* FROM fact;

-- counted: visits of vehicles that a rule about occupancy is about.
CREATE TEMP TABLE counted AS
SELECT rule_id, rule.effective_from AS version, geofence_id, entered_at, exited_at
FROM rule_version AS rule, visits
LEFT JOIN LATERAL (SELECT fleet FROM vehicles AS v
                   WHERE v.vehicle_id = visits.vehicle_id AND v.effective_from <= entered_at
                     AND (v.effective_until > entered_at OR v.effective_until IS NULL)) AS vehicle ON true
WHERE kind = 'occupancy'
  AND (scope -> 'vehicle' IS NULL OR coalesce(scope -> 'vehicle' ? vehicle_id, false))
  AND (scope -> 'fleet' IS NULL OR coalesce(scope -> 'fleet' ? fleet, false));

-- How many of these vehicles are in a geofence at an instant.
CREATE FUNCTION pg_temp.occupants(of_rule text, of_version timestamptz, place text, t timestamptz) RETURNS bigint
STABLE LANGUAGE sql AS $$
    SELECT count(*) FROM counted
    WHERE rule_id = of_rule AND version = of_version AND geofence_id = place
      AND entered_at <= t AND (exited_at > t OR exited_at IS NULL)
$$;

-- holding: where the number of vehicles in a geofence meets a rule about it, within the interval of its version.
CREATE TEMP TABLE holding AS
WITH rule AS (
    SELECT rule_version.*, definition ->> 'more_than' AS more_than, definition ->> 'fewer_than' AS fewer_than
    FROM rule_version JOIN rules USING (rule_id, effective_from)
    WHERE rule_version.kind = 'occupancy'
), step AS (
    SELECT rule_id, rule.effective_from AS version, effective_until AS ends, more_than, fewer_than, geofence_id, t
    FROM rule, (SELECT DISTINCT geofence_id FROM geofences) AS geofence,
         LATERAL (SELECT rule.effective_from AS t
                  UNION
                  SELECT instant FROM counted, LATERAL (VALUES (entered_at), (exited_at)) AS ends (instant)
                  WHERE counted.rule_id = rule.rule_id AND counted.version = rule.effective_from
                    AND counted.geofence_id = geofence.geofence_id
                  UNION
                  SELECT instant FROM geofences AS g,
                         LATERAL (VALUES (g.effective_from), (g.effective_until)) AS ends (instant)
                  WHERE g.geofence_id = geofence.geofence_id) AS instants
    WHERE t >= rule.effective_from AND (t < effective_until OR effective_until IS NULL)
), judged AS (
    SELECT step.*, lead(t) OVER following AS next_t,
           (number > more_than::bigint OR number < fewer_than::bigint) AND is_there AS holds
    FROM step,
         LATERAL (SELECT pg_temp.occupants(rule_id, version, geofence_id, t) AS number) AS numbers,
         LATERAL (SELECT EXISTS (SELECT FROM geofences AS g
                                 WHERE g.geofence_id = step.geofence_id AND g.effective_from <= t
                                   AND (g.effective_until > t OR g.effective_until IS NULL)) AS is_there) AS existence
    WINDOW following AS (PARTITION BY rule_id, version, geofence_id ORDER BY t)
), island AS (
    SELECT *, count(*) FILTER (WHERE NOT coalesce(holds, false))
                  OVER (PARTITION BY rule_id, version, geofence_id ORDER BY t) AS number
    FROM judged
)
SELECT rule_id, version, geofence_id, min(t) AS started_at,
       CASE WHEN bool_or(next_t IS NULL) THEN max(ends) ELSE max(next_t) END AS until
FROM island
WHERE holds
GROUP BY rule_id, version, geofence_id, number;

-- candidate: when rules select facts.
CREATE TEMP TABLE alert_candidate AS
WITH held AS (
    -- Judged as the geofence is at the instant of the alert.
    SELECT -row_number() OVER () AS fact, kind, NULL AS vehicle_id, geofence_id, NULL::timestamptz AS judged_at, started_at,
           NULL::timestamptz AS instant, until AS ended_at, interval '0' AS least, false AS says_end, '{}'::jsonb AS detail,
           rule_id, effective_from, effective_until, severity, scope, hours, cooldown, waits, started_at + after AS since
    FROM pipeline, holding
    JOIN rule_version AS rule USING (rule_id)
    WHERE rule.effective_from = version AND started_at > '-infinity' AND started_at + after <= now
      AND (started_at + after < until OR until IS NULL)
), met AS (
    SELECT fact.*, rule_id, effective_from, effective_until, severity, scope, hours, cooldown, waits, since
    FROM pipeline, alert_fact AS fact
    JOIN rule_version USING (kind),
    LATERAL (SELECT coalesce(instant, started_at + greatest(least, after)) AS since) AS from_then
    WHERE instant IS NOT NULL OR ended_at >= since OR (ended_at IS NULL AND (now >= since OR after <= least))
    UNION ALL
    TABLE held
), raised AS (
    SELECT *, since AS at, false AS opening FROM met
    UNION ALL
    SELECT met.*, t, true
    FROM pipeline, met, generate_series(date_trunc('minute', since) + interval '1 minute',
                                        coalesce(least(ended_at - interval '1 ms', CASE WHEN fact < 0 THEN now END), now),
                                        interval '1 minute') AS t
    WHERE instant IS NULL AND hours IS NOT NULL AND NOT pg_temp.is_active(hours, t - interval '1 ms')
), selected AS (
    SELECT raised.*, row_number() OVER (PARTITION BY fact, rule_id, CASE WHEN opening THEN at END ORDER BY at) AS place
    FROM raised
    LEFT JOIN LATERAL (SELECT fleet FROM vehicles AS v
                       WHERE v.vehicle_id = raised.vehicle_id AND v.effective_from <= at
                         AND (v.effective_until > at OR v.effective_until IS NULL)) AS vehicle ON true
    LEFT JOIN LATERAL (SELECT g.geofence_id AS id, coalesce(g.kind, '') AS geofence_kind, to_jsonb(tags) AS tags
                       FROM geofences AS g
                       WHERE g.geofence_id = raised.geofence_id AND g.effective_from <= coalesce(judged_at, at)
                         AND (g.effective_until > coalesce(judged_at, at) OR g.effective_until IS NULL)) AS geofence
        ON true
    WHERE effective_from <= at AND (effective_until > at OR effective_until IS NULL)
      AND pg_temp.is_active(hours, at)
      AND (fact < 0 OR scope -> 'vehicle' IS NULL OR coalesce(scope -> 'vehicle' ? vehicle_id, false))
      AND (fact < 0 OR scope -> 'fleet' IS NULL OR coalesce(scope -> 'fleet' ? fleet, false))
      AND (scope -> 'geofence' IS NULL OR coalesce(scope -> 'geofence' ? id, false))
      AND (scope -> 'kind' IS NULL OR coalesce(scope -> 'kind' ? geofence_kind, false))
      AND (scope -> 'tags' IS NULL
           OR EXISTS (SELECT FROM jsonb_array_elements_text(tags) AS tag WHERE scope -> 'tags' ? tag))
)
SELECT selected.*,
       row_number() OVER (PARTITION BY rule_id, effective_from, vehicle_id, geofence_id
                          ORDER BY at, started_at, opening) AS n
FROM selected, pipeline
WHERE place = 1 AND (NOT waits OR now >= at + pg_temp.parameter('retention_ms', 0) * interval '1 ms');
CREATE INDEX ON alert_candidate (rule_id, effective_from, n);
ANALYZE alert_candidate;

-- Of those with a cooldown each is raised that lies long enough behind the last one that was.
WITH RECURSIVE series AS (
    SELECT candidate.*, at AS last_raised, true AS is_raised FROM alert_candidate AS candidate WHERE n = 1
    UNION ALL
    SELECT next.*, CASE WHEN decided.raises THEN next.at ELSE last_raised END, decided.raises
    FROM series
    JOIN alert_candidate AS next
      ON next.rule_id = series.rule_id AND next.effective_from = series.effective_from AND next.n = series.n + 1
     AND next.vehicle_id IS NOT DISTINCT FROM series.vehicle_id
     AND next.geofence_id IS NOT DISTINCT FROM series.geofence_id,
    LATERAL (SELECT next.at - last_raised >= next.cooldown AS raises) AS decided
)
SELECT rule_id,
       concat_ws('/', pg_temp.escaped(rule_id), kind, pg_temp.escaped(vehicle_id),
                 CASE WHEN kind IN ('enter', 'exit', 'dwell', 'occupancy', 'geofence_changed')
                      THEN pg_temp.escaped(geofence_id) END,
                 pg_temp.iso(started_at), CASE WHEN opening THEN pg_temp.iso(at) END) AS subject,
       at, kind, vehicle_id, geofence_id, severity,
       jsonb_build_object('started_at', pg_temp.iso(started_at))
           || CASE WHEN says_end
                   THEN jsonb_build_object('ended_at', pg_temp.iso(ended_at),
                                           'duration_s', pg_temp.milliseconds(ended_at - started_at) / 1000)
                   ELSE '{}' END
           || detail
           || CASE WHEN kind = 'occupancy'
                   THEN jsonb_build_object('vehicles', pg_temp.occupants(rule_id, effective_from, geofence_id, at))
                   ELSE '{}' END
           || CASE WHEN opening THEN '{"opening": true}'::jsonb ELSE '{}' END AS values
FROM series
WHERE is_raised;
