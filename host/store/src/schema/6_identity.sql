-- Which store this is. A data directory remembers it, so that another database or another file is not taken for this one. `log_key` is the verifier key of
-- the transparency log that the hosts sign, and `checked_at` is written by `elias doctor`, to see a write transaction succeed.
CREATE TABLE store_identity (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    log_key TEXT,
    checked_at BIGINT NOT NULL DEFAULT 0
);

-- The hosts that serve from this store, and where each has its artifacts: on its own disk, or in a bucket that others may share.
CREATE TABLE hosts (
    id TEXT PRIMARY KEY,
    artifacts TEXT NOT NULL,
    seen_at BIGINT NOT NULL
);
