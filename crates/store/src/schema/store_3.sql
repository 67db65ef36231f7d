-- store.db, version 3: the tables that records are enriched from.

-- A number for each import, which its contacts carry. Its row lives as long as they do.
CREATE TABLE editions (
    edition INTEGER PRIMARY KEY AUTOINCREMENT,
    directory BLOB NOT NULL,
    started INTEGER NOT NULL,
    -- 0 = being imported, 1 = they count, 2 = they go.
    state INTEGER NOT NULL
) STRICT;

CREATE TABLE directories (
    id BLOB NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (key),
    name TEXT NOT NULL,
    -- Which contacts count.
    edition INTEGER NOT NULL,
    contacts INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    UNIQUE (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE contacts (
    directory BLOB NOT NULL,
    edition INTEGER NOT NULL,
    id TEXT NOT NULL,
    -- Its fields as JSON.
    document TEXT NOT NULL,
    PRIMARY KEY (directory, edition, id)
) STRICT, WITHOUT ROWID;

-- What was edited one by one, for who has the rest loaded.
CREATE TABLE contact_edits (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    directory BLOB NOT NULL,
    contact TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX contact_edits_tenant ON contact_edits (tenant, seq);
CREATE INDEX contact_edits_at ON contact_edits (at);

CREATE TABLE numbers (
    tenant TEXT NOT NULL REFERENCES tenants (key),
    number TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (tenant, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
    tenant TEXT NOT NULL REFERENCES tenants (key),
    number TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE tariffs (
    tenant TEXT NOT NULL REFERENCES tenants (key),
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
