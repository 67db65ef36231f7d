-- store.db, version 2: lanes with breakers, deliveries that can come back, shares of rates, notices, damaged rows.

-- Lanes that are not plain: they wait, or something is known of their receiver.
CREATE TABLE lanes_2 (
    lane BLOB NOT NULL PRIMARY KEY,
    -- The tenant whose lane it is; unknown of what version 1 wrote.
    owner BLOB,
    -- Origin and first path segment, for people.
    shown TEXT NOT NULL,
    -- The breaker as JSON; none = healthy.
    breaker TEXT,
    -- What of the breaker is searched for.
    open INTEGER NOT NULL,
    probe_at INTEGER NOT NULL,
    -- The end of the lease of the probe in flight; 0 = there is none.
    probe_until INTEGER NOT NULL,
    -- 0 = not paused.
    paused_until INTEGER NOT NULL,
    pause_reason TEXT NOT NULL,
    changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO lanes_2 SELECT lane, NULL, '', NULL, 0, 0, 0, paused_until, reason, paused_until FROM lanes;
DROP TABLE lanes;
ALTER TABLE lanes_2 RENAME TO lanes;
CREATE INDEX lanes_open ON lanes (probe_at) WHERE open = 1;

-- Whether what it fires waits while its receiver is down.
ALTER TABLE triggers ADD COLUMN holds INTEGER NOT NULL DEFAULT 1;
UPDATE triggers SET holds = 0 WHERE EXISTS (SELECT 1 FROM trigger_versions v
    WHERE v.trigger_id = triggers.id AND v.version = triggers.version AND json_valid(v.document)
    AND (v.document ->> '$.whileDown' = 'fail' OR v.document ->> '$.autoDisable' IS NOT NULL));

-- As its trigger's, like held.
ALTER TABLE debts ADD COLUMN holds INTEGER NOT NULL DEFAULT 1;
UPDATE debts SET holds = 0 WHERE trigger_id IN (SELECT id FROM triggers WHERE holds = 0);
-- It came back: it counted as failed since then, and that day's log may still say so.
ALTER TABLE debts ADD COLUMN failed INTEGER;
-- What an open lane still gives.
CREATE INDEX debts_hasty ON debts (lane, due) WHERE held = 0 AND behind = 0 AND holds = 0;
-- What a probe takes, and what has waited for too long.
CREATE INDEX debts_oldest ON debts (lane, coalesce(first_try, queued)) WHERE held = 0 AND behind = 0;

-- How many debts each trigger has in each lane.
DROP TRIGGER debts_more;
DROP TRIGGER debts_less;
DROP TABLE owed;
CREATE TABLE owed (
    trigger_id BLOB NOT NULL,
    lane BLOB NOT NULL,
    owner BLOB NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (trigger_id, lane)
) STRICT, WITHOUT ROWID;
CREATE INDEX owed_lane ON owed (lane);
INSERT INTO owed SELECT trigger_id, lane, min(owner), count(*) FROM debts GROUP BY trigger_id, lane;
CREATE TRIGGER debts_more AFTER INSERT ON debts BEGIN
    INSERT INTO owed (trigger_id, lane, owner, count) VALUES (new.trigger_id, new.lane, new.owner, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER debts_less AFTER DELETE ON debts BEGIN
    UPDATE owed SET count = count - 1 WHERE trigger_id = old.trigger_id AND lane = old.lane;
    DELETE FROM owed WHERE trigger_id = old.trigger_id AND lane = old.lane AND count <= 0;
END;
CREATE TRIGGER debts_moved AFTER UPDATE OF lane ON debts WHEN new.lane <> old.lane BEGIN
    UPDATE owed SET count = count - 1 WHERE trigger_id = old.trigger_id AND lane = old.lane;
    DELETE FROM owed WHERE trigger_id = old.trigger_id AND lane = old.lane AND count <= 0;
    INSERT INTO owed (trigger_id, lane, owner, count) VALUES (new.trigger_id, new.lane, new.owner, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

-- Deliveries that failed for good in a run of failures that goes on: they come back if the receiver turns out down.
CREATE TABLE spent (
    seq INTEGER PRIMARY KEY,
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
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    queued INTEGER NOT NULL,
    first_try INTEGER,
    reason TEXT NOT NULL,
    -- Since when it counts as failed.
    failed INTEGER NOT NULL
) STRICT;
CREATE INDEX spent_lane ON spent (lane, seq);
CREATE INDEX spent_strand ON spent (trigger_id, session, rev);
CREATE INDEX spent_failed ON spent (failed);

-- Each process's part of a lane's rate, in thousandths of a request per second.
CREATE TABLE lane_shares (
    lane BLOB NOT NULL,
    owner TEXT NOT NULL,
    until INTEGER NOT NULL,
    share INTEGER NOT NULL,
    PRIMARY KEY (lane, owner)
) STRICT, WITHOUT ROWID;

-- What the system tells about itself.
CREATE TABLE notices (
    id BLOB NOT NULL UNIQUE,
    tenant_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    document TEXT NOT NULL,
    -- It has led to debts; a mail of it was sent.
    fired INTEGER NOT NULL,
    mailed INTEGER NOT NULL
) STRICT;
CREATE INDEX notices_unfired ON notices (at) WHERE fired = 0;
CREATE INDEX notices_unmailed ON notices (at) WHERE mailed = 0;
CREATE INDEX notices_at ON notices (at);

-- Rows that could not be read: taken out of the way, and kept for people.
CREATE TABLE damaged (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    found INTEGER NOT NULL,
    place TEXT NOT NULL,
    error TEXT NOT NULL,
    content TEXT NOT NULL
) STRICT;
