-- What plugins have learnt of private values, and may still learn.
ALTER TABLE grants ADD COLUMN choice_bits INTEGER NOT NULL DEFAULT 0;   -- a day

-- Thousandths of a bit spent. Rows outlive plugins and documents: what was told is not taken back by deleting.
CREATE TABLE reveal_accounts (
    kind  INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 5),
    -- 0 plugin, 1 publisher, 2 gestures of a plugin, 5 what the user added to these: each a day;
    -- 3 publisher, 4 source: each for life
    name  TEXT    NOT NULL,
    day   INTEGER NOT NULL,                   -- days since 1970; 0 for life
    spent INTEGER NOT NULL CHECK (spent >= 0),   -- millibits
    PRIMARY KEY (kind, name, day)
) STRICT, WITHOUT ROWID;

-- Which content a document has, under whatever id it comes back: a keyed hash of its text. Outlives the document.
CREATE TABLE lineage (
    document INTEGER PRIMARY KEY,
    content  TEXT NOT NULL
) STRICT;

-- What contents were made from, as sets that many may share: of a saved text the sources in its label, of a file that
-- was imported anew the content it had.
CREATE TABLE lineage_kin (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE
) STRICT;
CREATE TABLE lineage_members (
    kin    INTEGER NOT NULL REFERENCES lineage_kin,
    source TEXT    NOT NULL,                  -- a content, or the name of another source
    PRIMARY KEY (kin, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE lineage_descent (
    content TEXT    NOT NULL,
    kin     INTEGER NOT NULL REFERENCES lineage_kin,
    PRIMARY KEY (content, kin)
) STRICT, WITHOUT ROWID;
