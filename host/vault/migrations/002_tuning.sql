-- Fine-tuning. Long bytes lie in pieces, so that neither reading nor replacing them takes more memory than a piece.
CREATE TABLE blobs (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE blob_chunks (
    blob     INTEGER NOT NULL REFERENCES blobs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    data     BLOB    NOT NULL,
    UNIQUE (blob, position)
) STRICT;

-- What the user thinks of an answer.
ALTER TABLE turns ADD COLUMN rating INTEGER NOT NULL DEFAULT 0 CHECK (rating BETWEEN -1 AND 1);
CREATE INDEX turns_by_rating ON turns (rating, conversation) WHERE rating <> 0;

-- Files of examples (JSONL) that the user brought along.
CREATE TABLE example_texts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    text         INTEGER NOT NULL REFERENCES blobs,
    created_secs INTEGER NOT NULL
) STRICT;

CREATE TABLE datasets (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    recipe       TEXT    NOT NULL,             -- JSON
    created_secs INTEGER NOT NULL
) STRICT;

CREATE TABLE tune_runs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT    NOT NULL,
    dataset         INTEGER REFERENCES datasets ON DELETE SET NULL,
    base_name       TEXT    NOT NULL,
    base_path       TEXT    NOT NULL,
    state           INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4), -- running, paused, finished, cancelled, failed
    job             TEXT    NOT NULL,           -- JSON
    label           TEXT    NOT NULL,           -- JSON, without its documents
    error           TEXT,
    started_secs    INTEGER NOT NULL,
    ended_secs      INTEGER,
    examples        INTEGER REFERENCES blobs,   -- what it learns, as it was when it began
    checkpoint      INTEGER REFERENCES blobs,
    checkpoint_step INTEGER
) STRICT;
CREATE INDEX tune_runs_by_dataset ON tune_runs (dataset);

CREATE TABLE tune_steps (
    run            INTEGER NOT NULL REFERENCES tune_runs ON DELETE CASCADE,
    step           INTEGER NOT NULL,
    loss           REAL    NOT NULL,
    held_out_loss  REAL,
    learning_rate  REAL    NOT NULL,
    gradient_norm  REAL    NOT NULL,
    tokens         INTEGER NOT NULL,
    tokens_per_sec REAL    NOT NULL,
    secs           REAL    NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE adapters (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL,
    base_name     TEXT    NOT NULL,
    base_hash     TEXT    NOT NULL,
    template_hash TEXT    NOT NULL,
    config        TEXT    NOT NULL,             -- adapter_config.json
    weights       INTEGER NOT NULL REFERENCES blobs,
    label         TEXT    NOT NULL,             -- JSON, without its documents
    report        TEXT,                         -- JSON
    run           INTEGER REFERENCES tune_runs ON DELETE SET NULL,
    live          INTEGER NOT NULL DEFAULT 0,
    created_secs  INTEGER NOT NULL
) STRICT;
CREATE INDEX adapters_by_run ON adapters (run);

-- What a run or an adapter learnt from. No foreign key to that: a row outlives it, to say that it is gone.
-- Kind: document, conversation, example text. Change: none, changed since, deleted since.
CREATE TABLE run_sources (
    run    INTEGER NOT NULL REFERENCES tune_runs ON DELETE CASCADE,
    kind   INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
    item   INTEGER NOT NULL,
    change INTEGER NOT NULL DEFAULT 0 CHECK (change BETWEEN 0 AND 2),
    PRIMARY KEY (run, kind, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_sources_by_item ON run_sources (kind, item);
CREATE TABLE adapter_sources (
    adapter INTEGER NOT NULL REFERENCES adapters ON DELETE CASCADE,
    kind    INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
    item    INTEGER NOT NULL,
    change  INTEGER NOT NULL DEFAULT 0 CHECK (change BETWEEN 0 AND 2),
    PRIMARY KEY (adapter, kind, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX adapter_sources_by_item ON adapter_sources (kind, item);

CREATE TABLE conversation_adapters (
    conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    adapter      INTEGER NOT NULL REFERENCES adapters ON DELETE CASCADE,
    strength     REAL    NOT NULL,
    PRIMARY KEY (conversation, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_adapters_by_adapter ON conversation_adapters (adapter);
CREATE TABLE plugin_adapters (
    plugin   TEXT    NOT NULL REFERENCES plugins ON DELETE CASCADE,
    position INTEGER NOT NULL,
    adapter  INTEGER NOT NULL REFERENCES adapters ON DELETE CASCADE,
    strength REAL    NOT NULL,
    PRIMARY KEY (plugin, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX plugin_adapters_by_adapter ON plugin_adapters (adapter);

-- Long bytes go with what they belong to.
CREATE TRIGGER adapters_delete AFTER DELETE ON adapters BEGIN
    DELETE FROM blobs WHERE id = old.weights;
END;
CREATE TRIGGER tune_runs_delete AFTER DELETE ON tune_runs BEGIN
    DELETE FROM blobs WHERE id IN (old.examples, old.checkpoint);
END;

-- What is deleted is deleted from the examples of runs that are under way, too. What is in a checkpoint or an adapter
-- cannot be taken out; both say so.
CREATE TRIGGER documents_learnt_delete BEFORE DELETE ON documents BEGIN
    UPDATE adapter_sources SET change = 2 WHERE kind = 0 AND item = old.id;
    UPDATE run_sources SET change = 2 WHERE kind = 0 AND item = old.id;
END;
CREATE TRIGGER documents_learnt_change AFTER UPDATE OF text_hash ON documents
WHEN old.text_hash IS NOT new.text_hash BEGIN
    UPDATE adapter_sources SET change = max(change, 1) WHERE kind = 0 AND item = old.id;
    UPDATE run_sources SET change = max(change, 1) WHERE kind = 0 AND item = old.id;
END;
CREATE TRIGGER conversations_learnt_delete BEFORE DELETE ON conversations BEGIN
    UPDATE adapter_sources SET change = 2 WHERE kind = 1 AND item = old.id;
    UPDATE run_sources SET change = 2 WHERE kind = 1 AND item = old.id;
END;
CREATE TRIGGER turns_learnt_delete BEFORE DELETE ON turns BEGIN
    UPDATE adapter_sources SET change = max(change, 1) WHERE kind = 1 AND item = old.conversation;
    UPDATE run_sources SET change = max(change, 1) WHERE kind = 1 AND item = old.conversation;
END;
CREATE TRIGGER example_texts_learnt_delete BEFORE DELETE ON example_texts BEGIN
    UPDATE adapter_sources SET change = 2 WHERE kind = 2 AND item = old.id;
    UPDATE run_sources SET change = 2 WHERE kind = 2 AND item = old.id;
END;
CREATE TRIGGER example_texts_delete AFTER DELETE ON example_texts BEGIN
    DELETE FROM blobs WHERE id = old.text;
END;
-- A run whose sources are gone cannot go on: its copy of them goes, and with it what its checkpoint is good for.
CREATE TRIGGER run_sources_gone AFTER UPDATE OF change ON run_sources WHEN new.change = 2 AND old.change <> 2 BEGIN
    UPDATE tune_runs SET examples = NULL, checkpoint = NULL, checkpoint_step = NULL WHERE id = new.run;
END;
CREATE TRIGGER tune_runs_examples AFTER UPDATE OF examples ON tune_runs WHEN old.examples IS NOT new.examples BEGIN
    DELETE FROM blobs WHERE id = old.examples;
END;
CREATE TRIGGER tune_runs_checkpoint AFTER UPDATE OF checkpoint ON tune_runs
WHEN old.checkpoint IS NOT new.checkpoint BEGIN
    DELETE FROM blobs WHERE id = old.checkpoint;
END;
