-- The trace that an execution belongs to, so that all that a request has caused is found by it. Executions from before have none.
ALTER TABLE executions ADD COLUMN trace TEXT;
CREATE INDEX executions_by_trace ON executions (tenant, trace, id) WHERE trace IS NOT NULL;
