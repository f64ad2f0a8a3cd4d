-- Failures of executions by their cause, and what was denied.
--
-- `id` of an issue is made of its service, code, message and first own frames, and is the same on every host. `first_*` and `last_*` are of the
-- first and the last execution in which it occurred, `function`, `file`, `line` and `place_column` of the last one. `state` is `new`, `regressed`,
-- `resolved` or `ignored`; `state_version` is the version in which it came back, or the last one that may have it; an ignored one is new again at
-- `until_count` occurrences or from `until_at` on. `hours` has occurrences by hour since 1970 as JSON, for a week; `samples` the ids of the newest
-- executions, separated by spaces. The row of the tenant in `issue_counts` is locked while its issues change.
CREATE TABLE issues (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    code TEXT,
    title TEXT NOT NULL,
    function TEXT,
    file TEXT,
    line BIGINT NOT NULL,
    place_column BIGINT NOT NULL,
    state TEXT NOT NULL,
    state_version BIGINT,
    until_count BIGINT,
    until_at BIGINT,
    assigned_to TEXT,
    occurrences BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    first_version BIGINT NOT NULL,
    first_execution TEXT NOT NULL,
    last_at BIGINT NOT NULL,
    last_version BIGINT NOT NULL,
    last_execution TEXT NOT NULL,
    newest_version BIGINT NOT NULL,
    hours TEXT NOT NULL,
    samples TEXT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX issues_by_last ON issues (tenant, last_at, id);

-- Failures that are in no issue: `folded` were more issues than a tenant has, `unrecorded` more failures than are recorded.
CREATE TABLE issue_counts (
    tenant TEXT NOT NULL,
    folded BIGINT NOT NULL,
    unrecorded BIGINT NOT NULL,
    PRIMARY KEY (tenant)
);

-- Repeats within an hour are one row, whose id begins with the hour.
CREATE TABLE security_events (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    component TEXT,
    environment TEXT,
    subject TEXT NOT NULL,
    code TEXT NOT NULL,
    repeats BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX security_events_by_last ON security_events (last_at);
