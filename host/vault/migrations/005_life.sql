-- What plugins do by themselves and for the chat, and what it takes.

CREATE TABLE plugin_schedules (
    plugin   TEXT    NOT NULL REFERENCES plugins ON DELETE CASCADE,
    schedule TEXT    NOT NULL,                -- the manifest's id
    is_on    INTEGER NOT NULL,                -- kept when switched off, for it may run once a day at most
    last_day INTEGER NOT NULL,                -- days since 1970; 0 where it never ran
    PRIMARY KEY (plugin, schedule)
) STRICT, WITHOUT ROWID;

-- Whether the chat may call a plugin's tools: 0 after asking each time, 1 without asking. No row: not at all.
CREATE TABLE plugin_tools (
    plugin TEXT PRIMARY KEY REFERENCES plugins ON DELETE CASCADE,
    mode   INTEGER NOT NULL CHECK (mode BETWEEN 0 AND 1)
) STRICT, WITHOUT ROWID;

-- Turns that tell of a call of a plugin's tool; among the turns they stand as notices, whose text is the result. The
-- plugin may be gone by now.
CREATE TABLE turn_calls (
    turn        INTEGER PRIMARY KEY REFERENCES turns ON DELETE CASCADE,
    plugin      TEXT    NOT NULL,
    plugin_name TEXT    NOT NULL,
    command     TEXT    NOT NULL,
    title       TEXT    NOT NULL,
    input       TEXT,
    document    INTEGER,
    state       INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),  -- done, refused, failed
    made_from   TEXT    NOT NULL
) STRICT;

-- All that was ever said in a conversation depends on at most this. It never shrinks.
CREATE TABLE conversation_labels (
    conversation INTEGER PRIMARY KEY REFERENCES conversations ON DELETE CASCADE,
    label        TEXT NOT NULL                -- JSON
) STRICT;

CREATE TABLE plugin_usage (
    plugin        TEXT    NOT NULL REFERENCES plugins ON DELETE CASCADE,
    day           INTEGER NOT NULL,
    runs          INTEGER NOT NULL,
    calls         INTEGER NOT NULL,
    refusals      INTEGER NOT NULL,           -- of these, calls that were refused
    prompt_tokens INTEGER NOT NULL,
    answer_tokens INTEGER NOT NULL,
    documents     INTEGER NOT NULL,           -- read
    guest_micros  INTEGER NOT NULL,           -- in the plugin's code
    model_micros  INTEGER NOT NULL,
    PRIMARY KEY (plugin, day)
) STRICT, WITHOUT ROWID;

-- The same for each of the last runs.
CREATE TABLE plugin_runs (
    plugin        TEXT    NOT NULL REFERENCES plugins ON DELETE CASCADE,
    run           INTEGER NOT NULL,
    at_secs       INTEGER NOT NULL,
    what          TEXT    NOT NULL,           -- what started it, without private text
    calls         INTEGER NOT NULL,
    refusals      INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    answer_tokens INTEGER NOT NULL,
    documents     INTEGER NOT NULL,
    guest_micros  INTEGER NOT NULL,
    model_micros  INTEGER NOT NULL,
    PRIMARY KEY (plugin, run)
) STRICT, WITHOUT ROWID;
