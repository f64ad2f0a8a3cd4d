-- Sessions of browsers in the web console. `source` is JSON: the token or the identity provider's user whose session it is, from which the permissions
-- are worked out at each look. Of the secret in the cookie there is a hash.
CREATE TABLE sessions (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    hash TEXT NOT NULL,
    source TEXT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_of_principal ON sessions (tenant, principal, id);
CREATE INDEX sessions_by_end ON sessions (expires_at);
