-- The key of each tenant, by which the heaps of its service workers are encrypted. It is encrypted itself, with the key of the hosts.
CREATE TABLE data_keys (
    tenant TEXT NOT NULL PRIMARY KEY,
    ciphertext TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
