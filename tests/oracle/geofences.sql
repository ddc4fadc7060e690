-- geofences: what can be said of any version, and of two of the same geofence. The rows that break a rule.
WITH version AS (
    SELECT *, lead(effective_from) OVER following AS next_from, lead(valid_from) OVER following AS next_valid_from
    FROM geofences
    WINDOW following AS (PARTITION BY geofence_id ORDER BY effective_from)
)
SELECT geofence_id, effective_from, broken
FROM version,
     LATERAL (VALUES
        ('it ends after it began', effective_until > effective_from),
        ('it ends unless it is the last', effective_until IS NOT NULL OR next_from IS NULL),
        ('it has ended when the next begins', effective_until <= next_from),
        ('the next was wanted no earlier', valid_from <= next_valid_from),
        ('it does not begin before it was wanted', effective_from >= valid_from),
        ('it says whether it was cut off', cut_off = (valid_from > '-infinity' AND valid_from < effective_from)),
        ('it has an id', geofence_id <> ''),
        ('it is an area or a circle', GeometryType(geometry) IN ('POINT', 'POLYGON', 'MULTIPOLYGON')
            AND (GeometryType(geometry) = 'POINT') = (radius_m IS NOT NULL)),
        ('it is valid', ST_IsValid(geometry)),
        ('it is on the globe', geometry @ ST_MakeEnvelope(-180, -90, 180, 90, 4326)),
        ('its radius is positive', radius_m > 0 AND radius_m < 'infinity'),
        ('its dwell is a time', min_dwell_s >= 0 AND min_dwell_s < 'infinity'),
        ('its buffer is at most 5 km', exit_buffer_m BETWEEN 0 AND 5000),
        ('its speed limit is a speed', speed_limit_kmh >= 0 AND speed_limit_kmh < 'infinity')
     ) AS rules (broken, holds)
WHERE NOT holds;
