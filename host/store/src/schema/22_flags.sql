-- Feature flags of a tenant in an environment. A flag that was deleted keeps its row without a definition: its revisions go on, and hosts hear of it by the number of the change.
CREATE TABLE flags (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    definition TEXT,
    bytes BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    change BIGINT NOT NULL,
    PRIMARY KEY (tenant, environment, name)
);
CREATE INDEX flags_by_change ON flags (change);
-- Each revision of a flag, without a definition that of a deletion.
CREATE TABLE flag_revisions (
    tenant TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    revision BIGINT NOT NULL,
    definition TEXT,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (tenant, environment, name, revision)
);

-- The flags that an execution evaluated, each with its variant, as JSON.
ALTER TABLE executions ADD COLUMN flags TEXT;
