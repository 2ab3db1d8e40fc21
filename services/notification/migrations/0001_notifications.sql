-- What customers were told.

-- One row per message and channel. The key says what the message is about (`order.confirmed:<order id>`): a second
-- message under the same key and channel cannot be, whatever asks for it and however often.
CREATE TABLE notifications (
    id            TEXT PRIMARY KEY,
    key           TEXT NOT NULL,
    kind          TEXT NOT NULL,     -- order.confirmed, order.cancelled, direct
    about         TEXT NOT NULL,     -- an order's id, or the key of a direct message
    user_id       TEXT NOT NULL,
    channel       TEXT NOT NULL,     -- email, sms, push
    recipient     TEXT NOT NULL,     -- an address, a number, a device; empty where none is known
    subject       TEXT NOT NULL,
    body          TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    traceparent   TEXT,              -- the trace of what caused it, which its sending belongs to
    -- kept: stays here, as nobody sends by its channel; queued: is to be sent; sent; failed: given up
    status        TEXT NOT NULL,
    attempts      BIGINT NOT NULL,
    due_at_ms     BIGINT NOT NULL,   -- when a queued one is to be tried; while one is being sent, when it is free again
    sent_at_ms    BIGINT,
    trouble       TEXT,              -- why the last try failed
    UNIQUE (key, channel)
);
CREATE INDEX notifications_by_user ON notifications (user_id, created_at_ms);
-- The queue, which is short however long the table.
CREATE INDEX notifications_queued ON notifications (due_at_ms) WHERE status = 'queued';

-- Events that were taken in; see `shop_kit::events`.
CREATE TABLE inbox (
    event_id       TEXT PRIMARY KEY,
    received_at_ms BIGINT NOT NULL
);
