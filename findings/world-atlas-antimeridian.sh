#!/usr/bin/env bash
# world-atlas 2.0.2 (npm), its countries read with topojson-client 3.1.0, asked with Turf 7.2.0.
#
# One would expect countries that can be used as geofences: TopoJSON made from Natural Earth, whose shapefile is cut
# at the antimeridian, and read back as GeoJSON, which wants that cut (RFC 7946, 3.1.9).
#
# Seen: the pieces on both sides of 180 degrees are one ring again, with edges of almost 360 degrees, in all three
# resolutions. Read as straight lines, the ring of Wrangel Island is a band around the world: a point in the Greenland
# Sea (0 E, 71.21 N) is in Russia; in countries-50m and -110m so is one north of Alaska (150 W).
#
# What to do: cut rings with an edge longer than 180 degrees at the antimeridian before they decide anything. Watch
# Tower does so when geofences are imported (docs/formats.md).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >npm.log 2>&1
npm install --silent --no-audit --no-fund --save-exact \
    world-atlas@2.0.2 topojson-client@3.1.0 @turf/boolean-point-in-polygon@7.2.0 >>npm.log 2>&1

cat >countries.cjs <<'JS'
const topojson = require('topojson-client');
const inside = require('@turf/boolean-point-in-polygon').booleanPointInPolygon;
for (const scale of ['10m', '50m', '110m']) {
    const world = require(`world-atlas/countries-${scale}.json`);
    const countries = topojson.feature(world, world.objects.countries).features;
    const russia = countries.find((country) => country.properties.name === 'Russia');
    const long = (ring) => ring.slice(1).filter((at, i) => Math.abs(at[0] - ring[i][0]) > 180).length;
    const edges = russia.geometry.coordinates.flat().map(long).reduce((sum, count) => sum + count, 0);
    const hits = [-150, -100, -50, 0, 50].filter((lon) => inside([lon, 71.21], russia));
    console.log(`${scale}: ${edges} edges of Russia are longer than 180 degrees; 71.21 N is in Russia at ${hits.join(' ')}`);
}
JS
node countries.cjs | tee seen
diff - seen <<'TEXT'
10m: 4 edges of Russia are longer than 180 degrees; 71.21 N is in Russia at 0 50
50m: 4 edges of Russia are longer than 180 degrees; 71.21 N is in Russia at -150 -100 -50 0 50
110m: 4 edges of Russia are longer than 180 degrees; 71.21 N is in Russia at -150 -100 -50 0 50
TEXT
