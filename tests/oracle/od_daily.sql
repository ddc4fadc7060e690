-- od_daily: the trips from one anchor to another that arrived on a local day. oracle_trips is the result of trips.sql.
WITH arrived AS (
    SELECT origin_id, destination_id, pg_temp.local_date(arrived_at) AS day, count(*) AS trips,
           avg(duration_s) AS mean_s,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_s) AS p50_s,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_s) AS p95_s,
           sum(distance_m) AS distance_m,
           sum(distance_m_error) AS distance_m_error
    FROM oracle_trips
    WHERE arrived_at IS NOT NULL
    GROUP BY 1, 2, 3
)
SELECT origin_id, destination_id, day, trips,
       mean_s AS duration_mean_s, p50_s AS duration_p50_s, p95_s AS duration_p95_s, distance_m,
       -- A mean is a whole number of milliseconds; percentiles are within 1 %.
       0.001::double precision AS duration_mean_s_error,
       p50_s * 0.01 + 0.001 AS duration_p50_s_error,
       p95_s * 0.01 + 0.001 AS duration_p95_s_error,
       distance_m_error
FROM arrived;
