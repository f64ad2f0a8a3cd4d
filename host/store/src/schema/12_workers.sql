-- Service workers and the history of their heaps. Class and name of a worker are any text, also with a character 0, which PostgreSQL's TEXT
-- cannot hold and which every locale would sort in another way: they are the bytes of their UTF-8, and sort by these on both databases.
--
-- `id` stands for a worker in `worker_turns`, whose rows and index stay small however long names are, and names one life of it: what a
-- worker left that was removed is not another's who gets its name. `epoch` grows with each acquisition and release, and begins at the time
-- in milliseconds, so that it is not used again by a worker that is made anew. `owner` is a process that holds the lease `workers/OWNER`,
-- or empty; a process whose lease has ended owns nothing. `wanted_by` is a process that asked for the worker meanwhile.
--
-- `turns` is the last committed turn, `record` all that is kept of the worker beside its heap, as its owner writes it; NULL until the first
-- commit. `wake_at` says when the worker goes on without a message: at `next_due`, at once (0) if it waits for answers to calls, or never.
-- `version` and `component_digest` name the component that the heap belongs to.
--
-- `upgraded_from_turn` is the last turn before a rollout that is under way moved the worker to another version: its heap is kept for a rollback.
--
-- `chain_changes` and `chain_bytes` are those since the last whole heap. Turns from `kept_from` on can be given, and `restorable_turn`
-- and `upgraded_from_turn`; `kept_turns` counts the rows in `worker_turns`, and at `sweep_at` some of them may be too old: the last `history_turns` are kept, for
-- `history_ms`, as the last commit said. `bytes` are those of the record and of all turns, `growth` by how many the last commit changed
-- them: the statement that commits gives it, and the tenant's are counted by it.
CREATE TABLE workers (
    tenant TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    class BYTEA NOT NULL,
    name BYTEA NOT NULL,
    id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    owner TEXT NOT NULL,
    wanted_by TEXT,
    turns BIGINT NOT NULL DEFAULT 0,
    record BYTEA,
    is_waiting BIGINT NOT NULL DEFAULT 0,
    next_due BIGINT,
    has_calls BIGINT NOT NULL DEFAULT 0,
    wake_at BIGINT,
    restorable_turn BIGINT,
    upgraded_from_turn BIGINT,
    heap_bytes BIGINT NOT NULL DEFAULT 0,
    version BIGINT,
    component_digest TEXT,
    chain_changes BIGINT NOT NULL DEFAULT 0,
    chain_bytes BIGINT NOT NULL DEFAULT 0,
    is_compactable BIGINT NOT NULL DEFAULT 0,
    history_turns BIGINT NOT NULL DEFAULT 1,
    history_ms BIGINT NOT NULL DEFAULT 0,
    kept_turns BIGINT NOT NULL DEFAULT 0,
    kept_from BIGINT NOT NULL DEFAULT 0,
    sweep_at BIGINT,
    bytes BIGINT NOT NULL DEFAULT 0,
    growth BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, component, environment, class, name)
);
CREATE UNIQUE INDEX workers_by_id ON workers (tenant, id);
CREATE INDEX workers_pending ON workers (tenant, component, environment, class, name) WHERE wake_at IS NOT NULL;
CREATE INDEX workers_by_wake ON workers (owner, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX workers_wanted ON workers (owner) WHERE wanted_by IS NOT NULL;
CREATE INDEX workers_uncommitted ON workers (created_at) WHERE record IS NULL;
CREATE INDEX workers_to_compact ON workers (tenant, id) WHERE is_compactable = 1;
CREATE INDEX workers_to_sweep ON workers (sweep_at) WHERE sweep_at IS NOT NULL;
CREATE INDEX workers_by_digest ON workers (tenant, component, component_digest) WHERE component_digest IS NOT NULL;

-- A committed heap each. A change says which row it goes on from in `previous`, and one of the kind `back`, which has no pages, which row it is
-- the same as: the heap of a turn is the pages along these to a whole one. `pages` has what is small, `digest` names the artifact of what is not.
CREATE TABLE worker_turns (
    tenant TEXT NOT NULL,
    worker TEXT NOT NULL,
    turn BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    previous BIGINT,
    pages BYTEA,
    digest TEXT,
    bytes BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, worker, turn)
);
CREATE INDEX worker_turns_by_digest ON worker_turns (digest) WHERE digest IS NOT NULL;

-- How many workers a tenant has, and their bytes, as `job_counts` has those of jobs.
CREATE TABLE worker_counts (
    tenant TEXT NOT NULL,
    slot BIGINT NOT NULL,
    workers BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (tenant, slot)
);

-- Whether the workers that a deployment moved to its version go back to what they were before: it was rolled back.
ALTER TABLE deployments ADD COLUMN restores_workers BIGINT NOT NULL DEFAULT 0;
