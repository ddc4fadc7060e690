-- days and hours, which are no tables of a pipeline: the local ones from before the first position until after
-- the last one and now.
--
-- A day is an interval during which the local date is the same. Where clocks go back over midnight there are two
-- of one date. Dates change at a midnight of one of the zone's offsets, or with the offset, at a full minute.
CREATE TEMP TABLE days AS
WITH told AS (
    SELECT date_trunc('day', min(ts)) - interval '2 days' AS since,
           greatest(max(ts), max(now)) + interval '3 days' AS until
    FROM positions, pipeline
), hourly AS (
    SELECT t, t AT TIME ZONE pg_temp.time_zone() - t AT TIME ZONE 'UTC' AS ahead
    FROM told, generate_series(since, until, interval '1 hour') AS t
), changing AS (
    SELECT t
    FROM (SELECT t, ahead <> lead(ahead) OVER (ORDER BY t) AS changes FROM hourly) AS compared
    WHERE changes
), candidate AS (
    SELECT minute AS t
    FROM changing, generate_series(t, t + interval '1 hour', interval '1 minute') AS minute
    UNION
    SELECT midnight - ahead
    FROM told, generate_series(since, until, interval '1 day') AS midnight, (SELECT DISTINCT ahead FROM hourly) AS zone
), change AS (
    SELECT t AS since, lead(t) OVER (ORDER BY t) AS until, pg_temp.local_date(t) AS day
    FROM candidate
    WHERE pg_temp.local_date(t) <> pg_temp.local_date(t - interval '1 millisecond')
)
SELECT day, since, until, tstzrange(since, until) AS span
FROM change
WHERE until IS NOT NULL;
CREATE INDEX ON days USING gist (span);
ANALYZE days;

-- An hour is one of elapsed time, counted from the beginning of the day; the last one may be shorter.
CREATE TEMP TABLE hours AS
SELECT hour AS since, least(hour + interval '1 hour', until) AS until,
       tstzrange(hour, least(hour + interval '1 hour', until)) AS span
FROM days, generate_series(since, until - interval '1 millisecond', interval '1 hour') AS hour;
CREATE INDEX ON hours USING gist (span);
CREATE INDEX ON hours (since);
ANALYZE hours;

-- When the local hour begins in which an instant is.
CREATE FUNCTION pg_temp.hour_of(t timestamptz) RETURNS timestamptz
STABLE LANGUAGE sql AS $$ SELECT (SELECT since FROM hours WHERE since <= t ORDER BY since DESC LIMIT 1) $$;
