//! A job for other machines: examples as tokens, the steps that read them, settings, and a program that runs it all with
//! Hugging Face's peft, alone or under `torchrun`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
};

use hearth_engine_api::{AdapterError, Budget, TuneError, TuneJob, TuneSettings};
use hearth_engine_candle::lora::write_peft;
use serde::Serialize;
use serde_json::json;

use crate::{data::Piece, estimate::settle};

const PROGRAM: &str = include_str!("export/finetune.py");
/// What a budget of time comes to where nobody knows how fast the machine is.
const EPOCHS: f32 = 3.0;

/// Writes the job with these pieces and settings to `folder`, which is made where it is not there.
///
/// # Errors
/// [`AdapterError::Io`] as [`TuneError::Adapter`].
pub(crate) fn write(
    job: &TuneJob,
    settings: &TuneSettings,
    (train, held_out): (&[Piece], &[Piece]),
    base_name: &str,
    folder: &Path,
) -> Result<(), TuneError> {
    let budget = match settings.budget {
        Budget::Minutes(_) => Budget::Epochs(EPOCHS),
        other => other,
    };
    let settings = TuneSettings { budget, ..settings.clone() };
    let (plan, mut course) = settle((train, held_out), &settings, None, 0.0);
    let steps =
        (0..plan.steps).map(|_| course.next_step().into_iter().flatten().collect::<Vec<_>>());
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let file = |name: &str| folder.join(name);
    write_lines(&file("train.jsonl"), train.iter().map(Written::of))?;
    write_lines(&file("held_out.jsonl"), held_out.iter().map(Written::of))?;
    write_lines(&file("steps.jsonl"), steps)?;
    write_lines(&file("settings.json"), [json!(settings)])?;
    write_text(&file("finetune.py"), PROGRAM)?;
    write_text(&file("README.md"), &readme(base_name))?;
    if let Some(initial) = &job.initial {
        write_peft(initial, &folder.join("initial"))?;
    }
    Ok(())
}

fn readme(base_name: &str) -> String {
    format!(
        "# A fine-tuning job\n\nThe examples in this folder are private and not encrypted: delete it when the adapter \
         is made.\n\n    pip install torch transformers peft\n    python finetune.py --base MODEL\n    torchrun \
         --nproc-per-node 8 finetune.py --base MODEL\n\n`MODEL` is \"{base_name}\" in Hugging Face's form. The adapter is \
         written to `adapter/`; import it from there.\n"
    )
}

/// A piece as the program reads it.
#[derive(Serialize)]
struct Written<'a> {
    ids: &'a [u32],
    /// Whether each id but the first is learnt.
    learnt: Vec<u8>,
}

impl<'a> Written<'a> {
    fn of(piece: &'a Piece) -> Self {
        let (ids, learnt) = piece.parts();
        Self { ids, learnt: learnt.iter().map(|learnt| u8::from(*learnt)).collect() }
    }
}

fn write_lines<T: Serialize>(
    path: &Path,
    lines: impl IntoIterator<Item = T>,
) -> Result<(), TuneError> {
    let write = || {
        let mut file = BufWriter::new(create(path)?);
        for line in lines {
            serde_json::to_writer(&mut file, &line)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    };
    write().map_err(|source| failed(path, source))
}

fn write_text(path: &Path, text: &str) -> Result<(), TuneError> {
    create(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| failed(path, source))
}

/// A new file that on Unix its owner alone may read.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn failed(path: &Path, source: io::Error) -> TuneError {
    AdapterError::Io { path: path.into(), source }.into()
}
