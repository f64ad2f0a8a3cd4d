-- Roles that tenants define, beside those of the platform.
CREATE TABLE roles (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    name TEXT NOT NULL,
    ceiling TEXT NOT NULL,
    policy TEXT NOT NULL,
    revision BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- Organizations and users. What is deleted keeps its row, and its id.
CREATE TABLE organizations (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    disabled_at BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    deleted_at BIGINT,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE users (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT,
    organization TEXT,
    role TEXT,
    disabled_at BIGINT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    deleted_at BIGINT,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, organization) REFERENCES organizations (tenant, id)
);
CREATE INDEX users_of_organization ON users (tenant, organization);

-- Tokens named users and organizations before there were records. Those that are valid get theirs, but for users whom tokens give several
-- organizations: these stay what their tokens say.
INSERT INTO organizations (tenant, id, name, revision, created_at, created_by)
SELECT tenant, organization_id, organization_id, 1, MIN(created_at), 'host' FROM tokens
WHERE organization_id IS NOT NULL AND organization_id <> '' AND revoked_at IS NULL GROUP BY tenant, organization_id;
INSERT INTO users (tenant, id, name, organization, revision, created_at, created_by)
SELECT tenant, user_id, user_id, MIN(NULLIF(organization_id, '')), 1, MIN(created_at), 'host' FROM tokens
WHERE user_id IS NOT NULL AND user_id <> '' AND revoked_at IS NULL GROUP BY tenant, user_id
HAVING COUNT(DISTINCT COALESCE(organization_id, '')) = 1;
