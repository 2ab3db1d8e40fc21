-- Who may shop, and the key that proves it.

-- One row per account.
CREATE TABLE users (
    id            TEXT PRIMARY KEY,       -- u-000042 for a seeded one, a UUID for a registered one
    email         TEXT NOT NULL UNIQUE,   -- trimmed and lower-cased
    name          TEXT NOT NULL,
    role          TEXT NOT NULL,          -- customer, admin
    password_hash TEXT NOT NULL,          -- Argon2id in PHC notation, salt and parameters included
    created_at_ms BIGINT NOT NULL
);

-- The key that tokens are signed with. It is kept so that tokens outlive a restart and hold at every replica.
-- There is one slot, so that of several replicas that open a new shop at once all end up with the same key.
CREATE TABLE signing_key (
    slot          BIGINT PRIMARY KEY CHECK (slot = 1),
    kid           TEXT NOT NULL,          -- its name in the published key set
    pkcs8         TEXT NOT NULL,          -- the private Ed25519 key: PKCS #8, base64
    created_at_ms BIGINT NOT NULL
);
