//! Memory for packed operands.

/// Where a line of the caches starts: no vector lies across two.
const ALIGN_BYTES: usize = 64;

/// Memory that grows to what is asked for and is kept.
#[derive(Default)]
pub(super) struct Buffer {
    memory: Vec<f32>,
}

impl Buffer {
    /// As many numbers, from the start of a cache line on. What they are is left from before.
    pub(super) fn of_len(&mut self, len: usize) -> &mut [f32] {
        let slack = ALIGN_BYTES / size_of::<f32>();
        if self.memory.len() < len + slack {
            // What is there need not be copied.
            self.memory = Vec::new();
            self.memory = vec![0.0; len + slack];
        }
        let start = self.memory.as_ptr().align_offset(ALIGN_BYTES).min(slack);
        &mut self.memory[start..start + len]
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("len", &self.memory.len()).finish()
    }
}
