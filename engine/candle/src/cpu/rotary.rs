//! Rotary positions of the rows of a pass.

use hearth_engine_kernels::{Rope, RopeLayout, Team, rope, train::rope_back};

use crate::models::{self, DecoderConfig};

/// Angles by row, for layers that see everything and for local ones where those differ.
pub struct Rotary {
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
    /// That of a model, with no rows yet.
    pub fn new(config: &DecoderConfig) -> Self {
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
    pub fn turn_to(&mut self, positions: &[u32]) {
        for Angles { frequencies, magnitude, rows } in
            [&mut self.global].into_iter().chain(&mut self.local)
        {
            rows.fill(frequencies, *magnitude, positions);
        }
    }

    /// Turns `x` `(rows, heads, head_dim)` in a layer that is local or is not.
    ///
    /// # Panics
    /// If there are not as many rows as positions in [`Rotary::turn_to`].
    pub fn apply(&self, team: &Team, x: &mut [f32], heads: usize, is_local: bool) {
        rope(team, x, heads, self.head_dim, self.rows(is_local), self.layout);
    }

    /// Makes the gradient of what [`Rotary::apply`] gave that of what it was given.
    ///
    /// # Panics
    /// As there.
    pub fn apply_back(&self, team: &Team, dx: &mut [f32], heads: usize, is_local: bool) {
        rope_back(team, dx, heads, self.head_dim, self.rows(is_local), self.layout);
    }

    fn rows(&self, is_local: bool) -> &Rope {
        &self.local.as_ref().filter(|_local| is_local).unwrap_or(&self.global).rows
    }
}
