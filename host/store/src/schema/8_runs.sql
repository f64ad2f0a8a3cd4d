-- Of an execution that ran a job: its id, the number of the attempt, and the cause, as JSON.
ALTER TABLE executions ADD COLUMN run TEXT;
