//! Answers that repeat what was said: tokens guessed ahead beside plain decoding.

use super::{Bench, Outcome};
use crate::{
    BenchError,
    figures::Better,
    model::ModelFile,
    report::{Cell, Table},
    subject::{self, Replays},
    texts,
};

const RATE: &str = "tok/s";
const PLAIN: &str = "plain";
const GUESSED: &str = "guessed";

pub(super) fn table(bench: &mut Bench<'_>, models: &[ModelFile]) -> Result<Table, BenchError> {
    let mut table = Table::new(
        "Copying: fixed answers replayed, plain and with tokens guessed from what was said",
        &[
            "model",
            "answer",
            "tokens",
            "plain tok/s best",
            "guessed best",
            "guessed/plain best",
            "by median",
            "tokens a pass",
            "guessed right",
        ],
    );
    for model in models {
        for name in texts::names() {
            let mut outcome = Outcome::default();
            let mut last = None;
            for round in 0..bench.plan.rounds {
                let replays = subject::replay(model, name, round % 2 == 1, bench.plan.threads)?;
                for (side, replay) in [(PLAIN, replays.plain), (GUESSED, replays.guessed)] {
                    let side = format!("{side}, {name}");
                    bench.tell(round, model, &side, &[(RATE, Better::More, replay.rate())]);
                    outcome.of(&side, RATE, Better::More).push(replay.rate());
                }
                last = Some(replays);
            }
            if let Some(replays) = last {
                table.rows.push(row(model, name, &outcome, &replays));
            }
            outcome.keep(model, &mut table);
        }
    }
    table.notes.push(
        "tokens a pass: of the answer, for each pass over the weights; reading the prompt is not counted".into(),
    );
    Ok(table)
}

fn row(model: &ModelFile, name: &str, outcome: &Outcome, replays: &Replays) -> Vec<Cell> {
    let (plain, guessed) = (format!("{PLAIN}, {name}"), format!("{GUESSED}, {name}"));
    // As times better than the plain side is "ours" the guessed one.
    let [best_plain, _, best, median] = outcome.cells_of(&plain, &guessed, RATE, 1);
    let [best_guessed, ..] = outcome.cells_of(&guessed, &guessed, RATE, 1);
    let right = f64::from(replays.guessed.accepted_tokens)
        / f64::from(replays.guessed.drafted_tokens.max(1));
    vec![
        model.name.as_str().into(),
        name.into(),
        Cell::Number(f64::from(replays.guessed.answer_tokens), 0),
        best_plain,
        best_guessed,
        best,
        median,
        Cell::Number(replays.guessed.tokens_per_pass, 2),
        Cell::Number(right, 2),
    ]
}
