-- Triggers: schedules and their ticks, jobs, events and subscriptions, the steps of jobs, leases. The tables that are written to all the time
-- have no foreign keys: on PostgreSQL each row would lock its tenant's.

CREATE TABLE schedules (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    config TEXT NOT NULL,
    next_due BIGINT,
    paused BIGINT NOT NULL DEFAULT 0,
    last_due BIGINT,
    last_outcome TEXT,
    failures BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant, component, environment, name)
);
CREATE INDEX schedules_due ON schedules (next_due) WHERE paused = 0;

-- One row for each due time of a schedule: whoever inserts it has fired it.
CREATE TABLE ticks (
    tenant TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    due BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT,
    job TEXT,
    fired_at BIGINT NOT NULL,
    host TEXT NOT NULL,
    PRIMARY KEY (tenant, component, environment, name, due)
);
CREATE INDEX ticks_by_time ON ticks (fired_at);

-- An unfinished job is in one of two tables: `jobs` has those that are ready or leased, `waiting_jobs` all others. `queue` stands for
-- component, environment, trigger and name. Ready jobs of a queue are claimed by `rank`: the time since when they are ready, less `head_start`.
CREATE TABLE jobs (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    queue TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    trigger TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT,
    ordering_key TEXT,
    ordering_position BIGINT,
    input TEXT NOT NULL,
    priority BIGINT NOT NULL,
    head_start BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    error TEXT,
    cause TEXT,
    version BIGINT,
    enqueued_at BIGINT NOT NULL,
    rank BIGINT NOT NULL,
    ready_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    cancelled BIGINT NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_until BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX jobs_ready ON jobs (tenant, queue, rank, id) WHERE state = 'ready';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'leased';

-- A job waits for a time (`due`), for other jobs (`missing` of them), for its turn in an order, or for an event (until `due`).
CREATE TABLE waiting_jobs (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    queue TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    trigger TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT,
    ordering_key TEXT,
    ordering_position BIGINT,
    input TEXT NOT NULL,
    priority BIGINT NOT NULL,
    head_start BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    error TEXT,
    cause TEXT,
    version BIGINT,
    enqueued_at BIGINT NOT NULL,
    waits_for TEXT NOT NULL,
    due BIGINT,
    run_at BIGINT,
    missing BIGINT NOT NULL DEFAULT 0,
    wait TEXT,
    fails_with TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX waiting_jobs_due ON waiting_jobs (due) WHERE due IS NOT NULL;
CREATE INDEX waiting_jobs_in_order ON waiting_jobs (tenant, queue, ordering_key, ordering_position, id) WHERE waits_for = 'order';
CREATE INDEX waiting_jobs_for_event ON waiting_jobs (tenant, id) WHERE waits_for = 'event';
CREATE INDEX waiting_jobs_of_queue ON waiting_jobs (tenant, queue);

CREATE TABLE finished_jobs (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    queue TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    trigger TEXT NOT NULL,
    name TEXT NOT NULL,
    key TEXT,
    ordering_key TEXT,
    ordering_position BIGINT,
    input TEXT NOT NULL,
    priority BIGINT NOT NULL,
    head_start BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    error TEXT,
    cause TEXT,
    version BIGINT,
    enqueued_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    result TEXT,
    finished_at BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX finished_jobs_by_retention ON finished_jobs (keep_until);
CREATE INDEX finished_jobs_dead ON finished_jobs (tenant, id) WHERE state = 'dead';

-- The job that has a unique key, and the digest of its input.
CREATE TABLE job_keys (
    tenant TEXT NOT NULL,
    queue TEXT NOT NULL,
    key TEXT NOT NULL,
    job TEXT NOT NULL,
    input_digest TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (tenant, queue, key)
);
CREATE INDEX job_keys_by_time ON job_keys (until);

-- For which unfinished jobs a job waits.
CREATE TABLE job_dependencies (
    tenant TEXT NOT NULL,
    dependency TEXT NOT NULL,
    job TEXT NOT NULL,
    PRIMARY KEY (tenant, dependency, job)
);
CREATE INDEX job_dependencies_of_job ON job_dependencies (tenant, job);

-- The first unfinished job of each ordering key; the others wait for their turn.
CREATE TABLE ordering_keys (
    tenant TEXT NOT NULL,
    queue TEXT NOT NULL,
    ordering_key TEXT NOT NULL,
    job TEXT,
    PRIMARY KEY (tenant, queue, ordering_key)
);

-- How many unfinished jobs a tenant has: the sum of some rows, so that transactions at once hardly wait for one another.
CREATE TABLE job_counts (
    tenant TEXT NOT NULL,
    slot BIGINT NOT NULL,
    unfinished BIGINT NOT NULL,
    PRIMARY KEY (tenant, slot)
);

CREATE TABLE steps (
    tenant TEXT NOT NULL,
    job TEXT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    input_hash TEXT NOT NULL,
    outcome TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant, job, position)
);

-- The log of a tenant's events; 10_event_segments.sql divides it.
CREATE TABLE events (
    tenant TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL,
    time BIGINT NOT NULL,
    key TEXT,
    hops BIGINT NOT NULL,
    cause TEXT,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, position)
);
CREATE UNIQUE INDEX events_by_key ON events (tenant, key) WHERE key IS NOT NULL;

-- The position that a tenant's next event gets, the lowest that may still be there, and how many were published on the day.
CREATE TABLE event_positions (
    tenant TEXT PRIMARY KEY,
    next BIGINT NOT NULL,
    first BIGINT NOT NULL,
    day BIGINT NOT NULL,
    on_day BIGINT NOT NULL
);

CREATE TABLE subscriptions (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    config TEXT NOT NULL,
    cursor BIGINT NOT NULL,
    paused BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant, component, environment, name)
);

-- Of the host, not of a tenant: who does what only one host may do at a time.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    until BIGINT NOT NULL
);

-- Executions are deleted by age.
CREATE INDEX executions_by_time ON executions (started_at);
