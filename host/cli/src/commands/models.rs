//! `hearth model list`, `add`, `remove`, `use`, `settings`, `inspect`.

use hearth_session::{
    Command, Event, KvFormat, LoadOptions, MemoryEstimate, ModelId, ModelInfo, Reply,
};
use serde_json::json;

use crate::{
    args::{Auto, ModelVerb, Secrecy},
    render::Out,
    shell::{Failure, Opener, Outcome, Shell},
};

pub(crate) fn run(verb: ModelVerb, opener: &Opener, out: Out) -> Outcome {
    match verb {
        ModelVerb::Inspect { path } => {
            let shell = opener.locked()?;
            if let Reply::ModelInspection(info, memory) = shell.run(Command::InspectModel(path))? {
                let json = json!({
                    "model": info,
                    "memory": memory,
                    "memory_bytes": memory.total_bytes(),
                });
                out.result(json, inspection_words(&info, &memory));
            }
        }
        ModelVerb::List => list(&opener.unlocked()?, out),
        ModelVerb::Add { path, public } => {
            let shell = opener.unlocked()?;
            if let Reply::Model(id) = shell.run(Command::AddModel(path))? {
                if public {
                    shell.run(Command::MarkModel { model: id, public })?;
                }
                out.result(
                    json!({"added": id, "public": public}),
                    format!("Added as model {id}. `hearth model use {id}` makes it answer."),
                );
            }
        }
        ModelVerb::Mark { id, what } => {
            let shell = opener.unlocked()?;
            known(&shell, id)?;
            let public = what == Secrecy::Public;
            shell.run(Command::MarkModel { model: ModelId(id), public })?;
            let words = if public { "public" } else { "private" };
            out.result(
                json!({"marked": id, "public": public}),
                format!("The weights of model {id} count as {words} from now on."),
            );
        }
        ModelVerb::Remove { id } => {
            let shell = opener.unlocked()?;
            known(&shell, id)?;
            shell.run(Command::RemoveModel(ModelId(id)))?;
            out.result(json!({"removed": id}), format!("Forgot model {id}; its file stays."));
        }
        ModelVerb::Settings { context, kv_memory, kv, threads } => {
            let shell = opener.unlocked()?;
            let mut options = shell.view().models.load_options.clone();
            let before = options.clone();
            if let Some(Auto(context)) = context {
                options.context_tokens = context;
            }
            if let Some(Auto(mib)) = kv_memory {
                options.kv_bytes = mib.map(|mib| u64::from(mib) << 20);
            }
            if let Some(kv) = kv {
                options.kv_format = kv.into();
            }
            if let Some(Auto(threads)) = threads {
                options.threads = threads;
            }
            if options != before {
                shell.run(Command::SetLoadOptions(options.clone()))?;
            }
            out.result(json!({"load_options": options}), settings_words(&options));
        }
        ModelVerb::Use { model } => choose(&opener.unlocked()?, &model, out)?,
        _ => {}
    }
    Ok(())
}

fn list(shell: &Shell, out: Out) {
    let view = shell.view();
    for model in &view.models.models {
        let id = model.id.map_or_else(|| "starter".to_owned(), |id| id.to_string());
        let mark = if model.is_default { "*" } else { " " };
        let private = if model.public { "" } else { "  (private)" };
        let gone = match model.sources_gone {
            0 => String::new(),
            gone => format!("  (learnt from {gone} sources that were deleted)"),
        };
        let missing = if model.present { "" } else { "  (file is missing)" };
        out.result(
            json!({
                "id": model.id, "name": model.name, "path": model.path,
                "default": model.is_default, "present": model.present, "public": model.public,
                "sources_gone": model.sources_gone,
            }),
            format!(
                "{mark} {id:>7}  {}  {}{private}{missing}{gone}",
                model.name,
                model.path.display()
            ),
        );
    }
    if view.models.models.is_empty() {
        out.text("No model yet. Add one with `hearth model add PATH`.");
    }
}

/// A model by its number; the bundled one is `starter`.
pub(crate) fn model_id(shell: &Shell, model: &str) -> Result<Option<ModelId>, Failure> {
    if model == "starter" {
        return Ok(None);
    }
    let id = model.parse().map_err(|_not_a_number| {
        Failure::user(
            format!("`{model}` is not a model's number."),
            "Numbers are shown by `hearth model list`; the bundled one is `starter`.",
        )
    })?;
    known(shell, id)?;
    Ok(Some(ModelId(id)))
}

fn choose(shell: &Shell, model: &str, out: Out) -> Outcome {
    let id = model_id(shell, model)?;
    let bar = out.bar("Loading");
    let reply = shell.run_with(Command::LoadModel(id), &mut |event| {
        if let Event::LoadProgress { share, .. } = event {
            bar.set_position(per_mille(*share));
        }
    });
    bar.finish_and_clear();
    if let Reply::Loaded(info) = reply? {
        out.result(json!({"loaded": info}), format!("{} answers from now on.", info.name));
    }
    Ok(())
}

fn known(shell: &Shell, id: i64) -> Outcome {
    let there = shell.view().models.models.iter().any(|model| model.id == Some(ModelId(id)));
    if there {
        Ok(())
    } else {
        Err(Failure::user(format!("There is no model {id}."), "See `hearth model list`."))
    }
}

fn settings_words(options: &LoadOptions) -> String {
    let or_auto = |value: Option<String>| value.unwrap_or_else(|| "auto".into());
    let kv = match options.kv_format {
        KvFormat::F32 => "f32",
        KvFormat::F16 => "f16",
        KvFormat::Q8 => "q8",
    };
    format!(
        "context {}; memory for keys and values {}, held as {kv}; threads {}; holds for models loaded from now on",
        or_auto(options.context_tokens.map(|tokens| format!("{tokens} tokens"))),
        or_auto(options.kv_bytes.map(|bytes| format!("{} MiB", bytes >> 20))),
        or_auto(options.threads.map(|threads| threads.to_string())),
    )
}

fn inspection_words(info: &ModelInfo, memory: &MemoryEstimate) -> String {
    format!(
        "{}: {}, {} weights as {}, vocabulary {}, context {} tokens, {} MiB on disk\nabout {} MiB of memory: \
         {} weights, {} cache of a full context, {} work{}",
        info.name,
        info.architecture,
        info.parameters,
        info.weight_format,
        info.vocabulary,
        info.context_tokens,
        info.file_bytes >> 20,
        memory.total_bytes() >> 20,
        memory.weights_bytes >> 20,
        memory.kv_cache_bytes >> 20,
        memory.work_bytes >> 20,
        if info.has_chat_template { "" } else { "\nit brings no chat template" },
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of 0 to 1 on a bar of 1000 steps"
)]
fn per_mille(share: f32) -> u64 {
    (share.clamp(0.0, 1.0) * 1000.0) as u64
}
