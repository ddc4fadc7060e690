#!/usr/bin/env bash
# @tmcw/togeojson 7.1.3 and @mapbox/togeojson 0.16.2 (npm), with @xmldom/xmldom 0.9.10: GPX tracks to GeoJSON.
#
# One would expect a time for every vertex of the line: `coordTimes[i]`, or `coordinateProperties.times[i]`, is when the
# vehicle was at `coordinates[i]`, and null where the GPX file has none. GPX allows a point without <time> (1.1, wptType).
#
# Seen: points without a time are left out of the times but not of the coordinates. Behind the first of them every vertex
# has the time of the next one, and the last have none: read by index, the vehicle is a point ahead of itself from there on.
# Nothing in the output tells which vertex had no time. A segment of one point is left out with its time, silently.
#
# What to do: use times only if there are as many as vertices, else read the GPX file itself. Watch Tower refuses such a line,
# naming both numbers, and reads GPX (docs/formats.md).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >npm.log 2>&1
npm install --silent --no-audit --no-fund --save-exact \
    @tmcw/togeojson@7.1.3 @mapbox/togeojson@0.16.2 @xmldom/xmldom@0.9.10 >>npm.log 2>&1

cat >track.gpx <<'GPX'
<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="example" xmlns="http://www.topografix.com/GPX/1/1"><trk><name>truck</name>
<trkseg>
<trkpt lat="6.5" lon="3.30"><time>2026-11-23T06:00:00Z</time></trkpt>
<trkpt lat="6.5" lon="3.31"></trkpt>
<trkpt lat="6.5" lon="3.32"><time>2026-11-23T06:02:00Z</time></trkpt>
<trkpt lat="6.5" lon="3.33"><time>2026-11-23T06:03:00Z</time></trkpt>
</trkseg>
<trkseg><trkpt lat="6.7" lon="3.50"><time>2026-11-23T08:00:00Z</time></trkpt></trkseg>
</trk></gpx>
GPX
cat >convert.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { DOMParser } from '@xmldom/xmldom';
import * as tmcw from '@tmcw/togeojson';
const mapbox = createRequire(import.meta.url)('@mapbox/togeojson');
const gpx = new DOMParser().parseFromString(readFileSync('track.gpx', 'utf8'), 'text/xml');
for (const [name, library] of [['tmcw', tmcw], ['mapbox', mapbox]]) {
    for (const { geometry, properties } of library.gpx(gpx).features) {
        const times = properties.coordTimes ?? properties.coordinateProperties.times;
        console.log(`${name}: ${geometry.type}, ${geometry.coordinates.length} vertices, ${times.length} times`);
        geometry.coordinates.forEach(([lon], i) => console.log(`  ${lon} ${times[i]}`));
    }
}
JS
node convert.mjs | tee seen
diff - seen <<'TEXT'
tmcw: LineString, 4 vertices, 3 times
  3.3 2026-11-23T06:00:00Z
  3.31 2026-11-23T06:02:00Z
  3.32 2026-11-23T06:03:00Z
  3.33 undefined
mapbox: LineString, 4 vertices, 3 times
  3.3 2026-11-23T06:00:00Z
  3.31 2026-11-23T06:02:00Z
  3.32 2026-11-23T06:03:00Z
  3.33 undefined
TEXT
echo "as described"
