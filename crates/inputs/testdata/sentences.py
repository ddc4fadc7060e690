"""Writes ais.ndjson and nmea.ndjson: sentences of pyais and pynmea2 beside the values that they read in them."""
import json
import random
from datetime import datetime, timedelta, timezone

import pynmea2
from pyais import decode, encode_dict

rng = random.Random(20261123)


def ais():
    kinds = [1, 2, 3, 9, 18, 19, 27, 5, 24]
    for number in range(270):
        kind = kinds[number % len(kinds)]
        mmsi = f"{rng.randrange(10**9):09}"
        fields = dict(
            type=kind, mmsi=mmsi, lon=rng.uniform(-180, 180), lat=rng.uniform(-90, 90), course=rng.uniform(0, 359.9),
            speed=rng.uniform(0, 62 if kind == 27 else 102), heading=rng.randrange(360), second=rng.randrange(60),
            status=rng.randrange(15), turn=rng.choice([0, 5, -20]), alt=rng.randrange(4094), partno=0,
            shipname="".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789-.") for _ in range(20)).strip(),
            callsign="5N" + str(rng.randrange(1000)), imo=rng.randrange(1, 2**30), ship_type=rng.randrange(1, 100),
        )
        if kind in (9, 27):
            fields["speed"] = round(fields["speed"])
        if kind == 27:
            fields["course"] = round(fields["course"])
        sentences = encode_dict(fields, radio_channel=rng.choice("AB"), talker_id="AI", seq_id=number % 10)
        read = decode(*sentences).asdict()
        kept = ["lon", "lat", "speed", "course", "heading", "second", "shipname", "callsign", "imo", "ship_type", "alt"]
        yield dict(sentences=sentences, type=kind, mmsi=mmsi, **{k: read[k] for k in kept if k in read})


def degrees(value, digits, letters):
    letter = letters[value < 0]
    value = abs(value)
    return f"{int(value):0{digits}}{(value - int(value)) * 60:07.4f}", letter


def nmea():
    for _ in range(100):
        at = datetime(2001, 12, 1, tzinfo=timezone.utc) + timedelta(seconds=rng.randrange(45 * 365 * 86400))
        lat = degrees(rng.uniform(-90, 90), 2, "NS")
        lon = degrees(rng.uniform(-180, 180), 3, "EW")
        message = pynmea2.RMC("GP", "RMC", (
            at.strftime("%H%M%S.00"), "A", *lat, *lon, f"{rng.uniform(0, 99):.1f}", f"{rng.uniform(0, 359):.1f}",
            at.strftime("%d%m%y"), "", "", "A"))
        read = pynmea2.parse(str(message))
        yield dict(sentence=str(message), lon=read.longitude, lat=read.latitude, speed=float(read.spd_over_grnd),
                   course=float(read.true_course), ts=int(read.datetime.timestamp() * 1000))


for name, lines in [("ais.ndjson", ais()), ("nmea.ndjson", nmea())]:
    with open(name, "w") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
