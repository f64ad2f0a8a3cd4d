-- Who replayed the event that a job delivers; none for other jobs.
ALTER TABLE jobs ADD COLUMN replayed_by TEXT;
ALTER TABLE waiting_jobs ADD COLUMN replayed_by TEXT;
ALTER TABLE finished_jobs ADD COLUMN replayed_by TEXT;

-- Limits of jobs over all hosts. Jobs with the same concurrency key are claimed only up to the `key-concurrency` of their queue.
ALTER TABLE jobs ADD COLUMN concurrency_key TEXT;
ALTER TABLE waiting_jobs ADD COLUMN concurrency_key TEXT;
ALTER TABLE finished_jobs ADD COLUMN concurrency_key TEXT;

CREATE INDEX jobs_ready_by_key ON jobs (tenant, queue, concurrency_key, rank, id) WHERE state = 'ready' AND concurrency_key IS NOT NULL;

-- A queue with a rate or a limit by key: whoever claims from it holds its row until the transaction's end, so that hosts count one after the
-- other. `full_at` is the time, in nanoseconds since 1970, at which the token bucket of its rate is full.
CREATE TABLE queue_limits (
    tenant TEXT NOT NULL,
    queue TEXT NOT NULL,
    full_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, queue)
);
