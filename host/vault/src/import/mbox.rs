//! Splitting an mbox into messages, with bounded memory.

use std::io::{self, BufRead, Read};

/// Pieces in which a line is read; only its beginning decides whether it starts a message.
const PIECE_BYTES: u64 = 64 << 10;

/// A message of an mbox.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The `From ` line before it, with its end; empty for what comes before the first.
    pub(super) envelope: Vec<u8>,
    /// The message as it is in the file; cut short where `bytes` is beyond the limit.
    pub(super) message: Vec<u8>,
    /// Length of both in the file.
    pub(super) bytes: u64,
}

/// Reads message after message.
pub(super) struct Splitter<R> {
    reader: R,
    limit_bytes: u64,
    /// The `From ` line that ended the last message.
    envelope: Option<Vec<u8>>,
    piece: Vec<u8>,
    at_line_start: bool,
    ended: bool,
}

impl<R: BufRead> Splitter<R> {
    /// Messages longer than `limit_bytes` are cut there, but counted in full.
    pub(super) fn new(reader: R, limit_bytes: u64) -> Self {
        Self {
            reader,
            limit_bytes,
            envelope: None,
            piece: Vec::new(),
            at_line_start: true,
            ended: false,
        }
    }

    fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        let envelope = self.envelope.take();
        let mut chunk = Chunk { envelope: envelope.unwrap_or_default(), ..Chunk::default() };
        chunk.bytes = chunk.envelope.len() as u64;
        loop {
            self.piece.clear();
            self.reader.by_ref().take(PIECE_BYTES).read_until(b'\n', &mut self.piece)?;
            if self.piece.is_empty() {
                self.ended = true;
                return Ok((chunk.bytes > 0).then_some(chunk));
            }
            let starts_line = self.at_line_start;
            self.at_line_start = self.piece.ends_with(b"\n");
            if starts_line && is_envelope(&self.piece) {
                let next = std::mem::take(&mut self.piece);
                if chunk.bytes > 0 {
                    self.envelope = Some(next);
                    return Ok(Some(chunk));
                }
                chunk.bytes = next.len() as u64;
                chunk.envelope = next;
                continue;
            }
            chunk.bytes += self.piece.len() as u64;
            let room = (self.limit_bytes + 1).saturating_sub(chunk.message.len() as u64);
            let kept = self.piece.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            chunk.message.extend_from_slice(&self.piece[..kept]);
        }
    }
}

impl<R: BufRead> Iterator for Splitter<R> {
    type Item = io::Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_chunk();
        // A file that fails once is not read on: what follows could be taken for the wrong message.
        self.ended |= next.is_err();
        next.transpose()
    }
}

/// Whether a line separates messages: `From `, then a sender, a month and a time of day. Writers that guard `From ` in
/// bodies make a looser rule safe, but not all do.
pub(super) fn is_envelope(line: &[u8]) -> bool {
    const MONTHS: [&[u8]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    let Some(rest) = line.strip_prefix(b"From ") else { return false };
    let words = || rest[..rest.len().min(1000)].split(u8::is_ascii_whitespace);
    let is_time = |word: &[u8]| matches!(word, [a, b, b':', c, d, ..] if [a, b, c, d].iter().all(|x| x.is_ascii_digit()));
    words().any(|word| MONTHS.contains(&word)) && words().any(is_time)
}

/// The message itself: `>` that guards a `From ` line taken off (as mboxrd has it), and the empty line that belongs to
/// the mbox.
pub(super) fn unquote(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let guards = line.iter().take_while(|byte| **byte == b'>').count();
        let guarded = guards > 0 && line[guards..].starts_with(b"From ");
        out.extend_from_slice(if guarded { &line[1..] } else { line });
    }
    for end in [b"\r\n\r\n".as_slice(), b"\n\n"] {
        if out.ends_with(end) {
            out.truncate(out.len() - end.len() / 2);
            break;
        }
    }
    out
}

/// The date of a `From ` line, in seconds since 1970; its zone, if any, is rarely given and taken for UTC.
pub(super) fn envelope_secs(envelope: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(envelope).ok()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let month = words.iter().rposition(|word| {
        jiff::civil::DateTime::strptime("%b %d %Y", format!("{word} 1 2000")).is_ok()
    })?;
    let [name, day, time, rest @ ..] = words.get(month..)? else { return None };
    let year =
        rest.iter().find(|word| word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit()))?;
    let time = if time.len() == 5 { format!("{time}:00") } else { (*time).to_owned() };
    let parsed =
        jiff::civil::DateTime::strptime("%b %d %H:%M:%S %Y", format!("{name} {day} {time} {year}"));
    let zoned = parsed.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests;
