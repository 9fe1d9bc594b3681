//! Tools that need no vault: their JSON is stable.

use std::{
    io::{self, BufRead},
    ops::ControlFlow,
    path::Path,
};

use hearth_app::inspection::{self, BenchOptions, SentenceEncoder, TextRole, Vocabulary};
use hearth_session::{ErrorKind, ImportState};

use crate::{
    args::ModelVerb,
    render::{Out, note},
    shell::{Failure, Outcome},
};

/// Longest line of JSON read from stdin.
const LINE_LIMIT_BYTES: usize = 64 << 20;
/// Texts embedded together: enough to find others of their length.
const EMBED_AT_ONCE: usize = 256;

/// `hearth import --check`: what would become of each message or file.
pub(crate) fn check(path: &Path, out: Out) -> Outcome {
    let mut failed = 0u64;
    let report = inspection::check(path, &mut |entry| {
        failed += u64::from(entry.state == ImportState::Failed);
        let state = match entry.state {
            ImportState::Done => "done",
            ImportState::Skipped => "skipped",
            ImportState::Failed => "failed",
        };
        let reason = entry.reason.as_deref().unwrap_or_default();
        let subject = entry.subject.as_deref().unwrap_or_default();
        let text =
            format!("{state:<8}{} #{} {subject}  {reason}", entry.path.display(), entry.index);
        out.result(entry, text.trim_end());
        ControlFlow::Continue(())
    })?;
    out.text(format!(
        "{} done, {} skipped, {} failed.",
        report.done, report.skipped, report.failed
    ));
    if failed > 0 {
        return Err(Failure::new(ErrorKind::Input, format!("{failed} would not be imported."), ""));
    }
    Ok(())
}

pub(crate) fn model(verb: ModelVerb, out: Out) -> Outcome {
    match verb {
        ModelVerb::Probe { file, ids, greedy, nll } => {
            let text = match nll {
                Some(path) => Some(std::fs::read_to_string(&path).map_err(|error| {
                    Failure::user(format!("{}: {error}.", path.display()), "It must be UTF-8 text.")
                })?),
                None => None,
            };
            let probe = inspection::probe(&file, &ids, greedy, text.as_deref())?;
            let top: Vec<String> =
                probe.top20.iter().map(|(id, logit)| format!("{id:>8}  {logit:.5}")).collect();
            let mut words = format!(
                "{}\nlogsumexp {:.5}\ngreedy {:?}",
                top.join("\n"),
                probe.logsumexp,
                probe.greedy_ids
            );
            if let Some(nll) = probe.nll {
                words.push_str(&format!("\nnll {nll:.5}"));
            }
            out.result(&probe, words);
        }
        ModelVerb::Tokenize { file } => return tokenize(&file, out),
        ModelVerb::Template { file, context, now } => {
            let rendering = inspection::template(&file, &context, now.as_deref())?;
            out.verbatim(&rendering);
        }
        ModelVerb::Embed { path, text, lines, role } => {
            return embed(&path, text, lines.as_deref(), role.into(), out);
        }
        ModelVerb::Bench { file, prompt, generate, repeat, threads, kv } => {
            let options = BenchOptions {
                prompt_tokens: prompt,
                generate_tokens: generate,
                repeat,
                threads,
                kv_format: kv.into(),
            };
            let bench = inspection::bench(&file, &options)?;
            let rates = |rates: &[f64]| {
                rates.iter().map(|r| format!("{r:.1}")).collect::<Vec<_>>().join(" ")
            };
            let words = format!(
                "prefill {} tok/s\ndecode {} tok/s\nload {:.2} s, first token {:.2} s, at most {} MiB",
                rates(&bench.prefill_tok_s),
                rates(&bench.decode_tok_s),
                bench.load_s,
                bench.first_token_s,
                bench.peak_rss_bytes >> 20
            );
            out.result(&bench, words);
        }
        _ => {}
    }
    Ok(())
}

/// A line for each text, in their order.
fn embed(
    path: &Path,
    mut texts: Vec<String>,
    lines: Option<&Path>,
    role: TextRole,
    out: Out,
) -> Outcome {
    if let Some(file) = lines {
        let content = std::fs::read_to_string(file).map_err(|error| {
            Failure::user(format!("{}: {error}.", file.display()), "It must be UTF-8 text.")
        })?;
        texts.extend(content.lines().map(str::to_owned));
    }
    let mut encoder = SentenceEncoder::open(path)?;
    for some in texts.chunks(EMBED_AT_ONCE) {
        for embedding in encoder.embed(some, role)? {
            out.json(embedding);
        }
    }
    Ok(())
}

/// A line of ids for each line of text. For one that cannot be read the line says why, so that lines in and out stay in
/// step.
fn tokenize(file: &Path, out: Out) -> Outcome {
    let vocabulary = Vocabulary::open(file)?;
    let mut stdin = io::stdin().lock();
    let (mut number, mut failed) = (0u64, 0u64);
    loop {
        let mut line = String::new();
        let limit = LINE_LIMIT_BYTES as u64 + 1;
        let read = io::Read::take(&mut stdin, limit).read_line(&mut line).map_err(|error| {
            Failure::user(format!("stdin cannot be read: {error}."), "Send UTF-8 lines of JSON.")
        })?;
        if read == 0 {
            break;
        }
        if read > LINE_LIMIT_BYTES {
            return Err(Failure::new(ErrorKind::Input, "A line is over 64 MiB.", "Split it."));
        }
        number += 1;
        if line.trim().is_empty() {
            continue;
        }
        match vocabulary.ids(&line) {
            Ok(ids) => out.json(ids),
            Err(error) => {
                failed += 1;
                note(&format!("line {number}: {}", error.message));
                out.json(serde_json::json!({"ids": null, "error": error.message}));
            }
        }
    }
    if failed > 0 {
        return Err(Failure::new(ErrorKind::Input, format!("{failed} lines failed."), ""));
    }
    Ok(())
}
