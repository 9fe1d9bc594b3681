//! The way back.

use hearth_engine_api::Target;
use hearth_engine_candle::{cpu::Layer, lora::Adapter, models::Activation};
use hearth_engine_kernels::{
    Matrix, ShapeError, Team, rms_norm,
    train::{
        Attended, Qkv, QkvGradients, attention_back, geglu_tanh_back, rms_norm_back,
        rms_norm_heads_back, swiglu_back,
    },
};

use super::{
    low_rank::Passed,
    memory::{Dropped, Kept, Scratch, sized},
    pass::Pass,
    place_of,
};

/// The way back through one layer.
pub(super) struct WayBack<'p, 'a> {
    pass: &'p mut Pass<'a>,
    gradients: &'p mut Adapter,
    index: usize,
    layer: &'a Layer,
    /// Whether a layer below has an adapter.
    goes_on: bool,
}

impl<'p, 'a> WayBack<'p, 'a> {
    pub(super) fn new(
        pass: &'p mut Pass<'a>,
        gradients: &'p mut Adapter,
        index: usize,
        lowest: usize,
    ) -> Self {
        let layer = &pass.weights.layers[index];
        Self { pass, gradients, index, layer, goes_on: index > lowest }
    }

    /// Adds the gradients of the layer's adapters, and turns `scratch.dx` from the gradient of the layer's output to that
    /// of its input, unless nothing below has a use for it.
    pub(super) fn layer(
        &mut self,
        x: &[f32],
        kept: &Kept,
        scratch: &mut Scratch,
    ) -> Result<(), ShapeError> {
        self.feed_forward(x.len(), kept, scratch)?;
        if self.goes_on || self.adapted([Target::Q, Target::K, Target::V, Target::O]) {
            self.attend(x, kept, scratch)?;
        }
        Ok(())
    }

    fn adapted<const N: usize>(&self, targets: [Target; N]) -> bool {
        targets.iter().any(|target| self.pass.adapter.pair(self.index, *target).is_some())
    }

    fn feed_forward(
        &mut self,
        len: usize,
        kept: &Kept,
        scratch: &mut Scratch,
    ) -> Result<(), ShapeError> {
        let (layer, eps, team) = (self.layer, self.pass.eps(), self.pass.team);
        let rows = len / self.pass.config.hidden;
        let ffn_len = rows * self.pass.config.ffn;
        let to_normed = self.goes_on || self.adapted([Target::Q, Target::K, Target::V, Target::O]);
        let to_gated = to_normed || self.adapted([Target::Gate, Target::Up]);
        let Scratch {
            normed, dx, dout, dnormed, ffn: [dgate, dgated, dup], dreduced, dropped, ..
        } = scratch;
        let dx = sized(dx, len);
        let norm = layer.ffn_post_norm.as_deref();
        let dout = before_norm(team, norm.map(|norm| (norm, &kept.ffn_out[..len], eps)), dx, dout);
        let dgated = sized(dgated, ffn_len);
        if to_gated {
            self.frozen(&[(&layer.down.weight, dout)], dgated)?;
        }
        if self.adapted([Target::Down]) {
            // What goes into `down` lies where the gate's gradient comes to lie once it has been used.
            let gated = self.pass.gated(kept, rows, dgate);
            let beyond = to_gated.then_some(&mut *dgated);
            self.low_rank(Target::Down, kept, (gated, dout), (dreduced, dropped), beyond)?;
        }
        if !to_gated {
            return Ok(());
        }
        let (dgate, dup) = (sized(dgate, ffn_len), sized(dup, ffn_len));
        let (gate, up) = (&kept.gate[..ffn_len], &kept.up[..ffn_len]);
        match self.pass.config.activation {
            Activation::Silu => swiglu_back(team, gate, up, dgated, dgate, dup),
            Activation::GeluTanh => geglu_tanh_back(team, gate, up, dgated, dgate, dup),
        }
        let (normed, dnormed) = (sized(normed, len), sized(dnormed, len));
        let middle = &kept.middle[..len];
        if self.adapted([Target::Gate, Target::Up]) {
            rms_norm(team, middle, &layer.ffn_norm, eps, normed);
        }
        if to_normed {
            self.frozen(&[(&layer.gate, dgate), (&layer.up, dup)], dnormed)?;
        }
        for (target, dy) in [(Target::Gate, &*dgate), (Target::Up, &*dup)] {
            let beyond = to_normed.then_some(&mut *dnormed);
            self.low_rank(target, kept, (normed, dy), (dreduced, dropped), beyond)?;
        }
        if to_normed {
            rms_norm_back(team, middle, &layer.ffn_norm, eps, dnormed, dx);
        }
        Ok(())
    }

    fn attend(&mut self, x: &[f32], kept: &Kept, scratch: &mut Scratch) -> Result<(), ShapeError> {
        let (layer, eps, team) = (self.layer, self.pass.eps(), self.pass.team);
        let rows = x.len() / self.pass.config.hidden;
        let (wide, _) = self.pass.widths();
        let qkv_adapted = self.adapted([Target::Q, Target::K, Target::V]);
        let to_attended = self.goes_on || qkv_adapted;
        {
            let Scratch { dx, dout, dattended, dreduced, dropped, .. } = &mut *scratch;
            let dx = sized(dx, x.len());
            let norm = layer.attention_post_norm.as_deref();
            let norm = norm.map(|norm| (norm, &kept.attention_out[..x.len()], eps));
            let dout = before_norm(team, norm, dx, dout);
            let dattended = sized(dattended, rows * wide);
            if to_attended {
                self.frozen(&[(&layer.output.weight, dout)], dattended)?;
            }
            let attended = &kept.attended[..rows * wide];
            let beyond = to_attended.then_some(dattended);
            self.low_rank(Target::O, kept, (attended, dout), (dreduced, dropped), beyond)?;
        }
        if !to_attended {
            return Ok(());
        }
        self.queries_keys_values(rows, kept, scratch);
        self.projections(x, kept, scratch, qkv_adapted)
    }

    /// From the gradient of what attention gave to those of queries, keys and values as projected.
    fn queries_keys_values(&self, rows: usize, kept: &Kept, scratch: &mut Scratch) {
        let Self { pass, layer, .. } = self;
        let (team, config) = (pass.team, pass.config);
        let (wide, narrow) = pass.widths();
        let (wide, narrow) = (rows * wide, rows * narrow);
        let Scratch { q, k, dattended, dq, dk, dv, .. } = scratch;
        let (q, k) = (sized(q, wide), sized(k, narrow));
        pass.turn(layer, kept, q, k);
        let (dq, dk, dv) = (sized(dq, wide), sized(dk, narrow), sized(dv, narrow));
        attention_back(
            team,
            &pass.attention_config(layer),
            pass.samples,
            Qkv { q, k, v: &kept.v[..narrow] },
            Attended {
                out: &kept.attended[..wide],
                logsumexp: &kept.logsumexp[..rows * config.heads],
                dout: &dattended[..wide],
            },
            QkvGradients { dq, dk, dv },
        );
        let is_local = layer.window.is_some();
        pass.rotary.apply_back(team, dq, config.heads, is_local);
        pass.rotary.apply_back(team, dk, config.kv_heads, is_local);
        if let Some((q_norm, k_norm)) = &layer.head_norms {
            rms_norm_heads_back(team, &kept.q[..wide], q_norm, pass.eps(), dq);
            rms_norm_heads_back(team, &kept.k[..narrow], k_norm, pass.eps(), dk);
        }
    }

    /// From the gradients of queries, keys and values as projected to that of the layer's input.
    fn projections(
        &mut self,
        x: &[f32],
        kept: &Kept,
        scratch: &mut Scratch,
        adapted: bool,
    ) -> Result<(), ShapeError> {
        let (layer, eps, team) = (self.layer, self.pass.eps(), self.pass.team);
        let Scratch { normed, dx, dnormed, dq, dk, dv, dreduced, dropped, .. } = scratch;
        let rows = x.len() / self.pass.config.hidden;
        let (wide, narrow) = self.pass.widths();
        let (dq, dk, dv) = (&dq[..rows * wide], &dk[..rows * narrow], &dv[..rows * narrow]);
        let (normed, dnormed) = (sized(normed, x.len()), sized(dnormed, x.len()));
        if adapted {
            rms_norm(team, x, &layer.attention_norm, eps, normed);
        }
        if self.goes_on {
            let matrices = [&layer.q.weight, &layer.k.weight, &layer.v.weight];
            let [q, k, v] = matrices;
            self.frozen(&[(q, dq), (k, dk), (v, dv)], dnormed)?;
        }
        for (target, dy) in [(Target::Q, dq), (Target::K, dk), (Target::V, dv)] {
            let beyond = self.goes_on.then_some(&mut *dnormed);
            self.low_rank(target, kept, (normed, dy), (dreduced, dropped), beyond)?;
        }
        if self.goes_on {
            let dx = sized(dx, x.len());
            rms_norm_back(team, x, &layer.attention_norm, eps, dnormed, dx);
        }
        Ok(())
    }

    /// Overwrites `dx` by what frozen matrices make of gradients.
    fn frozen(
        &mut self,
        gradients: &[(&Matrix, &[f32])],
        dx: &mut [f32],
    ) -> Result<(), ShapeError> {
        self.pass.frozen.backward(self.pass.team, gradients, dx, false)
    }

    /// The gradients of the adapter beside a target, if there is one; adds what it says about its input to `dx`.
    fn low_rank(
        &mut self,
        target: Target,
        kept: &Kept,
        (x, dy): (&[f32], &[f32]),
        (dreduced, dropped): (&mut Vec<f32>, &mut Dropped),
        dx: Option<&mut [f32]>,
    ) -> Result<(), ShapeError> {
        let gradient = self.gradients.pair_mut(self.index, target);
        let (Some(low_rank), Some(gradient)) = (self.pass.beside(self.index, target), gradient)
        else {
            return Ok(());
        };
        let reduced = &kept.reduced[place_of(target)];
        low_rank.back(&Passed { x, reduced, dy }, gradient, (dreduced, dropped), dx)
    }
}

/// The gradient of what was normed before it was added to the stream, where it was; else `dx` itself.
fn before_norm<'a>(
    team: &Team,
    norm: Option<(&[f32], &[f32], f32)>,
    dx: &'a [f32],
    dout: &'a mut Vec<f32>,
) -> &'a [f32] {
    let Some((weight, x, eps)) = norm else { return dx };
    let dout = sized(dout, dx.len());
    dout.fill(0.0);
    rms_norm_back(team, x, weight, eps, dx, dout);
    dout
}
