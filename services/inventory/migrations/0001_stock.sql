-- What the shop has, and for whom it is held.

-- One row per product. The rules that must never break are the database's own:
-- nothing below zero, and every piece that ever came in is somewhere.
CREATE TABLE stock (
    product_id TEXT PRIMARY KEY,
    initial    BIGINT NOT NULL,                         -- at the opening, and what restocking added or took
    available  BIGINT NOT NULL CHECK (available >= 0),  -- can be reserved
    reserved   BIGINT NOT NULL CHECK (reserved >= 0),   -- held for orders under way
    committed  BIGINT NOT NULL CHECK (committed >= 0),  -- gone with confirmed orders
    version    BIGINT NOT NULL,                         -- grows with each change of `available`; orders the events
    CHECK (initial = available + reserved + committed)
);

-- One row per order that asked for stock. The id is the order's, so the same request is the same row.
CREATE TABLE reservations (
    id            TEXT PRIMARY KEY,
    status        TEXT NOT NULL,   -- held, committed, released
    updated_at_ms BIGINT NOT NULL
);

CREATE TABLE reservation_items (
    reservation_id TEXT NOT NULL,
    product_id     TEXT NOT NULL,
    quantity       BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (reservation_id, product_id)
);

-- Events on their way, one row per subscriber; see the kit's `events`.
CREATE TABLE outbox (
    id            TEXT NOT NULL,
    subscriber    TEXT NOT NULL,
    payload       TEXT NOT NULL,
    lease_until   BIGINT NOT NULL,
    attempts      BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (id, subscriber)
);
