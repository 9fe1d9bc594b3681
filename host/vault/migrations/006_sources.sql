-- What a model with an adapter in it learnt from, as for adapters.
CREATE TABLE model_sources (
    model  INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
    kind   INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
    item   INTEGER NOT NULL,
    change INTEGER NOT NULL DEFAULT 0 CHECK (change BETWEEN 0 AND 2),
    PRIMARY KEY (model, kind, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_sources_by_item ON model_sources (kind, item);
CREATE TRIGGER documents_merged_delete BEFORE DELETE ON documents BEGIN
    UPDATE model_sources SET change = 2 WHERE kind = 0 AND item = old.id;
END;
CREATE TRIGGER documents_merged_change AFTER UPDATE OF text_hash ON documents
WHEN old.text_hash IS NOT new.text_hash BEGIN
    UPDATE model_sources SET change = max(change, 1) WHERE kind = 0 AND item = old.id;
END;
CREATE TRIGGER conversations_merged_delete BEFORE DELETE ON conversations BEGIN
    UPDATE model_sources SET change = 2 WHERE kind = 1 AND item = old.id;
END;
CREATE TRIGGER turns_merged_delete BEFORE DELETE ON turns BEGIN
    UPDATE model_sources SET change = max(change, 1) WHERE kind = 1 AND item = old.conversation;
END;
CREATE TRIGGER example_texts_merged_delete BEFORE DELETE ON example_texts BEGIN
    UPDATE model_sources SET change = 2 WHERE kind = 2 AND item = old.id;
END;

-- Whoever asks again takes turns back. A run that is not over holds its own copy of those that were there when it began:
-- that goes, too.
CREATE TRIGGER turns_copied_delete BEFORE DELETE ON turns BEGIN
    UPDATE run_sources SET change = 2
    WHERE kind = 1 AND item = old.conversation AND EXISTS (
        SELECT 1 FROM tune_runs r
        WHERE r.id = run_sources.run AND r.examples IS NOT NULL AND r.started_secs >= old.at_secs
    );
END;
