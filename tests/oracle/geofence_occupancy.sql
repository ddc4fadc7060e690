-- geofence_occupancy: how many are inside each geofence now. A geofence has a row while a version of it is in
-- force, or somebody inside. oracle_geofence_membership is the result of geofence_membership.sql.
WITH shown AS (
    SELECT geofence_id
    FROM geofences, pipeline
    WHERE effective_from <= now AND (effective_until > now OR effective_until IS NULL)
    UNION
    SELECT geofence_id
    FROM oracle_geofence_membership
)
SELECT geofence_id, count(vehicle_id) AS vehicles
FROM shown
LEFT JOIN oracle_geofence_membership USING (geofence_id)
GROUP BY geofence_id;
