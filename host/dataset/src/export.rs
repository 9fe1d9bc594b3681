//! A job for another machine: examples, settings, and a program that trains with Hugging Face's `peft`, alone or under
//! `torchrun`. What it writes is imported like any other adapter.
//!
//! The files are plain text. Nothing is written here; whoever asks for them to be written has been told so.

use std::fmt;

use hearth_engine_api::TuneSettings;

use crate::{DatasetError, KeptExamples, jsonl};

/// A file of a job.
#[derive(Clone, PartialEq, Eq)]
pub struct ExportFile {
    /// Its name, without a path.
    pub name: &'static str,
    /// What is in it.
    pub text: String,
}

impl fmt::Debug for ExportFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportFile")
            .field("name", &self.name)
            .field("bytes", &self.text.len())
            .finish()
    }
}

/// Makes the files of a job: `train.jsonl`, `held_out.jsonl`, `config.json`, `finetune.py` and `README.md`.
///
/// # Errors
/// [`DatasetError::Damaged`] where settings hold a number that JSON does not have.
pub fn job(
    examples: &KeptExamples,
    settings: &TuneSettings,
    base_name: &str,
) -> Result<Vec<ExportFile>, DatasetError> {
    let config = serde_json::json!({ "format": 1, "base": base_name, "settings": settings });
    let config = serde_json::to_string_pretty(&config).map_err(|_json| DatasetError::Damaged)?;
    let readme = format!(
        "# A fine-tuning job\n\nThese examples are private and no longer encrypted: delete the folder when the adapter \
         is made.\n\n    pip install torch transformers peft\n    python finetune.py --base <model>\n    torchrun \
         --nproc-per-node 8 finetune.py --base <model>\n\n`<model>` is the Hugging Face form of \"{base_name}\", for \
         which the adapter is meant. The adapter is written to `adapter/`; import it from there.\n"
    );
    Ok(vec![
        ExportFile { name: "train.jsonl", text: jsonl::write(&examples.train) },
        ExportFile { name: "held_out.jsonl", text: jsonl::write(&examples.held_out) },
        ExportFile { name: "config.json", text: config },
        ExportFile { name: "finetune.py", text: include_str!("export/finetune.py").to_owned() },
        ExportFile { name: "README.md", text: readme },
    ])
}

#[cfg(test)]
mod tests {
    use hearth_engine_api::Example;

    use super::*;

    #[test]
    fn a_job_has_all_that_the_program_reads() {
        let settings = TuneSettings::default();
        let examples =
            KeptExamples { train: vec![Example::Text("a\u{2028}b".into())], held_out: vec![] };
        let files = job(&examples, &settings, "Tiny").unwrap();
        let text = |name: &str| files.iter().find(|file| file.name == name).unwrap().text.as_str();
        assert!(jsonl::parse(text("train.jsonl")).unwrap() == examples.train);
        assert_eq!(text("held_out.jsonl"), "");
        let config: serde_json::Value = serde_json::from_str(text("config.json")).unwrap();
        let back: TuneSettings = serde_json::from_value(config["settings"].clone()).unwrap();
        assert_eq!(back, settings);
        // Every setting that the program looks up is there under that name.
        let program = text("finetune.py");
        for part in program.split("settings[\"").skip(1).chain(program.split("lora[\"").skip(1)) {
            let key = part.split('"').next().unwrap();
            let known = &config["settings"];
            assert!(
                !known[key].is_null() || !known["lora"][key].is_null() || key == "recompute",
                "{key}"
            );
        }
        assert!(text("README.md").contains("Tiny"));
    }
}
