//! Rotary positions of the rows of a pass.

use hearth_engine_kernels::{Rope, RopeLayout, Team, rope};

use crate::models::{self, DecoderConfig};

/// Angles by row, for layers that see everything and for local ones where those differ.
pub(super) struct Rotary {
    global: Angles,
    local: Option<Angles>,
    layout: RopeLayout,
    head_dim: usize,
}

struct Angles {
    /// Radians a position.
    frequencies: Vec<f64>,
    magnitude: f32,
    rows: Rope,
}

impl Angles {
    fn new(rope: &models::Rope) -> Self {
        Self {
            frequencies: rope.frequencies().into(),
            magnitude: rope.magnitude() as f32,
            rows: Rope::default(),
        }
    }
}

impl Rotary {
    pub(super) fn new(config: &DecoderConfig) -> Self {
        let local = config.local_rope_theta.is_some() && config.sliding_window.is_some();
        Self {
            global: Angles::new(&models::Rope::new(config)),
            local: local.then(|| Angles::new(&models::Rope::local(config))),
            layout: match config.rope_layout {
                models::RopeLayout::HalfSplit => RopeLayout::HalfSplit,
                models::RopeLayout::Interleaved => RopeLayout::Interleaved,
            },
            head_dim: config.head_dim,
        }
    }

    /// Reckons the angles of rows at these positions.
    pub(super) fn turn_to(&mut self, positions: &[u32]) {
        for Angles { frequencies, magnitude, rows } in
            [&mut self.global].into_iter().chain(&mut self.local)
        {
            rows.fill(frequencies, *magnitude, positions);
        }
    }

    /// Turns `x` `(rows, heads, head_dim)` in a layer that is local or is not.
    pub(super) fn apply(&self, team: &Team, x: &mut [f32], heads: usize, is_local: bool) {
        let angles = self.local.as_ref().filter(|_local| is_local).unwrap_or(&self.global);
        rope(team, x, heads, self.head_dim, &angles.rows, self.layout);
    }
}
