-- What shoppers have picked and not bought yet.

-- One row per line of a cart; a cart without lines has no row at all.
CREATE TABLE cart_items (
    user_id          TEXT NOT NULL,
    product_id       TEXT NOT NULL,
    title            TEXT NOT NULL,     -- title and price as the shopper was shown them
    quantity         BIGINT NOT NULL CHECK (quantity > 0),
    unit_price_minor BIGINT NOT NULL CHECK (unit_price_minor > 0),
    currency         TEXT NOT NULL,
    added_at_ms      BIGINT NOT NULL,   -- lines are shown in the order in which they came
    set_at_ms        BIGINT NOT NULL,   -- when the quantity was last asked for: what was bought before that is not it
    PRIMARY KEY (user_id, product_id)
);

-- Events that were taken in; see the kit's `events`.
CREATE TABLE inbox (
    event_id       TEXT PRIMARY KEY,
    received_at_ms BIGINT NOT NULL
);
