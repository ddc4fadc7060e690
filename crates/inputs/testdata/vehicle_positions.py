"""Writes vehicle_positions.pb: what gtfs-realtime-bindings makes of a feed, and one value of a later version."""
from google.transit import gtfs_realtime_pb2 as g
f=g.FeedMessage(); f.header.gtfs_realtime_version="2.0"; f.header.incrementality=0; f.header.timestamp=1795435200
e=f.entity.add(); e.id="1"; v=e.vehicle; v.vehicle.id="bus-7"; v.vehicle.label="7"; v.vehicle.license_plate="ABC-123"
v.position.latitude=6.44; v.position.longitude=3.3792057; v.position.bearing=90; v.position.speed=10; v.position.odometer=120.5
v.timestamp=1795435190; v.trip.trip_id="t1"; v.trip.route_id="r1"; v.trip.start_date="20261123"; v.trip.direction_id=0
v.current_stop_sequence=4; v.stop_id="s4"; v.current_status=1; v.occupancy_status=5
# no timestamp, no id, unset occupancy and status
e=f.entity.add(); e.id="2"; v=e.vehicle; v.vehicle.license_plate="XYZ-9"; v.position.latitude=40.5; v.position.longitude=-77.0365
e=f.entity.add(); e.id="3"; v=e.vehicle; v.vehicle.label="3"; v.position.latitude=6.5; v.position.longitude=3.5
# nothing names it
e=f.entity.add(); e.id="4"; v=e.vehicle; v.position.latitude=6.5; v.position.longitude=3.5
# trip update, deleted, no position
e=f.entity.add(); e.id="5"; e.trip_update.trip.trip_id="t1"
e=f.entity.add(); e.id="6"; e.is_deleted=True; e.vehicle.vehicle.id="bus-8"; e.vehicle.position.latitude=6.5; e.vehicle.position.longitude=3.5
e=f.entity.add(); e.id="7"; e.vehicle.vehicle.id="bus-9"; e.vehicle.stop_id="s1"
# occupancy of a later version: unknown enum 99
raw=f.SerializeToString()
e=g.FeedEntity(); e.id="8"; v=e.vehicle; v.vehicle.id="bus-10"; v.position.latitude=6.5; v.position.longitude=3.5
inner=v.SerializeToString()+bytes([9<<3,99])
def ld(field,b): return bytes([field<<3|2])+bytes([len(b)])+b
ent=ld(1,b"8")+ld(4,inner)
raw+=ld(2,ent)
open("vehicle_positions.pb","wb").write(raw)
