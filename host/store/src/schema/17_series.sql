-- The last week of the metrics of services: points by the minute for a day, by the hour for a week. Each run of a host (`source`) has its own,
-- and readers add them. `point` is JSON that only the platform reads. The services beyond a tenant's budget have the component and environment ''.
CREATE TABLE series_points (
    tenant TEXT NOT NULL,
    step_ms BIGINT NOT NULL,
    at BIGINT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    source TEXT NOT NULL,
    point TEXT NOT NULL,
    PRIMARY KEY (tenant, step_ms, at, component, environment, source)
);
CREATE INDEX series_points_by_age ON series_points (step_ms, at);

-- The usage of tenants by hours (milliseconds since 1970), as each run of a host has counted it so far: a run writes what it has, not what came
-- to it, so that writing twice changes nothing. The bytes that are stored are the same for all hosts, and are in the row with the source ''.
CREATE TABLE usage_hours (
    tenant TEXT NOT NULL,
    hour_at BIGINT NOT NULL,
    source TEXT NOT NULL,
    executions BIGINT NOT NULL,
    fuel BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    storage_bytes BIGINT NOT NULL,
    PRIMARY KEY (tenant, hour_at, source)
);
CREATE INDEX usage_hours_by_age ON usage_hours (hour_at);

-- What the webhook for billing was told of closed hours: the sums as they were, and how often they have changed since.
CREATE TABLE usage_notices (
    tenant TEXT NOT NULL,
    hour_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    executions BIGINT NOT NULL,
    fuel BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    storage_bytes BIGINT NOT NULL,
    sent_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, hour_at)
);

-- The components of which something ran in a week, by the Monday with which it begins, in milliseconds since 1970.
CREATE TABLE active_components (
    tenant TEXT NOT NULL,
    week_at BIGINT NOT NULL,
    component TEXT NOT NULL,
    PRIMARY KEY (tenant, week_at, component)
);
