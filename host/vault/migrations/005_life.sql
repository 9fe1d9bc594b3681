-- What plugins do by themselves, and what it takes.

CREATE TABLE plugin_schedules (
    plugin   TEXT    NOT NULL REFERENCES plugins ON DELETE CASCADE,
    schedule TEXT    NOT NULL,                -- the manifest's id; a row is there where the user switched it on
    last_day INTEGER NOT NULL,                -- days since 1970; 0 where it never ran
    PRIMARY KEY (plugin, schedule)
) STRICT, WITHOUT ROWID;

-- Whether the chat may call a plugin's tools: 0 after asking each time, 1 without asking. No row: not at all.
CREATE TABLE plugin_tools (
    plugin TEXT PRIMARY KEY REFERENCES plugins ON DELETE CASCADE,
    mode   INTEGER NOT NULL CHECK (mode BETWEEN 0 AND 1)
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin_usage (
    plugin        TEXT    NOT NULL REFERENCES plugins ON DELETE CASCADE,
    day           INTEGER NOT NULL,
    runs          INTEGER NOT NULL,
    calls         INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    answer_tokens INTEGER NOT NULL,
    documents     INTEGER NOT NULL,           -- read
    guest_micros  INTEGER NOT NULL,           -- in the plugin's code
    model_micros  INTEGER NOT NULL,
    PRIMARY KEY (plugin, day)
) STRICT, WITHOUT ROWID;
