-- vehicle_state: where every vehicle is, as far as its last usable position tells, and what it is doing. Its speed there:
-- see segments.sql. oracle_offlines and oracle_geofence_membership are the results of the files of those names.
SELECT vehicle_id, ts, lon, lat, usable.speed_kmh, heading_deg,
       CASE WHEN EXISTS (SELECT FROM oracle_offlines AS o WHERE o.vehicle_id = segments.vehicle_id AND ended_at IS NULL)
            THEN 'offline'
            WHEN moving THEN 'moving'
            ELSE 'stopped' END AS status,
       ARRAY(SELECT geofence_id
             FROM oracle_geofence_membership AS m
             WHERE m.vehicle_id = segments.vehicle_id
             ORDER BY geofence_id COLLATE "C") AS geofence_ids
FROM (SELECT vehicle_id, ts, moving FROM segments WHERE is_last) AS segments
JOIN (SELECT vehicle_id, ts, lon, lat, speed_kmh, heading_deg FROM positions) AS usable USING (vehicle_id, ts);
