//! Long bytes, in pieces: a checkpoint or an adapter is written and read without a second copy of it in memory.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// Bytes of a piece.
const CHUNK_BYTES: usize = 1 << 20;

/// Keeps bytes and gives their number.
pub(crate) fn insert(transaction: &Transaction<'_>, bytes: &[u8]) -> rusqlite::Result<i64> {
    transaction.execute("INSERT INTO blobs (bytes) VALUES (?1)", [bytes.len()])?;
    let blob = transaction.last_insert_rowid();
    write_chunks(transaction, blob, bytes)?;
    Ok(blob)
}

/// Puts other bytes in the place of those kept under a number. Pieces of the same length are overwritten where they
/// lie, so the database does not grow by it.
pub(crate) fn replace(
    transaction: &Transaction<'_>,
    blob: i64,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    transaction.execute("UPDATE blobs SET bytes = ?2 WHERE id = ?1", params![blob, bytes.len()])?;
    write_chunks(transaction, blob, bytes)
}

/// What is kept under a number; `None` where that is nothing, or not whole.
pub(crate) fn read(connection: &Connection, blob: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    let length: Option<usize> = connection
        .prepare_cached("SELECT bytes FROM blobs WHERE id = ?1")?
        .query_row([blob], |row| row.get(0))
        .optional()?;
    let Some(length) = length else { return Ok(None) };
    // Not the length that is written down: what is there decides how much memory it takes.
    let mut bytes = Vec::new();
    let mut statement = connection
        .prepare_cached("SELECT data FROM blob_chunks WHERE blob = ?1 ORDER BY position")?;
    let mut rows = statement.query([blob])?;
    while let Some(row) = rows.next()? {
        let chunk = row.get_ref(0)?.as_blob()?;
        if bytes.is_empty() && length > chunk.len() {
            bytes.reserve_exact(length.min(sum_of(connection, blob)?));
        }
        bytes.extend_from_slice(chunk);
    }
    Ok((bytes.len() == length).then_some(bytes))
}

fn sum_of(connection: &Connection, blob: i64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("SELECT coalesce(sum(length(data)), 0) FROM blob_chunks WHERE blob = ?1")?
        .query_row([blob], |row| row.get(0))
}

fn write_chunks(transaction: &Transaction<'_>, blob: i64, bytes: &[u8]) -> rusqlite::Result<()> {
    let mut update = transaction
        .prepare_cached("UPDATE blob_chunks SET data = ?3 WHERE blob = ?1 AND position = ?2")?;
    let mut insert = transaction
        .prepare_cached("INSERT INTO blob_chunks (blob, position, data) VALUES (?1, ?2, ?3)")?;
    let mut count = 0i64;
    for chunk in bytes.chunks(CHUNK_BYTES) {
        if update.execute(params![blob, count, chunk])? == 0 {
            insert.execute(params![blob, count, chunk])?;
        }
        count += 1;
    }
    transaction
        .prepare_cached("DELETE FROM blob_chunks WHERE blob = ?1 AND position >= ?2")?
        .execute(params![blob, count])
        .map(|_rows| ())
}

#[cfg(test)]
mod tests {
    use crate::Vault;

    #[test]
    fn bytes_come_back_as_they_were_whatever_their_length() {
        let vault = Vault::in_memory().unwrap();
        let whole = |seed: usize, len: usize| -> Vec<u8> {
            (0..len).map(|n| (((n + seed) * 31) >> 3) as u8).collect()
        };
        let blob = vault.write("test", |t| super::insert(t, &[])).unwrap();
        for (seed, len) in
            [0, 1, 1 << 20, (1 << 20) + 1, 3 << 20, 5, (2 << 20) - 1].into_iter().enumerate()
        {
            let bytes = whole(seed, len);
            vault.write("test", |t| super::replace(t, blob, &bytes)).unwrap();
            assert!(
                vault.read("test", |c| super::read(c, blob)).unwrap() == Some(bytes),
                "{len} bytes"
            );
        }
        let chunks: i64 = vault
            .read("test", |c| c.query_row("SELECT count(*) FROM blob_chunks", [], |row| row.get(0)))
            .unwrap();
        assert_eq!(chunks, 2, "what the longest had more is gone");
    }

    #[test]
    fn what_is_not_whole_is_not_given() {
        let vault = Vault::in_memory().unwrap();
        let blob = vault.write("test", |t| super::insert(t, &[7; (1 << 20) + 9])).unwrap();
        vault
            .write("test", |t| t.execute("DELETE FROM blob_chunks WHERE position = 0", []))
            .unwrap();
        assert_eq!(vault.read("test", |c| super::read(c, blob)).unwrap(), None);
    }
}
