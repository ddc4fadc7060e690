-- What is to be delivered to endpoints because alerts changed, and what was.
CREATE TABLE outbox (
    endpoint      text COLLATE "C" NOT NULL,
    subject       text COLLATE "C" NOT NULL,
    revision      bigint NOT NULL,
    old_subject   text COLLATE "C",
    event         text NOT NULL,
    condition     text NOT NULL,
    body          json NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    state         text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'dead')),
    attempts      integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    due_at        timestamptz NOT NULL DEFAULT '-infinity',
    leased_by     text,
    leased_until  timestamptz,
    error         text,
    PRIMARY KEY (endpoint, subject, revision)
);
CREATE INDEX outbox_queue ON outbox (endpoint, revision, subject) WHERE state = 'pending';
CREATE INDEX outbox_moved ON outbox (endpoint, old_subject) WHERE old_subject IS NOT NULL;
COMMENT ON TABLE outbox IS 'Events of alerts that are to be delivered, written in the transaction of the commit that changed the alerts; a delivered one is in deliveries. Not granted to the reader role.';
COMMENT ON COLUMN outbox.endpoint IS 'Name of the channel.';
COMMENT ON COLUMN outbox.subject IS 'Subject of the alert.';
COMMENT ON COLUMN outbox.revision IS 'Number of the commit that changed the alert, counted on over rebuilds of the tables.';
COMMENT ON COLUMN outbox.old_subject IS 'Subject of the same alert before the commit, if the start of its fact moved; empty otherwise.';
COMMENT ON COLUMN outbox.event IS 'raised, corrected or retracted.';
COMMENT ON COLUMN outbox.condition IS 'always; new: only if the endpoint did not get the subject yet; known: only if it did.';
COMMENT ON COLUMN outbox.body IS 'The alert after and before the commit, and the template of the message, a JSON object.';
COMMENT ON COLUMN outbox.created_at IS 'Instant of the commit by the clock of the server.';
COMMENT ON COLUMN outbox.state IS 'pending, or dead: it is no longer attempted.';
COMMENT ON COLUMN outbox.attempts IS 'Number of attempts, the present one included.';
COMMENT ON COLUMN outbox.failing_since IS 'Instant of the first failure; empty if there was none.';
COMMENT ON COLUMN outbox.due_at IS 'Instant of the next attempt; if dead, instant at which it was given up.';
COMMENT ON COLUMN outbox.leased_by IS 'Random name of the process that delivers it; empty if none does.';
COMMENT ON COLUMN outbox.leased_until IS 'Instant from which another process may deliver it.';
COMMENT ON COLUMN outbox.error IS 'Why the last attempt failed.';

CREATE TABLE deliveries (
    endpoint     text COLLATE "C" NOT NULL,
    subject      text COLLATE "C" NOT NULL,
    revision     bigint NOT NULL,
    event        text NOT NULL,
    external_ref text,
    delivered_at timestamptz NOT NULL,
    PRIMARY KEY (endpoint, subject)
);
CREATE INDEX deliveries_delivered_at ON deliveries (delivered_at);
COMMENT ON TABLE deliveries IS 'What each endpoint was sent last about each alert. Not granted to the reader role.';
COMMENT ON COLUMN deliveries.endpoint IS 'Name of the channel.';
COMMENT ON COLUMN deliveries.subject IS 'Subject of the alert.';
COMMENT ON COLUMN deliveries.revision IS 'Revision of the last event that was delivered.';
COMMENT ON COLUMN deliveries.event IS 'raised, corrected or retracted.';
COMMENT ON COLUMN deliveries.external_ref IS 'Name that the receiver has for the message, as the channel and time of Slack; empty if it has none.';
COMMENT ON COLUMN deliveries.delivered_at IS 'Instant of that delivery.';

CREATE TABLE endpoints (
    endpoint      text COLLATE "C" PRIMARY KEY,
    failing_since timestamptz,
    failures      integer NOT NULL DEFAULT 0,
    retry_at      timestamptz,
    disabled_at   timestamptz,
    error         text
);
COMMENT ON TABLE endpoints IS 'Endpoints that fail or are disabled. Not granted to the reader role.';
COMMENT ON COLUMN endpoints.endpoint IS 'Name of the channel.';
COMMENT ON COLUMN endpoints.failing_since IS 'Instant of the first failure since the last success; empty if the last attempt succeeded.';
COMMENT ON COLUMN endpoints.failures IS 'Number of failures since the last success.';
COMMENT ON COLUMN endpoints.retry_at IS 'Instant before which nothing is sent to it; empty if it is not away.';
COMMENT ON COLUMN endpoints.disabled_at IS 'Instant at which it was disabled; empty while it is in use.';
COMMENT ON COLUMN endpoints.error IS 'Why the last attempt failed.';

CREATE TABLE outbox_base (
    base bigint NOT NULL
);
COMMENT ON TABLE outbox_base IS 'At most one row, after a rebuild of the tables.';
COMMENT ON COLUMN outbox_base.base IS 'Number of commits before the rebuild: a revision is the number of its commit plus this.';
