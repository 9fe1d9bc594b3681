//! Loads a model and streams an answer.
//!
//! `cargo run --release -p hearth-examples --bin ask_model -- MODEL.gguf "Who are you?"`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, io::Write};

use hearth_engine_api::{
    ChatMessage, Engine, GenerateEvent, GenerateRequest, LoadOptions, Prompt, Role,
};
use hearth_engine_candle::CandleBackend;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or_else(|| "engine/starter/hearth-starter.gguf".into());
    let question = args.next().unwrap_or_else(|| "Who are you?".into());

    let engine = Engine::start(CandleBackend)?;
    let (progress, _shares) = tokio::sync::mpsc::channel(16);
    let cancel = std::sync::Arc::default();
    let info = engine.load(path.into(), LoadOptions::default(), progress, cancel).await?;
    println!("{}: {} parameters, {}", info.name, info.parameters, info.weight_format);

    let prompt = Prompt::Chat(vec![ChatMessage::new(Role::User, question)]);
    let mut answer = engine.generate(GenerateRequest::new(prompt))?;
    while let Some(event) = answer.next().await {
        if let GenerateEvent::Text(text) = event {
            print!("{text}");
            std::io::stdout().flush()?;
        }
    }
    let usage = answer.finish().await?.usage;
    let rate = f64::from(usage.generated_tokens) / usage.decode_secs;
    println!("\n({} tokens, {rate:.0} a second)", usage.generated_tokens);
    Ok(())
}
