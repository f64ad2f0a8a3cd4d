-- Alerts: the rules that tenants set beside the built-in ones, silences, receivers; and what the host that evaluates the rules knows from one
-- evaluation to the next, which has no foreign keys. What users have written is in JSON, which has no characters that a database refuses.

CREATE TABLE alert_rules (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    revision BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
);

CREATE TABLE silences (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    id TEXT NOT NULL,
    matcher TEXT NOT NULL,
    reason TEXT NOT NULL,
    until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX silences_by_end ON silences (until);

-- `ciphertext` are the settings, encrypted with the key of the hosts; `target` is what of them is shown. `circuit` is NULL while it is closed.
CREATE TABLE receivers (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    ciphertext TEXT NOT NULL,
    revision BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    circuit TEXT,
    delivered_at BIGINT,
    error TEXT,
    PRIMARY KEY (tenant, name)
);

-- Alerts that are not inactive. `target` is the service, `component/environment`, or empty.
CREATE TABLE alerts (
    tenant TEXT NOT NULL,
    rule TEXT NOT NULL,
    target TEXT NOT NULL,
    tracker TEXT NOT NULL,
    PRIMARY KEY (tenant, rule, target)
);

-- What receivers know of the groups of a rule's alerts.
CREATE TABLE alert_groups (
    tenant TEXT NOT NULL,
    rule TEXT NOT NULL,
    name TEXT NOT NULL,
    known TEXT NOT NULL,
    PRIMARY KEY (tenant, rule, name)
);

-- Notifications that are not delivered yet, one row for each receiver.
CREATE TABLE notifications (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    receiver TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due BIGINT NOT NULL,
    PRIMARY KEY (tenant, id, receiver)
);
CREATE INDEX notifications_due ON notifications (due);

-- Of the hosts, not of a tenant: what each counted in ten seconds, for two hours.
CREATE TABLE alert_points (
    host TEXT NOT NULL,
    at BIGINT NOT NULL,
    point TEXT NOT NULL,
    PRIMARY KEY (host, at)
);
CREATE INDEX alert_points_by_time ON alert_points (at);

-- Likewise: when each host evaluated the rules last.
CREATE TABLE alert_evaluations (
    host TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL
);

-- Rollouts that were rolled back lately are looked for each ten seconds.
CREATE INDEX deployments_rolled_back ON deployments (ended_at) WHERE state = 'rolled-back';
