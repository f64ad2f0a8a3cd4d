-- Triggers: schedules and their ticks, jobs and their steps, outboxes, leases. The tables that are written to all the time
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
-- `cause` is the traceparent of what enqueued a job, `hops` how many events led to it, `replayed_by` who replayed the event that it delivers.
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
    concurrency_key TEXT,
    input TEXT NOT NULL,
    priority BIGINT NOT NULL,
    head_start BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    error TEXT,
    cause TEXT,
    hops BIGINT NOT NULL DEFAULT 0,
    replayed_by TEXT,
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
CREATE INDEX jobs_ready_by_key ON jobs (tenant, queue, concurrency_key, rank, id) WHERE state = 'ready' AND concurrency_key IS NOT NULL;
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
    concurrency_key TEXT,
    input TEXT NOT NULL,
    priority BIGINT NOT NULL,
    head_start BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    error TEXT,
    cause TEXT,
    hops BIGINT NOT NULL DEFAULT 0,
    replayed_by TEXT,
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
    concurrency_key TEXT,
    input TEXT NOT NULL,
    priority BIGINT NOT NULL,
    head_start BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    error TEXT,
    cause TEXT,
    hops BIGINT NOT NULL DEFAULT 0,
    replayed_by TEXT,
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

-- How many unfinished jobs a tenant has, and how many bytes their inputs: the sums of some rows, so that transactions at once hardly wait for
-- one another.
CREATE TABLE job_counts (
    tenant TEXT NOT NULL,
    slot BIGINT NOT NULL,
    unfinished BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (tenant, slot)
);

-- A queue with a rate or a limit by key: whoever claims from it holds its row until the transaction's end, so that hosts count one after the
-- other. `full_at` is the time, in nanoseconds since 1970, at which the token bucket of its rate is full.
CREATE TABLE queue_limits (
    tenant TEXT NOT NULL,
    queue TEXT NOT NULL,
    full_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, queue)
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

-- Of the host, not of a tenant: who does what only one host may do at a time.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    until BIGINT NOT NULL
);

-- Executions are deleted by age.
CREATE INDEX executions_by_time ON executions (started_at);
-- Of an execution that ran a job: its id, the number of the attempt, and the cause, as JSON.
ALTER TABLE executions ADD COLUMN run TEXT;
