-- What an execution asked of capabilities.
ALTER TABLE executions ADD COLUMN host_calls TEXT;
