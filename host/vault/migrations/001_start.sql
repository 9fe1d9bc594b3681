-- A document's id is never used again: conversations, labels and grants refer to it.
CREATE TABLE folders (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    plugin       TEXT    UNIQUE,              -- the plugin whose saved results it keeps
    created_secs INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX folders_by_name ON folders (name) WHERE plugin IS NULL;

-- What lists show comes first and long text last, so that a list reads no overflow pages.
CREATE TABLE documents (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    folder       INTEGER NOT NULL REFERENCES folders ON DELETE CASCADE,
    kind         INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),  -- mail, note, code, saved
    title        TEXT    NOT NULL,
    author       TEXT    NOT NULL,
    date_secs    INTEGER,
    snippet      TEXT    NOT NULL,
    body_chars   INTEGER NOT NULL,
    attachments  INTEGER NOT NULL,
    source       TEXT    NOT NULL,            -- path it came from
    message_id   TEXT,
    hash         BLOB    NOT NULL,            -- blake3 of the file or message
    text_hash    BLOB    NOT NULL,            -- blake3 of what was read from it
    label        TEXT,                        -- JSON, of saved documents
    recipients   TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    extra        TEXT    NOT NULL             -- searched, not shown: names and text of attachments
) STRICT;
CREATE INDEX documents_by_folder     ON documents (folder, date_secs);
CREATE INDEX documents_by_kind      ON documents (folder, kind);
CREATE INDEX documents_by_date       ON documents (date_secs);
CREATE INDEX documents_by_hash       ON documents (hash);
CREATE INDEX documents_by_message_id ON documents (message_id) WHERE message_id IS NOT NULL;

-- The file or message as it was, where the body alone does not give it back.
CREATE TABLE originals (
    document INTEGER PRIMARY KEY REFERENCES documents ON DELETE CASCADE,
    bytes    BLOB NOT NULL
) STRICT;

CREATE TABLE attachments (
    document   INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    media_type TEXT    NOT NULL,
    bytes      INTEGER NOT NULL,
    PRIMARY KEY (document, position)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE documents_text USING fts5 (
    title, author, body, extra,
    content = 'documents', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
-- Words of a deleted document leave the index at once.
INSERT INTO documents_text (documents_text, rank) VALUES ('secure-delete', 1);
INSERT INTO documents_text (documents_text, rank) VALUES ('rank', 'bm25(8.0, 4.0, 1.0, 0.5)');
CREATE TRIGGER documents_text_insert AFTER INSERT ON documents BEGIN
    INSERT INTO documents_text (rowid, title, author, body, extra)
    VALUES (new.id, new.title, new.author, new.body, new.extra);
END;
CREATE TRIGGER documents_text_delete AFTER DELETE ON documents BEGIN
    INSERT INTO documents_text (documents_text, rowid, title, author, body, extra)
    VALUES ('delete', old.id, old.title, old.author, old.body, old.extra);
END;
CREATE TRIGGER documents_text_update AFTER UPDATE ON documents BEGIN
    INSERT INTO documents_text (documents_text, rowid, title, author, body, extra)
    VALUES ('delete', old.id, old.title, old.author, old.body, old.extra);
    INSERT INTO documents_text (rowid, title, author, body, extra)
    VALUES (new.id, new.title, new.author, new.body, new.extra);
END;

-- The last import into a folder: a row a file or message.
CREATE TABLE import_entries (
    folder     INTEGER NOT NULL REFERENCES folders ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    path       TEXT    NOT NULL,
    in_file    INTEGER NOT NULL,              -- which message of its mbox
    state      INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),   -- done, skipped, failed
    reason     TEXT,
    subject    TEXT,
    sender     TEXT,
    date       TEXT,
    body_chars INTEGER NOT NULL,
    PRIMARY KEY (folder, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE conversations (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    title        TEXT    NOT NULL,
    updated_secs INTEGER NOT NULL
) STRICT;

CREATE TABLE turns (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    speaker      INTEGER NOT NULL CHECK (speaker BETWEEN 0 AND 2),  -- user, assistant, notice
    at_secs      INTEGER NOT NULL,
    stopped      INTEGER NOT NULL,
    model        TEXT    NOT NULL,
    text         TEXT    NOT NULL
) STRICT;
CREATE INDEX turns_by_conversation ON turns (conversation, id);

CREATE TABLE turn_documents (
    turn     INTEGER NOT NULL REFERENCES turns ON DELETE CASCADE,
    position INTEGER NOT NULL,
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    PRIMARY KEY (turn, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX turn_documents_by_document ON turn_documents (document);

CREATE TABLE plugins (
    id             TEXT PRIMARY KEY,
    version        TEXT    NOT NULL,
    manifest       TEXT    NOT NULL,
    component_hash TEXT    NOT NULL,
    sealed         INTEGER NOT NULL,
    bundled        INTEGER NOT NULL,
    enabled        INTEGER NOT NULL,
    suspended      TEXT,
    installed_secs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- These outlive the plugin: a plugin that comes back must not meet old run numbers or epochs again.
CREATE TABLE plugin_counters (
    plugin TEXT PRIMARY KEY,
    runs   INTEGER NOT NULL DEFAULT 0,
    epoch  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
    plugin       TEXT PRIMARY KEY REFERENCES plugins ON DELETE CASCADE,
    capabilities TEXT NOT NULL,               -- JSON
    slots        TEXT NOT NULL                -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin_settings (
    plugin TEXT NOT NULL REFERENCES plugins ON DELETE CASCADE,
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,                     -- JSON
    PRIMARY KEY (plugin, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin_storage (
    plugin TEXT NOT NULL REFERENCES plugins ON DELETE CASCADE,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (plugin, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin_kept (
    plugin TEXT NOT NULL REFERENCES plugins ON DELETE CASCADE,
    name   TEXT NOT NULL,
    label  TEXT NOT NULL,                     -- JSON
    text   TEXT NOT NULL,
    PRIMARY KEY (plugin, name)
) STRICT;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_secs INTEGER NOT NULL,
    plugin  TEXT,
    run     INTEGER,
    what    TEXT    NOT NULL,
    allowed INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_by_plugin ON audit (plugin, id);

CREATE TABLE models (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    path       TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    public     INTEGER NOT NULL,
    is_default INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_default_model ON models (is_default) WHERE is_default = 1;

CREATE TABLE preferences (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys that the vault makes for others, such as the one that marks compiled plugins.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
