-- Implementations side by side, and what each host saw of them: one row for each run of a host.
ALTER TABLE services ADD COLUMN stages TEXT;

CREATE TABLE stage_figures (
    tenant TEXT NOT NULL,
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    stages TEXT NOT NULL,
    host TEXT NOT NULL,
    implementation TEXT NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (tenant, component, environment, stages, host, implementation)
);
