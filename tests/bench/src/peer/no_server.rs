//! Where there are no Unix sockets, llama-server is left out: the bench opens no network port.

use std::path::Path;

use crate::{
    BenchError,
    jobs::{JobList, JobsTimed},
    model::ModelFile,
};

pub(crate) fn jobs(
    _program: &Path,
    _model: &ModelFile,
    _list: &JobList,
    _slots: usize,
    _threads: usize,
) -> Result<JobsTimed, BenchError> {
    Err(BenchError::Refused(
        "llama-server is measured on Unix alone; leave out --llama-server".into(),
    ))
}
