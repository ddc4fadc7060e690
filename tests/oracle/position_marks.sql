-- position_marks: the positions that are left out: see segments.sql.
SELECT vehicle_id, ts, mark FROM heard WHERE mark IS NOT NULL;
