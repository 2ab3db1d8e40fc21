-- What customers were told.

-- One row per message. The key says what the message is about (`order.confirmed:<order id>`): a second message
-- under the same key cannot be, whatever asks for it and however often.
CREATE TABLE notifications (
    id         TEXT PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,     -- order.confirmed, order.cancelled, direct
    about      TEXT NOT NULL,     -- an order's id, or the key of a direct message
    user_id    TEXT NOT NULL,
    channel    TEXT NOT NULL,     -- email
    email      TEXT NOT NULL,
    subject    TEXT NOT NULL,
    body       TEXT NOT NULL,
    sent_at_ms BIGINT NOT NULL
);
CREATE INDEX notifications_by_user ON notifications (user_id, sent_at_ms);

-- Events that were taken in; see `shop_kit::events`.
CREATE TABLE inbox (
    event_id       TEXT PRIMARY KEY,
    received_at_ms BIGINT NOT NULL
);
