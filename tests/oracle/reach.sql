-- reach, which is no table of a pipeline but an index for visits.sql: the versions of geofences with their
-- borders and the boxes in which they can matter, mostly one each.
CREATE TEMP TABLE reach AS
SELECT geofence_id, effective_from, effective_until, geometry, radius_m, exit_buffer_m,
       ST_Boundary(geometry) AS border, box
FROM geofences, pg_temp.boxes(geometry, coalesce(radius_m, 0) + exit_buffer_m) AS box;
CREATE INDEX ON reach USING gist (box);
ANALYZE reach;
