-- geofence_hourly: what happened in a geofence during a local hour.
--
-- A visit counts in the hour of its entry as an entry, in that of its exit as all else. A vehicle that visits is
-- present from each of its positions until the next one, the end of the visit, or presence_limit later, whichever is
-- first; where the visit lasts, until the newest position, and in silence until the present hour began. The instant
-- of the newest position of a visit that lasts is one of presence too, unless a piece in the same hour reaches it.
WITH newest AS (
    SELECT vehicle_id, max(ts) AS newest FROM segments GROUP BY vehicle_id
), visit AS MATERIALIZED (
    SELECT vehicle_id, geofence_id, entered_at, exited_at, newest,
           (SELECT max(ts)
            FROM segments
            WHERE segments.vehicle_id = oracle_visits.vehicle_id AND ts <= entered_at) AS first,
           coalesce(exited_at, greatest(newest, CASE WHEN now > newest THEN pg_temp.hour_of(now) END)) AS until
    FROM oracle_visits
    JOIN newest USING (vehicle_id)
    CROSS JOIN pipeline
), stay AS (
    SELECT vehicle_id, geofence_id, entered_at, exited_at, greatest(ts, entered_at) AS since,
           least(ts + pg_temp.parameter('presence_limit_ms', 86400000) * interval '1 millisecond',
                 CASE WHEN ts < newest THEN segments.until END, visit.until) AS until
    FROM visit
    JOIN segments USING (vehicle_id)
    WHERE ts >= first AND ts < visit.until
), piece AS MATERIALIZED (
    SELECT vehicle_id, geofence_id, entered_at, hours.since AS hour,
           greatest(stay.since, hours.since) AS since, least(stay.until, hours.until) AS until
    FROM stay
    JOIN hours ON span && tstzrange(stay.since, greatest(stay.since, stay.until))
), presence AS MATERIALIZED (
    SELECT vehicle_id, geofence_id, hour, since, until
    FROM piece
    UNION ALL
    SELECT vehicle_id, geofence_id, pg_temp.hour_of(newest), newest, newest
    FROM visit
    WHERE exited_at IS NULL AND entered_at <= newest
      AND NOT EXISTS (SELECT FROM piece
                      WHERE piece.vehicle_id = visit.vehicle_id AND piece.geofence_id = visit.geofence_id
                        AND piece.entered_at = visit.entered_at AND hour = pg_temp.hour_of(newest)
                        AND since <= newest AND newest <= until)
), present AS (
    SELECT geofence_id, hour, count(DISTINCT vehicle_id) AS unique_vehicles,
           pg_temp.seconds(sum(pg_temp.milliseconds(until - since))) AS vehicle_s_inside
    FROM presence
    GROUP BY geofence_id, hour
), change (geofence_id, hour, at, turn, more) AS (
    -- At an instant who leaves has left before others come; who is present for that instant alone leaves last.
    SELECT geofence_id, hour, since, 2, 1 FROM presence
    UNION ALL
    SELECT geofence_id, hour, until, CASE WHEN since < until THEN 1 ELSE 3 END, -1 FROM presence
), peak AS (
    SELECT geofence_id, hour, max(together) AS peak_vehicles
    FROM (SELECT geofence_id, hour, sum(more) OVER (PARTITION BY geofence_id, hour ORDER BY at, turn) AS together
          FROM change) AS counted
    GROUP BY geofence_id, hour
), entry AS (
    SELECT geofence_id, pg_temp.hour_of(entered_at) AS hour, count(*) AS entries
    FROM oracle_visits
    GROUP BY 1, 2
), exit AS (
    SELECT geofence_id, pg_temp.hour_of(exited_at) AS hour, count(*) AS exits,
           count(*) FILTER (WHERE confirmed) AS confirmed_visits,
           sum(dwell_ms) AS total_ms,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY dwell_ms) AS p50_ms,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY dwell_ms) AS p95_ms
    FROM oracle_visits,
         LATERAL (SELECT pg_temp.milliseconds(exited_at - entered_at) AS dwell_ms) AS dwell
    WHERE exited_at IS NOT NULL
    GROUP BY 1, 2
)
SELECT geofence_id, hour,
       coalesce(entries, 0) AS entries,
       coalesce(exits, 0) AS exits,
       coalesce(confirmed_visits, 0) AS confirmed_visits,
       coalesce(unique_vehicles, 0) AS unique_vehicles,
       pg_temp.seconds(coalesce(total_ms, 0)) AS dwell_total_s,
       pg_temp.seconds(total_ms / exits) AS dwell_mean_s,
       pg_temp.seconds(p50_ms) AS dwell_p50_s,
       pg_temp.seconds(p95_ms) AS dwell_p95_s,
       coalesce(vehicle_s_inside, 0) AS vehicle_s_inside,
       coalesce(peak_vehicles, 0) AS peak_vehicles,
       -- A mean is a whole number of milliseconds; percentiles are within 1 %.
       0.001::double precision AS dwell_mean_s_error,
       pg_temp.seconds(p50_ms * 0.01 + 1) AS dwell_p50_s_error,
       pg_temp.seconds(p95_ms * 0.01 + 1) AS dwell_p95_s_error
FROM entry
FULL JOIN exit USING (geofence_id, hour)
FULL JOIN present USING (geofence_id, hour)
FULL JOIN peak USING (geofence_id, hour);
