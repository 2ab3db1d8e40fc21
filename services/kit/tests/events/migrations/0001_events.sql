-- What a service with events has, and what the tests' subscriber does about them.
CREATE TABLE outbox (
    id TEXT NOT NULL, subscriber TEXT NOT NULL, payload TEXT NOT NULL,
    lease_until BIGINT NOT NULL, attempts BIGINT NOT NULL, created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (id, subscriber)
);
CREATE TABLE inbox (event_id TEXT PRIMARY KEY, received_at_ms BIGINT NOT NULL);
CREATE TABLE acts (about TEXT NOT NULL);
