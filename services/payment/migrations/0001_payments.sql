-- What the shop has taken, and what it has given back.

-- One row per payment. The idempotency key is its caller's (the order service's), the id is ours and is the key
-- under which the bank is asked: so however often either side repeats itself, there is one charge.
CREATE TABLE payments (
    id            TEXT PRIMARY KEY,
    key           TEXT NOT NULL UNIQUE,
    order_id      TEXT NOT NULL,
    user_id       TEXT NOT NULL,
    amount_minor  BIGINT NOT NULL CHECK (amount_minor > 0),
    currency      TEXT NOT NULL,
    card          TEXT NOT NULL,   -- the bank's token; card numbers never come near the shop
    status        TEXT NOT NULL,   -- pending, captured, declined, refunded
    charge_id     TEXT,            -- the bank's id, once it is known
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);
CREATE INDEX payments_by_order ON payments (order_id);
