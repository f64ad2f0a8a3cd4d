-- The components whose outbox, in their own database, may have rows that are not handed over yet: when it was last used, and when a host last
-- looked into it (0: never).
CREATE TABLE outboxes (
    tenant TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    used_at BIGINT NOT NULL,
    looked_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, component, environment)
);
CREATE INDEX outboxes_by_look ON outboxes (looked_at);

-- The ids of jobs and events that outboxes have handed over, so that each is taken once.
CREATE TABLE outbox_receipts (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX outbox_receipts_by_time ON outbox_receipts (until);
