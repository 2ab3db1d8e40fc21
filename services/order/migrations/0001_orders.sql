-- Orders: what happened to each, and where each stands.

-- What happened, in order, never changed. This is the truth; `orders` below can be made from it again.
-- Two replicas that move the same order meet in the primary key: one of them wins, the other looks again.
CREATE TABLE order_events (
    order_id TEXT NOT NULL,
    seq      BIGINT NOT NULL,      -- from 1
    kind     TEXT NOT NULL,        -- placed, reserved, paid, confirmed, cancelling, refunded, cancelled
    data     TEXT NOT NULL,        -- JSON
    at_ms    BIGINT NOT NULL,
    PRIMARY KEY (order_id, seq)
);

-- Where each order stands: the projection that lists and status pages read. Written in the same transaction as
-- the event that it follows.
CREATE TABLE orders (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL,
    key          TEXT NOT NULL,    -- the shopper's idempotency key
    status       TEXT NOT NULL,
    reason       TEXT,             -- why it was cancelled
    payment_id   TEXT,             -- once it is paid
    items        TEXT NOT NULL,    -- JSON
    pieces       BIGINT NOT NULL,
    total_minor  BIGINT NOT NULL,
    currency     TEXT NOT NULL,
    card         TEXT NOT NULL,    -- tells a repeated checkout from another one under the same key
    placed_at_ms BIGINT NOT NULL,
    version      BIGINT NOT NULL,  -- seq of the last event
    final        BIGINT NOT NULL,  -- 1 when nothing more will happen
    lease_until  BIGINT NOT NULL,  -- until then a replica is at work on it; after that any may take it up
    UNIQUE (user_id, key)
);
CREATE INDEX orders_by_user ON orders (user_id, placed_at_ms);
CREATE INDEX orders_under_way ON orders (lease_until) WHERE final = 0;

-- Events on their way to other services; see `shop_kit::events`.
CREATE TABLE outbox (
    id            TEXT NOT NULL,
    subscriber    TEXT NOT NULL,
    payload       TEXT NOT NULL,
    lease_until   BIGINT NOT NULL,
    attempts      BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (id, subscriber)
);
CREATE INDEX outbox_due ON outbox (lease_until, created_at_ms);
