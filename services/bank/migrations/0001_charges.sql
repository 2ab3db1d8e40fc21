-- What the bank's merchants asked for. The bank knows nothing of orders.

CREATE TABLE charges (
    id              TEXT PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,  -- the same key is the same charge
    reference       TEXT NOT NULL,         -- what the merchant calls it
    card            TEXT NOT NULL,         -- a token of the bank's own making; with the rest, what the key stands for
    amount_minor    BIGINT NOT NULL CHECK (amount_minor > 0),
    currency        TEXT NOT NULL,
    status          TEXT NOT NULL,         -- captured, declined, refunded
    created_at_ms   BIGINT NOT NULL
);
