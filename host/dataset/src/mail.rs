//! A mail's text: what its author wrote, and what they quote.

/// A mail's text in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MailText {
    /// The author's own words: no quotes, no signature, no list's footer.
    pub(crate) own: String,
    /// What is quoted, without marks; empty where nothing is.
    pub(crate) quoted: String,
    /// Whether somebody else's mail follows as a whole.
    pub(crate) forwards: bool,
}

impl MailText {
    /// Takes a body apart.
    pub(crate) fn of(body: &str) -> Self {
        let lines: Vec<&str> = body.lines().collect();
        let mut text = Self::default();
        let mut own: Vec<&str> = Vec::new();
        let mut quoted: Vec<&str> = Vec::new();
        let mut at = 0;
        while let Some(line) = lines.get(at).copied() {
            let rest = &lines[at..];
            if let Some(kind) = whole_mail_follows(rest) {
                text.forwards = kind == Follows::Forward;
                quoted.extend(unquoted(&rest[1..]));
                break;
            }
            if is_quote(line) {
                drop_attribution(&mut own);
                let end = rest.iter().position(|line| !is_quote(line)).unwrap_or(rest.len());
                quoted.extend(unquoted(&rest[..end]));
                quoted.push("");
                own.push("");
                at += end;
                continue;
            }
            if let Some(length) = attribution(rest)
                && !quotes_follow(&rest[length..])
            {
                // A quote without marks: everything after it.
                quoted.extend(unquoted(&rest[length..]));
                break;
            }
            if is_signature(rest) {
                at +=
                    rest.iter().position(|line| ends_signature(line)).unwrap_or(rest.len()).max(1);
                continue;
            }
            if let Some(length) = encoded_file(rest) {
                at += length;
                continue;
            }
            own.push(line);
            at += 1;
        }
        drop_device_line(&mut own);
        text.own = tidied(&own);
        text.quoted = tidied(&quoted);
        text
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Follows {
    Reply,
    Forward,
}

/// Whether everything from here on is another mail, as programs put it below an answer or a forward.
fn whole_mail_follows(rest: &[&str]) -> Option<Follows> {
    const FORWARDS: [&str; 6] = [
        "begin forwarded message",
        "forwarded message",
        "weitergeleitete nachricht",
        "message transféré",
        "mensaje reenviado",
        "messaggio inoltrato",
    ];
    const REPLIES: [&str; 6] = [
        "original message",
        "ursprüngliche nachricht",
        "message d'origine",
        "mensaje original",
        "messaggio originale",
        "original-nachricht",
    ];
    let bare = rest[0].trim().trim_matches(|c: char| c == '-' || c == '_' || c.is_whitespace());
    let bare = bare.trim_end_matches(':').to_lowercase();
    let marked = rest[0].trim_start().starts_with(['-', '_']);
    if FORWARDS.contains(&bare.as_str()) && (marked || rest[0].trim_end().ends_with(':')) {
        return Some(Follows::Forward);
    }
    if marked && REPLIES.contains(&bare.as_str()) {
        return Some(Follows::Reply);
    }
    // A line of underscores or nothing, and then the head of a mail.
    let head = if is_rule(rest[0]) { &rest[1..] } else { rest };
    is_head_of_mail(head).then_some(Follows::Reply)
}

/// `From:`, and shortly after it a date and a subject, each on a line.
fn is_head_of_mail(rest: &[&str]) -> bool {
    let starts = |line: &str, names: &[&str]| {
        let line = line.trim_start_matches(['*', ' ']).to_lowercase();
        names
            .iter()
            .any(|name| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', '*'])))
    };
    let has = |names: &[&str]| rest.iter().take(6).any(|line| starts(line, names));
    rest.first().is_some_and(|line| starts(line, &["from", "von", "de", "da"]))
        && has(&["sent", "date", "gesendet", "datum", "envoyé", "enviado", "inviato"])
        && has(&["subject", "betreff", "objet", "asunto", "oggetto", "to", "an", "à", "para", "a"])
}

fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 5 && line.chars().all(|c| c == '_' || c == '-')
}

fn is_quote(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

fn unquoted<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines.iter().map(|line| line.trim_start_matches(['>', ' '])).collect()
}

/// Whether lines with a quote's mark come next.
fn quotes_follow(rest: &[&str]) -> bool {
    rest.iter().find(|line| !line.trim().is_empty()).is_some_and(|line| is_quote(line))
}

/// How many lines the words before a quote take: "On Monday, Jane wrote:".
fn attribution(rest: &[&str]) -> Option<usize> {
    const STARTS: [&str; 9] = ["on ", "am ", "le ", "el ", "il ", "op ", "den ", "på ", "em "];
    let first = rest[0].trim().to_lowercase();
    if !STARTS.iter().any(|start| first.starts_with(start)) {
        return None;
    }
    (1..=3.min(rest.len())).find(|length| {
        let whole = rest[..*length].iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        says_wrote(&whole) && whole.chars().any(|c| c.is_ascii_digit() || c == '@')
    })
}

fn says_wrote(line: &str) -> bool {
    const VERBS: [&str; 9] = [
        "wrote",
        "schrieb",
        "écrit",
        "escribió",
        "ha scritto",
        "schreef",
        "skrev",
        "escreveu",
        "writes",
    ];
    let line = line.trim().to_lowercase();
    line.ends_with(':') && VERBS.iter().any(|verb| line.contains(verb))
}

/// Takes the words before a quote off the author's own.
fn drop_attribution(own: &mut Vec<&str>) {
    let last = own.iter().rposition(|line| !line.trim().is_empty());
    let Some(last) = last else { return };
    for length in 1..=3.min(last + 1) {
        let start = last + 1 - length;
        if attribution(&own[start..=last]) == Some(length) {
            own.truncate(start);
            return;
        }
    }
    if says_wrote(own[last]) {
        own.truncate(last);
    }
}

/// The mark before a signature, or a mailing list's footer.
fn is_signature(rest: &[&str]) -> bool {
    let list = |line: &&str| line.to_lowercase().contains("mailing list");
    rest[0].trim_end() == "--" || (is_rule(rest[0]) && rest.iter().skip(1).take(2).any(list))
}

/// Below a signature a quote or a mail may follow.
fn ends_signature(line: &str) -> bool {
    is_quote(line) || whole_mail_follows(&[line]).is_some() || attribution(&[line]).is_some()
}

/// How many lines a file takes that stands in the text in the manner of uuencode.
fn encoded_file(rest: &[&str]) -> Option<usize> {
    let mode = rest[0].strip_prefix("begin ")?.split(' ').next()?;
    let is_mode = mode.len() == 3 && mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let end = rest.iter().position(|line| line.trim_end() == "end")?;
    is_mode.then_some(end + 1)
}

/// The line that telephones put at the end.
fn drop_device_line(own: &mut Vec<&str>) {
    const STARTS: [&str; 4] =
        ["sent from my ", "von meinem ", "envoyé de mon ", "get outlook for "];
    let last = own.iter().rposition(|line| !line.trim().is_empty());
    if let Some(last) = last
        && STARTS.iter().any(|start| own[last].trim().to_lowercase().starts_with(start))
    {
        own.truncate(last);
    }
}

/// Lines as a text, with at most one empty line in a row and none around it.
fn tidied(lines: &[&str]) -> String {
    let mut text = String::new();
    let mut empty = 0;
    for line in lines {
        let line = line.trim_end();
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if !text.is_empty() {
            text.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        empty = 0;
        text.push_str(line);
    }
    text
}

#[cfg(test)]
mod tests;
