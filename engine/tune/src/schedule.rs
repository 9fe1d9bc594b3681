//! Step sizes over a run.

use std::f64::consts::PI;

use hearth_engine_api::TuneSettings;

/// The step size of step `step`, counted from 0, of `steps`: it rises in a straight line, then falls along half a cosine.
pub(crate) fn rate(settings: &TuneSettings, step: u32, steps: u32) -> f64 {
    let highest = f64::from(settings.learning_rate);
    // At least one step of a run that is to be warmed up; a share of 0.1 must not become 0.1000001.
    let warmup = (f64::from(settings.warmup_share) * f64::from(steps) - 1e-3).ceil().max(0.0);
    let done = f64::from(step);
    if done < warmup {
        return highest * (done + 1.0) / warmup;
    }
    let last = f64::from(settings.final_share);
    let way = (done - warmup) / (f64::from(steps) - warmup).max(1.0);
    highest * (last + (1.0 - last) * 0.5 * (1.0 + (PI * way.min(1.0)).cos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_and_falls() {
        let settings = TuneSettings {
            learning_rate: 1.0,
            warmup_share: 0.1,
            final_share: 0.2,
            ..TuneSettings::default()
        };
        let at = |step| rate(&settings, step, 100);
        assert!((at(0) - 0.1).abs() < 1e-6 && (at(9) - 1.0).abs() < 1e-6);
        assert!((at(10) - 1.0).abs() < 1e-6 && (at(55) - 0.6).abs() < 1e-6, "{}", at(55));
        assert!(at(99) < 0.201 && at(99) >= 0.2);
        assert!((10..99).all(|step| at(step + 1) < at(step)));
    }

    #[test]
    fn a_run_of_one_step_has_a_step_size() {
        let settings = TuneSettings { learning_rate: 0.5, ..TuneSettings::default() };
        assert_eq!(rate(&settings, 0, 1), 0.5);
        let none = TuneSettings { warmup_share: 0.0, ..settings };
        assert_eq!(rate(&none, 0, 1), 0.5);
    }
}
