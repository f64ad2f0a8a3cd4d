-- The log of events lies in segments, as PGQ's rotating tables do: new events go to one of eight tables of the same shape, the next table
-- takes over after a while, and a table is emptied as a whole once all its events are older than any is kept. Deleting rows one by one would
-- write as much as publishing them, and leave PostgreSQL dead rows to clean up. The tables are a fixed number and not partitions that are made
-- at run time: the statements stay the same on both databases, and row-level security guards each table from the start.
--
-- A key is unique in a segment by an index, and in a tenant's whole log because whoever publishes holds the tenant's row in `event_positions`
-- and looks for the key in every segment. A table of all keys would be deleted from row by row.
CREATE TABLE events_0 (
    tenant TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL,
    time BIGINT NOT NULL,
    key TEXT,
    hops BIGINT NOT NULL,
    cause TEXT,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, position)
);
CREATE UNIQUE INDEX events_0_by_key ON events_0 (tenant, key) WHERE key IS NOT NULL;

CREATE TABLE events_1 (
    tenant TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL,
    time BIGINT NOT NULL,
    key TEXT,
    hops BIGINT NOT NULL,
    cause TEXT,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, position)
);
CREATE UNIQUE INDEX events_1_by_key ON events_1 (tenant, key) WHERE key IS NOT NULL;

CREATE TABLE events_2 (
    tenant TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL,
    time BIGINT NOT NULL,
    key TEXT,
    hops BIGINT NOT NULL,
    cause TEXT,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, position)
);
CREATE UNIQUE INDEX events_2_by_key ON events_2 (tenant, key) WHERE key IS NOT NULL;

CREATE TABLE events_3 (
    tenant TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL,
    time BIGINT NOT NULL,
    key TEXT,
    hops BIGINT NOT NULL,
    cause TEXT,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, position)
);
CREATE UNIQUE INDEX events_3_by_key ON events_3 (tenant, key) WHERE key IS NOT NULL;

CREATE TABLE events_4 (
    tenant TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL,
    time BIGINT NOT NULL,
    key TEXT,
    hops BIGINT NOT NULL,
    cause TEXT,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, position)
);
CREATE UNIQUE INDEX events_4_by_key ON events_4 (tenant, key) WHERE key IS NOT NULL;

CREATE TABLE events_5 (
    tenant TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL,
    time BIGINT NOT NULL,
    key TEXT,
    hops BIGINT NOT NULL,
    cause TEXT,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, position)
);
CREATE UNIQUE INDEX events_5_by_key ON events_5 (tenant, key) WHERE key IS NOT NULL;

CREATE TABLE events_6 (
    tenant TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL,
    time BIGINT NOT NULL,
    key TEXT,
    hops BIGINT NOT NULL,
    cause TEXT,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, position)
);
CREATE UNIQUE INDEX events_6_by_key ON events_6 (tenant, key) WHERE key IS NOT NULL;

CREATE TABLE events_7 (
    tenant TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT,
    data TEXT NOT NULL,
    time BIGINT NOT NULL,
    key TEXT,
    hops BIGINT NOT NULL,
    cause TEXT,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, position)
);
CREATE UNIQUE INDEX events_7_by_key ON events_7 (tenant, key) WHERE key IS NOT NULL;

-- Of the host, not of a tenant: the segments that are in use. They are numbered upwards: the highest is the one that is written to, and segment
-- N lies in the table of N modulo 8. The first one begins at 0, so that the next one begins soon.
CREATE TABLE event_segments (
    segment BIGINT PRIMARY KEY,
    begun_at BIGINT NOT NULL
);
INSERT INTO event_segments (segment, begun_at) VALUES (0, 0);

-- The position of a tenant's first event in a segment: a page of the log is read from the segment that has it, by the primary key. Positions
-- grow from segment to segment. `bytes_before` is what `bytes` of `event_positions` was before that event: the bytes of a segment are the
-- difference to the next one, and publishing writes to this table once in a segment.
CREATE TABLE event_segment_starts (
    tenant TEXT NOT NULL,
    segment BIGINT NOT NULL,
    first BIGINT NOT NULL,
    bytes_before BIGINT NOT NULL,
    PRIMARY KEY (tenant, segment)
);

-- The position that a tenant's next event gets, the lowest that may still be there, and how many were published on the day. `bytes` are those
-- of the data of all its events so far, `hidden_bytes` those of the events before `first`.
CREATE TABLE event_positions (
    tenant TEXT PRIMARY KEY,
    next BIGINT NOT NULL,
    first BIGINT NOT NULL,
    day BIGINT NOT NULL,
    on_day BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    hidden_bytes BIGINT NOT NULL
);

CREATE TABLE subscriptions (
    tenant TEXT NOT NULL REFERENCES tenants (tenant),
    component TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    config TEXT NOT NULL,
    cursor BIGINT NOT NULL,
    paused BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant, component, environment, name)
);

-- How far those outside of the platform have read a tenant's log of events, such as a connector to a message broker.
CREATE TABLE event_cursors (
    tenant TEXT NOT NULL,
    reader TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (tenant, reader)
);
