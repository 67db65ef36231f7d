-- store.db, version 1: configuration, sessions, debts, dead letters.

-- One value sealed with the key in use, so that a wrong key is found at start and not at the first delivery.
CREATE TABLE key_check (one INTEGER PRIMARY KEY CHECK (one = 1), sealed BLOB NOT NULL) STRICT;

-- One row for each kind and tenant; a change takes its row away and puts it back with a higher number.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    tenant TEXT NOT NULL,
    UNIQUE (kind, tenant)
) STRICT;

CREATE TABLE tenants (
    key TEXT NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    parent TEXT REFERENCES tenants (key),
    document TEXT NOT NULL,
    changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tenants_parent ON tenants (parent) WHERE parent IS NOT NULL;

CREATE TABLE pbxs (
    key TEXT NOT NULL PRIMARY KEY,
    tenant TEXT REFERENCES tenants (key),
    document TEXT NOT NULL,
    changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pbxs_tenant ON pbxs (tenant) WHERE tenant IS NOT NULL;

-- The token itself is nowhere.
CREATE TABLE ingest_tokens (
    id BLOB NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    pbx TEXT NOT NULL REFERENCES pbxs (key),
    tenant TEXT REFERENCES tenants (key),
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    revoked INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE triggers (
    id BLOB NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (key),
    version INTEGER NOT NULL,
    -- Disabled, paused or removed: its debts are not claimed.
    held INTEGER NOT NULL,
    -- Disabled or removed: its debts end.
    off INTEGER NOT NULL,
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    removed INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX triggers_tenant ON triggers (tenant) WHERE removed IS NULL;

CREATE TABLE trigger_versions (
    trigger_id BLOB NOT NULL REFERENCES triggers (id),
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    -- URL, headers, credentials, signing secrets, additions to the payload.
    sealed BLOB NOT NULL,
    made INTEGER NOT NULL,
    -- When a newer one took its place.
    replaced INTEGER,
    PRIMARY KEY (trigger_id, version)
) STRICT;

-- The newest revision of each session.
CREATE TABLE sessions (
    session BLOB NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    pbx TEXT NOT NULL,
    rev INTEGER NOT NULL,
    emitted INTEGER NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    dur INTEGER NOT NULL,
    talk INTEGER NOT NULL,
    dir INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    partial INTEGER NOT NULL,
    cli TEXT,
    ddi TEXT,
    users TEXT NOT NULL,
    -- The session that absorbed it.
    replaced_by BLOB,
    envelope BLOB NOT NULL
) STRICT;
CREATE INDEX sessions_time ON sessions (tenant, start);
CREATE INDEX sessions_cli ON sessions (cli, start) WHERE cli IS NOT NULL;
CREATE INDEX sessions_ddi ON sessions (ddi, start) WHERE ddi IS NOT NULL;

-- Earlier revisions: what is owed for one is rendered from it.
CREATE TABLE revisions (
    session BLOB NOT NULL,
    rev INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    PRIMARY KEY (session, rev)
) STRICT;

CREATE TABLE debts (
    -- Order within one trigger and session.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery BLOB NOT NULL UNIQUE,
    trigger_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    owner BLOB NOT NULL,
    tenant_id BLOB NOT NULL,
    tenant TEXT NOT NULL,
    session BLOB NOT NULL,
    rev INTEGER NOT NULL,
    matches INTEGER NOT NULL,
    lane BLOB NOT NULL,
    -- While leased: the end of the lease.
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    queued INTEGER NOT NULL,
    first_try INTEGER,
    reason TEXT NOT NULL,
    lease_owner TEXT,
    -- The trigger is paused or off.
    held INTEGER NOT NULL,
    -- An earlier delivery of the same trigger and session is owed.
    behind INTEGER NOT NULL
) STRICT;
CREATE INDEX debts_claim ON debts (lane, due) WHERE held = 0 AND behind = 0;
CREATE INDEX debts_strand ON debts (trigger_id, session, seq);
CREATE INDEX debts_due ON debts (due);
CREATE INDEX debts_session ON debts (session);

-- How many debts each trigger has: counted as they come and go, for limits that are asked at every delivery.
CREATE TABLE owed (
    trigger_id BLOB NOT NULL PRIMARY KEY,
    owner BLOB NOT NULL,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER debts_more AFTER INSERT ON debts BEGIN
    INSERT INTO owed (trigger_id, owner, count) VALUES (new.trigger_id, new.owner, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER debts_less AFTER DELETE ON debts BEGIN
    UPDATE owed SET count = count - 1 WHERE trigger_id = old.trigger_id;
    DELETE FROM owed WHERE trigger_id = old.trigger_id AND count <= 0;
END;

-- Lanes that take nothing until a time.
CREATE TABLE lanes (
    lane BLOB NOT NULL PRIMARY KEY,
    paused_until INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Where the input came from: one place is one letter.
    position TEXT NOT NULL UNIQUE,
    received INTEGER NOT NULL,
    reason TEXT NOT NULL,
    dialect TEXT NOT NULL,
    tenant TEXT,
    pbx TEXT,
    -- Of the whole input; body may be its beginning only.
    length INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    body BLOB NOT NULL,
    replayed INTEGER
) STRICT;
CREATE INDEX dead_letters_received ON dead_letters (received);
-- Counted at every scrape.
CREATE INDEX dead_letters_open ON dead_letters (id) WHERE replayed IS NULL;
