-- attempts-YYYY-MM-DD.db, version 1: what was sent on one day (UTC), and how deliveries ended that day.

CREATE TABLE attempts (
    -- A UUIDv7: in order of id is in order of time.
    id BLOB NOT NULL UNIQUE,
    delivery BLOB NOT NULL,
    owner BLOB NOT NULL,
    trigger_id BLOB NOT NULL,
    session BLOB NOT NULL,
    rev INTEGER NOT NULL,
    number INTEGER NOT NULL,
    queued INTEGER NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    class TEXT NOT NULL,
    ok INTEGER NOT NULL,
    -- Nothing follows: the delivery is over.
    last INTEGER NOT NULL,
    status INTEGER,
    error TEXT NOT NULL,
    address TEXT NOT NULL,
    -- Request and answer.
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX attempts_owner ON attempts (owner, id);
CREATE INDEX attempts_trigger ON attempts (trigger_id, id);
CREATE INDEX attempts_session ON attempts (session, id);
-- Failures are few, and what people look for.
CREATE INDEX attempts_owner_failed ON attempts (owner, id) WHERE ok = 0;
CREATE INDEX attempts_trigger_failed ON attempts (trigger_id, id) WHERE ok = 0;

-- Deliveries that ended without having been delivered.
CREATE TABLE endings (
    delivery BLOB NOT NULL PRIMARY KEY,
    trigger_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    owner BLOB NOT NULL,
    tenant_id BLOB NOT NULL,
    tenant TEXT NOT NULL,
    session BLOB NOT NULL,
    rev INTEGER NOT NULL,
    matches INTEGER NOT NULL,
    how TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX endings_trigger ON endings (trigger_id, at);
