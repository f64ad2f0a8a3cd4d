-- Requests to components with an idempotency key. Whoever inserts a row, or takes over one whose time is up, has the request run; the row keeps
-- the response for those that come again. `until` is the end of the lease while `status` is NULL, and afterwards the time at which the row is
-- deleted. Of a response that is too large to be stored, `body` and `headers` are NULL. `claim` names the attempt that has the key.
--
-- The responses of the admin API (`idempotency`) stay a table of their own: they are stored after the request ran, by the tenant's own people, and
-- the requests of a tenant's clients must not make it forget them.
CREATE TABLE idempotent_requests (
    tenant TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    claim TEXT NOT NULL,
    until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    status BIGINT,
    headers TEXT,
    body TEXT,
    bytes BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, component, environment, caller, key)
);
CREATE INDEX idempotent_requests_by_expiry ON idempotent_requests (until);
CREATE INDEX idempotent_requests_by_time ON idempotent_requests (tenant, created_at, claim, bytes);
