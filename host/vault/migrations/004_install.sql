-- Where plugins come from, and what may take their place.

-- Keys that plugins were signed with. The first one seen for a plugin is the one it is bound to.
CREATE TABLE publishers (
    key             TEXT PRIMARY KEY,         -- minisign public key, base64
    first_seen_secs INTEGER NOT NULL,
    replaced_by     TEXT                      -- by a statement that the key itself signed
) STRICT, WITHOUT ROWID;

ALTER TABLE plugins ADD COLUMN publisher    TEXT NOT NULL DEFAULT '';   -- verified key; empty where unsigned
ALTER TABLE plugins ADD COLUMN origin       TEXT NOT NULL DEFAULT '';   -- path or reference it came from
ALTER TABLE plugins ADD COLUMN migrate_from TEXT;                       -- version whose storage it has yet to take over

-- Bindings outlive the plugin: what comes back under its name must be signed by the same key, and be no older.
CREATE TABLE plugin_bindings (
    plugin          TEXT PRIMARY KEY,
    publisher       TEXT NOT NULL,
    highest_version TEXT NOT NULL,
    highest_hash    TEXT NOT NULL             -- of the component of that version
) STRICT, WITHOUT ROWID;

-- The version before the one that is installed, for going back; and a newer one that waits for the user.
CREATE TABLE plugin_versions (
    plugin         TEXT    NOT NULL REFERENCES plugins ON DELETE CASCADE,
    state          INTEGER NOT NULL CHECK (state BETWEEN 0 AND 1),  -- former, waiting
    version        TEXT    NOT NULL,
    manifest       TEXT    NOT NULL,
    component_hash TEXT    NOT NULL,
    sealed         INTEGER NOT NULL,
    publisher      TEXT    NOT NULL,
    origin         TEXT    NOT NULL,
    capabilities   TEXT    NOT NULL,          -- JSON: the grant at that time
    slots          TEXT    NOT NULL,
    choice_bits    INTEGER NOT NULL,
    at_secs        INTEGER NOT NULL,
    PRIMARY KEY (plugin, state)
) STRICT, WITHOUT ROWID;

-- What the former version had in its storage.
CREATE TABLE plugin_former_storage (
    plugin TEXT NOT NULL REFERENCES plugins ON DELETE CASCADE,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (plugin, key)
) STRICT, WITHOUT ROWID;

-- When a newer version was first seen on offer: one that nobody asked for by name waits a day.
CREATE TABLE plugin_offers (
    plugin          TEXT    NOT NULL REFERENCES plugins ON DELETE CASCADE,
    version         TEXT    NOT NULL,
    first_seen_secs INTEGER NOT NULL,
    PRIMARY KEY (plugin, version)
) STRICT, WITHOUT ROWID;
