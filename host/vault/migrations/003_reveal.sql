-- What plugins have learnt of private values, and may still learn.
ALTER TABLE grants ADD COLUMN choice_bits INTEGER NOT NULL DEFAULT 0;   -- a day

-- Thousandths of a bit spent. Rows outlive plugins and documents: what was told is not taken back by deleting.
CREATE TABLE reveal_accounts (
    kind  INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 4),
    -- 0 plugin, 1 publisher, 2 gestures of a plugin: each a day; 3 publisher, 4 source: each for life
    name  TEXT    NOT NULL,
    day   INTEGER NOT NULL,                   -- days since 1970; 0 for life
    spent INTEGER NOT NULL,                   -- millibits
    PRIMARY KEY (kind, name, day)
) STRICT, WITHOUT ROWID;

-- Which content a document is, under whatever id it comes back. Outlives the document.
CREATE TABLE lineage (
    document INTEGER PRIMARY KEY,
    content  TEXT NOT NULL
) STRICT;
