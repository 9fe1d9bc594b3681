//! The plugin interfaces, one file each. Functions here convert and ask the host; they decide nothing.

mod declassify;
mod documents;
mod host;
mod model;
mod panel;
mod settings;
mod storage;
mod types;
mod values;

use hearth_base::Handle;
use wasmtime::component::Resource;

use crate::context::handle;

fn handles<R: 'static>(resources: &[Resource<R>]) -> Vec<Handle> {
    resources.iter().map(handle).collect()
}
