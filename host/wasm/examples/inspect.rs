//! Says what a component is, as Hearth does before it runs any of it: `cargo run --example inspect FILE…`.
#![expect(clippy::print_stdout, reason = "an example")]

use std::{env, error::Error, fs, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    for file in env::args().skip(1) {
        let component = fs::read(&file)?;
        let since = Instant::now();
        match hearth_wasm::inspect(&component) {
            Ok(seen) => {
                let kind = if seen.sealed { "sealed" } else { "not sealed" };
                println!("{file}: {} ({kind}, {:?})", seen.manifest.id.as_str(), since.elapsed());
            }
            Err(error) => println!("{file}: {error} ({:?})", since.elapsed()),
        }
    }
    Ok(())
}
