-- The number of the change by which a service or its tenant became what it is: hosts read what is later than what they have seen.
ALTER TABLE services ADD COLUMN change BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN change BIGINT NOT NULL DEFAULT 0;
CREATE INDEX services_by_change ON services (change);

-- A tenant's oldest answers give place to new ones.
ALTER TABLE idempotency ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
CREATE INDEX idempotency_by_time ON idempotency (tenant, created_at);
