-- Projects that users edit on the platform: the files of each as a JSON object from path to text.
CREATE TABLE drafts (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    files TEXT NOT NULL,
    file_count BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
);
