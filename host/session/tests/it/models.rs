//! How models are loaded.

use hearth_session::{Command, KvFormat, LoadOptions};

use crate::stage::Setting;

#[test]
fn how_models_are_loaded_is_checked_shown_and_kept() {
    let stage = Setting::default().open();
    assert_eq!(stage.view().models.load_options, LoadOptions::default());
    let options = LoadOptions {
        context_tokens: Some(2048),
        threads: Some(2),
        kv_bytes: Some(64 << 20),
        kv_format: KvFormat::Q8,
    };
    stage.run(Command::SetLoadOptions(options.clone())).unwrap();
    assert_eq!(stage.view().models.load_options, options);
    for wrong in [
        LoadOptions { context_tokens: Some(0), ..options.clone() },
        LoadOptions { threads: Some(0), ..options.clone() },
        LoadOptions { kv_bytes: Some(1), ..options.clone() },
    ] {
        let error = stage.run(Command::SetLoadOptions(wrong)).unwrap_err();
        assert!(!error.hint.is_empty(), "{error:?}");
    }
    assert_eq!(stage.view().models.load_options, options);
}
