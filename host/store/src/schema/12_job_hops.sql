-- How many events led to a job. It was part of the text of its cause before: the 55 characters of the traceparent, if there was one, `;` and
-- `hops=N`, or `hops=N` alone.
ALTER TABLE jobs ADD COLUMN hops BIGINT NOT NULL DEFAULT 0;
UPDATE jobs SET hops = CAST(substr(cause, 62) AS BIGINT), cause = substr(cause, 1, 55) WHERE cause LIKE '%;hops=%';
UPDATE jobs SET hops = CAST(substr(cause, 6) AS BIGINT), cause = NULL WHERE cause LIKE 'hops=%';
ALTER TABLE waiting_jobs ADD COLUMN hops BIGINT NOT NULL DEFAULT 0;
UPDATE waiting_jobs SET hops = CAST(substr(cause, 62) AS BIGINT), cause = substr(cause, 1, 55) WHERE cause LIKE '%;hops=%';
UPDATE waiting_jobs SET hops = CAST(substr(cause, 6) AS BIGINT), cause = NULL WHERE cause LIKE 'hops=%';
ALTER TABLE finished_jobs ADD COLUMN hops BIGINT NOT NULL DEFAULT 0;
UPDATE finished_jobs SET hops = CAST(substr(cause, 62) AS BIGINT), cause = substr(cause, 1, 55) WHERE cause LIKE '%;hops=%';
UPDATE finished_jobs SET hops = CAST(substr(cause, 6) AS BIGINT), cause = NULL WHERE cause LIKE 'hops=%';
