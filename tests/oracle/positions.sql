-- positions: what can be said of any event in the archive. The rows that break a rule.
WITH event AS (
    SELECT *, count(*) OVER (PARTITION BY vehicle_id, ts, entry, entry_index) AS same
    FROM positions_log
)
SELECT vehicle_id, ts, entry, entry_index, broken
FROM event,
     LATERAL (VALUES
        ('it is one event', same = 1),
        ('its number is one', entry >= 1 AND entry_index >= 0),
        ('it is of a whole millisecond', ts = date_trunc('milliseconds', ts)),
        ('it is at a place unless it withdraws one', deleted = (lon IS NULL) AND deleted = (lat IS NULL)),
        ('a withdrawal says nothing else',
            NOT deleted OR num_nonnulls(speed_kmh, heading_deg, accuracy_m, altitude_m, ignition, attributes) = 0),
        ('it is on the globe', lon BETWEEN -180 AND 180 AND lat BETWEEN -90 AND 90),
        -- Division: the double nearest to the decimal.
        ('it is rounded to 1e-7 degrees',
            lon = round(lon * 1e7::double precision) / 1e7 AND lat = round(lat * 1e7::double precision) / 1e7),
        ('its speed is a speed', speed_kmh >= 0 AND speed_kmh < 'infinity'),
        ('its heading is an angle', heading_deg BETWEEN 0 AND 360)
     ) AS rules (broken, holds)
WHERE NOT holds;
