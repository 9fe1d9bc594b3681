//! The smallest model that can be trained: the logits of what follows a token are that token's column of `scale * B A`.

use super::*;

pub(super) const VOCAB: u32 = 8;

pub(super) struct Bigrams {
    config: DecoderConfig,
    adapter: Adapter,
}

impl Bigrams {
    pub(super) fn new(lora: &LoraSettings) -> Self {
        let vocab = VOCAB as usize;
        let config = DecoderConfig { layers: 1, ..DecoderConfig::llama(vocab, vocab, 1, 8, 8) };
        let adapter = Adapter::zeros(&config, lora).unwrap().random_a(1);
        Self { config, adapter }
    }

    /// What `A` makes of a token whose column counts `kept`, the probabilities of what follows, and the target's loss.
    fn predict(
        &self,
        id: u32,
        target: u32,
        (strength, kept): (f32, f32),
    ) -> (Vec<f32>, Vec<f32>, f32) {
        let pair = self.adapter.pair(0, Target::Q).unwrap();
        let scale = self.adapter.scale() * strength;
        let inner: Vec<f32> =
            (0..pair.rank()).map(|r| pair.a[r * pair.inputs() + id as usize] * kept).collect();
        let logits: Vec<f32> = pair
            .b
            .chunks(pair.rank())
            .map(|row| scale * row.iter().zip(&inner).map(|(b, u)| b * u).sum::<f32>())
            .collect();
        let most = logits.iter().copied().fold(f32::MIN, f32::max);
        let exps: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
        let sum: f32 = exps.iter().sum();
        let loss = sum.ln() + most - logits[target as usize];
        (inner, exps.iter().map(|exp| exp / sum).collect(), loss)
    }
}

impl Learner for Bigrams {
    fn config(&self) -> &DecoderConfig {
        &self.config
    }

    fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    fn adapter_mut(&mut self) -> &mut Adapter {
        &mut self.adapter
    }

    fn backward(
        &mut self,
        batch: &Batch,
        dropout: Option<Dropout>,
        gradients: &mut Adapter,
        breathe: Breathe<'_>,
    ) -> Result<f64, TuneError> {
        let mut loss = 0.0;
        let scale = self.adapter.scale();
        let mut factors = [1.0; VOCAB as usize];
        for row in 0..batch.ids.len() {
            if breathe().is_break() {
                return Err(TuneError::Cancelled);
            }
            let (id, target, weight) = (batch.ids[row], batch.targets[row], batch.weights[row]);
            if let Some(dropout) = dropout {
                dropout.factors(0, Target::Q, row, &mut factors);
            }
            let kept = factors[id as usize];
            let (inner, mut share, own) = self.predict(id, target, (1.0, kept));
            loss += f64::from(weight * own);
            share[target as usize] -= 1.0;
            let pair = self.adapter.pair(0, Target::Q).unwrap();
            let out = gradients.pair_mut(0, Target::Q).unwrap();
            for (o, share) in share.iter().enumerate() {
                for (r, inner) in inner.iter().enumerate() {
                    out.b[o * pair.rank() + r] += scale * weight * share * inner;
                    let a = pair.b[o * pair.rank() + r];
                    out.a[r * pair.inputs() + id as usize] += scale * weight * share * a * kept;
                }
            }
        }
        Ok(loss)
    }

    fn losses(
        &mut self,
        batch: &Batch,
        strength: f32,
        breathe: Breathe<'_>,
    ) -> Result<Vec<f32>, TuneError> {
        if breathe().is_break() {
            return Err(TuneError::Cancelled);
        }
        let learnt = (0..batch.ids.len()).filter(|row| batch.weights[*row] > 0.0);
        let loss = |row: usize| self.predict(batch.ids[row], batch.targets[row], (strength, 1.0)).2;
        Ok(learnt.map(loss).collect())
    }

    fn memory_bytes(&self, batch_tokens: usize, _recompute: bool) -> u64 {
        batch_tokens as u64
    }

    fn set_recompute(&mut self, _recompute: bool) {}
}
