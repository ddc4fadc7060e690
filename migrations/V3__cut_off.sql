-- Versions of geofences that were wanted earlier than they could still change anything.
ALTER TABLE geofences ADD COLUMN cut_off boolean NOT NULL DEFAULT false;
