//! The folder of test data that lies beside the repository, where there is one.

use std::path::{Path, PathBuf};

/// The data folder's `part`; says that `test` is skipped where it is absent.
pub(crate) fn test_data(test: &str, part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HEARTH_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = root.join(part);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED {test}: no test data at {}", path.display());
    None
}
