-- By which key a host encrypts: an id of the key, from which it cannot be found. Empty for hosts of a release that does not say it.
ALTER TABLE hosts ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
