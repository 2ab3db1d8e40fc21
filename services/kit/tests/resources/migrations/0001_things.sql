-- Something to read and to write.
CREATE TABLE things (
    id TEXT PRIMARY KEY,
    n  BIGINT NOT NULL
);
