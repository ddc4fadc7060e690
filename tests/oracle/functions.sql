-- What the oracles share: parameters, and being inside a geofence. All of it is temporary.

-- A parameter of the pipeline, such as watchtower.offline_after_ms, or its default.
CREATE FUNCTION pg_temp.parameter(name text, otherwise numeric) RETURNS numeric
STABLE LANGUAGE sql AS $$
    SELECT coalesce(nullif(current_setting('watchtower.' || name, true), '')::numeric, otherwise)
$$;

-- The zone of days and hours.
CREATE FUNCTION pg_temp.time_zone() RETURNS text
STABLE LANGUAGE sql AS $$
    SELECT coalesce(nullif(current_setting('watchtower.time_zone', true), ''), 'UTC')
$$;

-- The local date.
CREATE FUNCTION pg_temp.local_date(t timestamptz) RETURNS date
STABLE LANGUAGE sql AS $$ SELECT (t AT TIME ZONE pg_temp.time_zone())::date $$;

-- How many milliseconds long, which is a whole number.
CREATE FUNCTION pg_temp.milliseconds(elapsed interval) RETURNS numeric
IMMUTABLE LANGUAGE sql AS $$ SELECT round(extract(epoch FROM elapsed) * 1000) $$;

-- Milliseconds in seconds.
CREATE FUNCTION pg_temp.seconds(milliseconds numeric) RETURNS double precision
IMMUTABLE LANGUAGE sql AS $$ SELECT (milliseconds / 1000)::double precision $$;

-- The value of a double, all of it: a cast to numeric would round to 15 digits. Its bits are a sign, 11
-- of exponent, 52 of mantissa; m / 2^k = m * 5^k / 10^k.
CREATE FUNCTION pg_temp.exactly(x double precision) RETURNS numeric
IMMUTABLE STRICT LANGUAGE sql AS $$
    SELECT CASE WHEN bits < 0 THEN -1 ELSE 1 END * mantissa
           * CASE WHEN exponent < 0 THEN 5::numeric ^ -exponent * ('1e' || exponent)::numeric
                  ELSE 2::numeric ^ exponent END
    FROM (SELECT ('x' || encode(float8send(x), 'hex'))::bit(64)::bigint AS bits) AS double,
         LATERAL (SELECT (bits >> 52) & 2047 AS raised, bits & ((1::bigint << 52) - 1) AS fraction) AS parts,
         LATERAL (SELECT greatest(raised, 1) - 1075 AS exponent) AS power,
         LATERAL (SELECT (fraction + CASE WHEN raised > 0 THEN 1::bigint << 52 ELSE 0 END)::numeric AS mantissa) AS whole
$$;

-- Whether the place is on an edge, or the ray from it to the east crosses an odd number of edges. What
-- has to be computed is computed without rounding.
CREATE FUNCTION pg_temp.covers_exactly(area geometry, place geometry) RETURNS boolean
IMMUTABLE STRICT LANGUAGE sql AS $$
    WITH edge AS (
        SELECT ST_X(a) AS ax, ST_Y(a) AS ay, ST_X(b) AS bx, ST_Y(b) AS by, ST_X(place) AS x, ST_Y(place) AS y
        FROM ST_DumpSegments(area) AS segment,
             LATERAL (SELECT ST_StartPoint(segment.geom) AS a, ST_EndPoint(segment.geom) AS b) AS ends
        WHERE ST_Y(place) BETWEEN least(ST_Y(a), ST_Y(b)) AND greatest(ST_Y(a), ST_Y(b))
    ), sided AS (
        -- side: +1 if the place is to the left of somebody who goes from a to b.
        SELECT *,
               CASE WHEN x BETWEEN least(ax, bx) AND greatest(ax, bx)
                    THEN sign((pg_temp.exactly(bx) - pg_temp.exactly(ax)) * (pg_temp.exactly(y) - pg_temp.exactly(ay))
                            - (pg_temp.exactly(x) - pg_temp.exactly(ax)) * (pg_temp.exactly(by) - pg_temp.exactly(ay)))
               END AS side
        FROM edge
    )
    SELECT coalesce(bool_or(side = 0)
        OR count(*) FILTER (WHERE (ay <= y) <> (by <= y)
                              AND CASE WHEN side IS NULL THEN x < ax ELSE side = sign(by - ay) END) % 2 = 1, false)
    FROM sided
$$;

-- Whether a polygon or multipolygon covers the place, its border included: ST_Covers, but where the
-- place is so near to an edge that doubles might not tell on which side.
CREATE FUNCTION pg_temp.covers(area geometry, border geometry, place geometry) RETURNS boolean
IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN ST_DWithin(border, place, 1e-9) THEN pg_temp.covers_exactly(area, place)
                ELSE ST_Covers(area, place) END
$$;

-- How far a place is from a polygon or multipolygon, in metres: in the plane that the radii of curvature of
-- WGS84 at the latitude of the place make of longitudes and latitudes.
CREATE FUNCTION pg_temp.distance_m(area geometry, place geometry) RETURNS double precision
IMMUTABLE STRICT LANGUAGE sql AS $$
    SELECT ST_Distance(ST_Scale(area, east, north), ST_Scale(place, east, north))
    FROM (SELECT 6378137.0::double precision AS a, 1 / 298.257223563::double precision AS f,
                 radians(ST_Y(place)) AS latitude) AS wgs84,
         LATERAL (SELECT f * (2 - f) AS e2) AS eccentricity,
         LATERAL (SELECT sqrt(1 - e2 * sin(latitude) ^ 2) AS w) AS flattened,
         LATERAL (SELECT radians(a / w * cos(latitude)) AS east,
                         radians(a * (1 - e2) / w ^ 3) AS north) AS metres_per_degree
$$;

-- Boxes that hold every place within so many metres of a geometry. A degree of latitude is longer than
-- 110 km everywhere, and one of longitude than 110 km times the cosine of the latitude. The circles that
-- reach over the antimeridian have a second box beyond it; polygons do not reach over it.
CREATE FUNCTION pg_temp.boxes(geom geometry, metres double precision) RETURNS SETOF geometry
IMMUTABLE STRICT LANGUAGE sql AS $$
    SELECT box
    FROM (SELECT metres / 110000 + 1e-6 AS north) AS height,
         LATERAL (SELECT least(greatest(ST_YMax(geom), -ST_YMin(geom)) + north, 90) AS highest) AS worst,
         LATERAL (SELECT CASE WHEN highest > 89.9 THEN 360
                              ELSE least(north / cos(radians(highest)), 360) END AS east) AS width,
         LATERAL (SELECT ST_Expand(geom, east, north) AS around) AS expanded,
         LATERAL unnest(CASE WHEN ST_Dimension(geom) = 2 OR east >= 180 THEN ARRAY[0]
                             ELSE ARRAY[-360, 0, 360] END) AS turn,
         LATERAL (SELECT ST_Translate(around, turn, 0) AS box) AS turned
    WHERE box && ST_MakeEnvelope(-180, -90, 180, 90, ST_SRID(geom))
$$;
