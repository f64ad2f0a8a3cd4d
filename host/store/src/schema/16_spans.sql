-- The spans of executions whose traces are kept: a row for each execution, with its spans as JSON. Times are in microseconds.
CREATE TABLE spans (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    trace TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    started_us BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    left_out BIGINT NOT NULL,
    spans TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX spans_by_trace ON spans (tenant, trace, id);
CREATE INDEX spans_by_time ON spans (started_us);
