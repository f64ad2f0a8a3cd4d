-- One schema for SQLite and PostgreSQL. Times are milliseconds since 1970, JSON is text. Every table but those of the host itself has the
-- column `tenant`; on PostgreSQL a policy compares it with the tenant of the transaction.

CREATE TABLE tenants (
    tenant TEXT PRIMARY KEY,
    settings TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);

CREATE TABLE tokens (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    role TEXT NOT NULL,
    components TEXT,
    user_id TEXT,
    organization_id TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX tokens_of_tenant ON tokens (tenant, created_at);

CREATE TABLE signing_keys (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    name TEXT NOT NULL,
    verifier TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (tenant, name)
);

-- Who stored which artifact: only its tenant may make a version of it.
CREATE TABLE artifacts (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    digest TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, digest)
);

CREATE TABLE components (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    component TEXT NOT NULL,
    versions BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT,
    PRIMARY KEY (tenant, component)
);

CREATE TABLE versions (
    tenant TEXT NOT NULL,
    component TEXT NOT NULL,
    number BIGINT NOT NULL,
    digest TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    manifest TEXT,
    settings TEXT NOT NULL,
    signature TEXT,
    signed_by TEXT,
    log_index BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    deleted_at BIGINT,
    PRIMARY KEY (tenant, component, number),
    FOREIGN KEY (tenant, component) REFERENCES components (tenant, component)
);

CREATE TABLE deployments (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    version BIGINT NOT NULL,
    replaces BIGINT,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    rollout TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, component, version) REFERENCES versions (tenant, component, number)
);
CREATE INDEX deployments_of_service ON deployments (tenant, component, environment, id);

-- What serves: one row for each component and environment that anything was ever deployed to.
CREATE TABLE services (
    tenant TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    revision BIGINT NOT NULL,
    version BIGINT NOT NULL,
    deployment TEXT NOT NULL,
    canary TEXT,
    stopped BIGINT NOT NULL,
    flags TEXT,
    PRIMARY KEY (tenant, component, environment),
    FOREIGN KEY (tenant, deployment) REFERENCES deployments (tenant, id),
    FOREIGN KEY (tenant, canary) REFERENCES deployments (tenant, id)
);

CREATE TABLE secrets (
    tenant TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    ciphertext TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (tenant, component, environment, name)
);

CREATE TABLE audit (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    before TEXT,
    after TEXT,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE executions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    version BIGINT NOT NULL,
    source TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    fuel BIGINT NOT NULL,
    memory_bytes BIGINT NOT NULL,
    status BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    code TEXT,
    error TEXT,
    lines TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX executions_of_component ON executions (tenant, component, id);

CREATE TABLE idempotency (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    status BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);

-- Of the host, not of a tenant: the transparency log, and a number that grows with every change of what serves.
CREATE TABLE log_records (position BIGINT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE log_hashes (position BIGINT PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO counters (name, value) VALUES ('changes', 0);
INSERT INTO counters (name, value) VALUES ('log', 0);
