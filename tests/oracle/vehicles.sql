-- vehicles: what can be said of any version, and of two of the same vehicle. The rows that break a rule.
WITH version AS (
    SELECT *, lead(effective_from) OVER following AS next_from, lead(valid_from) OVER following AS next_valid_from
    FROM vehicles
    WINDOW following AS (PARTITION BY vehicle_id ORDER BY effective_from)
)
SELECT vehicle_id, effective_from, broken
FROM version,
     LATERAL (VALUES
        ('it ends after it began', effective_until > effective_from),
        ('it ends unless it is the last', effective_until IS NOT NULL OR next_from IS NULL),
        ('it has ended when the next begins', effective_until <= next_from),
        ('the next was wanted no earlier', valid_from <= next_valid_from),
        ('it does not begin before it was wanted', effective_from >= valid_from),
        ('it has an id', vehicle_id <> ''),
        ('its speed limit is a speed', speed_limit_kmh >= 0 AND speed_limit_kmh < 'infinity'),
        ('its silence is a time', offline_after_s > 0 AND offline_after_s < 'infinity'),
        ('its attributes are an object that is not empty',
            json_typeof(attributes) = 'object' AND attributes::text <> '{}')
     ) AS rules (broken, holds)
WHERE NOT holds;
