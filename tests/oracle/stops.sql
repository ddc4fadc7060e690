-- stops: a vehicle stayed where it was: see standings in segments.sql. One is open while it holds the last usable
-- position. Its geofence, of those it was inside during it: anchors first, then the longest time in sum, then the
-- smallest id. oracle_visits is the result of visits.sql.
CREATE INDEX ON oracle_visits (vehicle_id, entered_at);

WITH stop AS (
    SELECT anchor.vehicle_id, anchor.ts AS started_at, anchor.lon, anchor.lat, last.ts AS until,
           CASE WHEN NOT last.is_last THEN last.ts END AS ended_at
    FROM standings
    JOIN segments AS anchor ON anchor.vehicle_id = standings.vehicle_id AND anchor.k = standings.first
    JOIN segments AS last ON last.vehicle_id = standings.vehicle_id AND last.k = standings.last
)
SELECT vehicle_id, started_at, ended_at, lon, lat,
       (SELECT visit.geofence_id
        FROM oracle_visits AS visit
        JOIN geofences AS version
          ON version.geofence_id = visit.geofence_id AND effective_from <= entered_at
         AND (effective_until > entered_at OR effective_until IS NULL)
        WHERE visit.vehicle_id = stop.vehicle_id AND entered_at < stop.until
          AND (exited_at > started_at OR exited_at IS NULL)
        GROUP BY visit.geofence_id
        ORDER BY NOT bool_or(anchor),
                 sum(least(coalesce(exited_at, 'infinity'), stop.until) - greatest(entered_at, started_at)) DESC,
                 visit.geofence_id COLLATE "C"
        LIMIT 1) AS geofence_id
FROM stop;
