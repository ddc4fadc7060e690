-- geofence_membership: who is inside which geofence now. oracle_visits is the result of visits.sql.
SELECT vehicle_id, geofence_id, entered_at
FROM oracle_visits
WHERE exited_at IS NULL;
