-- Tokens of clients of the HTTP interfaces, stored as digests.
CREATE TABLE tokens (
    token_id   text COLLATE "C" PRIMARY KEY,
    name       text NOT NULL,
    role       text NOT NULL CHECK (role IN ('ingest', 'read', 'admin')),
    fleet      text,
    vehicle_id text COLLATE "C",
    source     text,
    sha256     text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON TABLE tokens IS 'Tokens of clients of the HTTP interfaces: what each may do. Not granted to the reader role.';
COMMENT ON COLUMN tokens.token_id IS 'Identifier of the token, by which it is revoked; no secret.';
COMMENT ON COLUMN tokens.name IS 'What the token is for, in the words of its author.';
COMMENT ON COLUMN tokens.role IS 'ingest (sends events), read (reads tables), or admin (edits geofences and vehicles; also sends and reads).';
COMMENT ON COLUMN tokens.fleet IS 'The only fleet that the token is for; empty if it is for all vehicles.';
COMMENT ON COLUMN tokens.vehicle_id IS 'The only vehicle that the token is for: the token of a device; empty if there is none.';
COMMENT ON COLUMN tokens.source IS 'The only source that the token is for; empty if it is for all of them.';
COMMENT ON COLUMN tokens.sha256 IS 'Digest of the token, hexadecimal; the token itself is not stored.';
COMMENT ON COLUMN tokens.created_at IS 'Instant at which the token was created.';
COMMENT ON COLUMN tokens.expires_at IS 'Instant from which the token is no longer accepted; empty if it does not expire.';
COMMENT ON COLUMN tokens.revoked_at IS 'Instant at which the token was revoked; empty while it is valid.';
