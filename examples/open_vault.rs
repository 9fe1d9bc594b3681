//! Makes a vault, imports a folder into it, searches, locks and opens it again.
//!
//! `cargo run -p hearth-examples --bin open_vault -- examples/demo "choir"`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, ops::ControlFlow, path::Path};

use hearth_vault::{DocumentQuery, ImportState, Passphrase, VaultDir};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap_or_else(|| "examples/demo".into());
    let words = args.next().unwrap_or_else(|| "choir".into());

    let throwaway = tempfile::tempdir()?;
    let dir = VaultDir::new(throwaway.path().join("vault"));
    let passphrase = Passphrase::new("an example, not a secret".into());
    let vault = dir.create(&passphrase)?;

    let report = vault.import(Path::new(&folder), None, &mut |progress| {
        if progress.entry.state == ImportState::Failed {
            println!("failed: {}", progress.entry.path.display());
        }
        ControlFlow::Continue(())
    })?;
    println!("{} imported, {} skipped, {} failed", report.done, report.skipped, report.failed);
    vault.lock();

    let vault = dir.unlock(&passphrase)?;
    let query = DocumentQuery { text: words, limit: 5, ..DocumentQuery::default() };
    let page = vault.documents(&query)?;
    println!("{} found; the first:", page.total);
    for head in page.heads {
        println!("  {} ({})", head.title, head.author);
    }
    Ok(())
}
