-- How far those outside of the platform have read a tenant's log of events, such as a connector to a message broker.
CREATE TABLE event_cursors (
    tenant TEXT NOT NULL,
    reader TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (tenant, reader)
);
