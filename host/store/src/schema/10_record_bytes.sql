-- The records of jobs that have ended count for the quota of bytes.
INSERT INTO job_counts (tenant, slot, unfinished, bytes)
SELECT tenant, 0, 0, SUM(octet_length(input) + COALESCE(octet_length(result), 0) + COALESCE(octet_length(error), 0))
FROM finished_jobs WHERE true GROUP BY tenant
ON CONFLICT (tenant, slot) DO UPDATE SET bytes = job_counts.bytes + excluded.bytes;
