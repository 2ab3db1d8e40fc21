-- What the shop sells.

CREATE TABLE products (
    id          TEXT PRIMARY KEY,                          -- p-00001
    title       TEXT NOT NULL,
    description TEXT NOT NULL,
    category    TEXT NOT NULL,                             -- exactly one
    price_minor BIGINT NOT NULL CHECK (price_minor > 0),
    sold        BIGINT NOT NULL,                           -- what sort=best sorts by
    added_at_ms BIGINT NOT NULL                            -- what sort=new sorts by
);

-- One index for each way of leafing through: newest or best-selling first, in one category or in all of them. The
-- id makes the order a total one, which is what a cursor needs.
CREATE INDEX products_newest ON products (added_at_ms, id);
CREATE INDEX products_best ON products (sold, id);
CREATE INDEX products_newest_in_category ON products (category, added_at_ms, id);
CREATE INDEX products_best_in_category ON products (category, sold, id);

-- Every word of a title, and the category: what search looks in, by whole words or their beginnings. Words are
-- folded to a-z and 0-9, so that they sort alike under every collation.
CREATE TABLE product_words (
    word       TEXT NOT NULL,
    product_id TEXT NOT NULL,
    PRIMARY KEY (word, product_id)
);

-- Whether a product can be had, as inventory's events say: a view of another service's data, right but for the events
-- under way. Rows are never read alone; a product without one is one of which nothing is known.
CREATE TABLE availability (
    product_id TEXT PRIMARY KEY,
    available  BIGINT NOT NULL,  -- when it was told; told again only when the band changes
    version    BIGINT NOT NULL,  -- inventory's; a lower one that comes later is old news
    as_of_ms   BIGINT NOT NULL   -- when it was told
);

-- Events that were taken in; see the kit's `events`.
CREATE TABLE inbox (
    event_id       TEXT PRIMARY KEY,
    received_at_ms BIGINT NOT NULL
);
