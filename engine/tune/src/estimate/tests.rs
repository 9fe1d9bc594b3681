use super::*;
use crate::data::tests::piece;

fn pieces(count: usize, tokens: usize) -> Vec<Piece> {
    let ids: Vec<u32> = (0..=tokens as u32).collect();
    (0..count).map(|i| piece(i, &ids)).collect()
}

fn settings(budget: Budget) -> TuneSettings {
    TuneSettings {
        budget,
        sequence_tokens: 10,
        batch_tokens: 20,
        evaluations: 4,
        ..TuneSettings::default()
    }
}

const SPEED: Speed = Speed { train: 100.0, look: 300.0, optimizer_secs: 0.0, keep_secs: 0.0 };

#[test]
fn minutes_become_steps_at_the_measured_speed() {
    let (train, held_out) = (pieces(1000, 10), pieces(30, 10));
    let settings = settings(Budget::Minutes(2.0));
    let (plan, course) = settle((&train, &held_out), &settings, Some(&SPEED), 10.0);
    // Six looks of a second each, and steps of 20 tokens.
    assert_eq!(plan, Plan { steps: 520, evaluations: 4, held_out: 30 });
    let secs = secs(&plan, &course, (&train, &held_out), &settings, &SPEED);
    assert!((secs - 110.0).abs() < 0.5, "{secs}");
    assert!((epochs(&plan, &train, &settings) - 1.04).abs() < 1e-3);
}

#[test]
fn keeping_a_run_takes_its_time() {
    let (train, held_out) = (pieces(1000, 10), pieces(30, 10));
    let settings = TuneSettings { checkpoint_secs: 30.0, ..settings(Budget::Minutes(2.0)) };
    let speed = Speed { keep_secs: 2.0, ..SPEED };
    let (plan, course) = settle((&train, &held_out), &settings, Some(&speed), 10.0);
    // It is kept five times: at both ends and after 30, 60 and 90 seconds.
    assert_eq!(plan.steps, 470);
    let secs = secs(&plan, &course, (&train, &held_out), &settings, &speed);
    assert!((secs - 110.0).abs() < 0.5, "{secs}");
}

#[test]
fn a_last_step_that_is_not_full_takes_less() {
    let train = pieces(5, 10);
    let settings = TuneSettings { accumulation: 2, ..settings(Budget::Epochs(1.0)) };
    let (plan, course) = settle((&train, &[]), &settings, None, 0.0);
    assert_eq!(plan.steps, 2);
    let secs = secs(&plan, &course, (&train, &[]), &settings, &SPEED);
    assert!((secs - 0.5).abs() < 1e-9, "{secs}");
}

#[test]
fn looks_take_no_more_than_their_share_of_the_time() {
    let train = pieces(1000, 10);
    let settings = settings(Budget::Minutes(1.0));
    let plan = |count| settle((&train, &pieces(count, 10)), &settings, Some(&SPEED), 0.0).0;
    // Nine seconds; a look takes three, then thirty.
    let some = plan(90);
    assert_eq!((some.evaluations, some.held_out), (1, 90));
    let few = plan(900);
    assert_eq!((few.evaluations, few.held_out), (0, 135));
    assert_eq!(few.steps, some.steps);
}

#[test]
fn little_to_learn_is_not_read_for_ever() {
    let train = pieces(10, 10);
    let settings = settings(Budget::Minutes(60.0));
    let (plan, _) = settle((&train, &[]), &settings, Some(&SPEED), 0.0);
    assert_eq!(plan.steps, 5 * MAX_EPOCHS as u32);
}

#[test]
fn epochs_and_steps_need_no_speed() {
    let (train, held_out) = (pieces(10, 10), pieces(3, 10));
    let of = |budget| settle((&train, &held_out), &settings(budget), None, 0.0).0;
    assert_eq!(of(Budget::Epochs(2.5)), Plan { steps: 13, evaluations: 4, held_out: 3 });
    assert_eq!(of(Budget::Steps(7)).steps, 7);
}

#[test]
fn a_time_that_is_too_short_is_one_step() {
    let train = pieces(10, 10);
    let settings = settings(Budget::Minutes(0.001));
    let (plan, _) = settle((&train, &pieces(5, 10)), &settings, Some(&SPEED), 5.0);
    assert_eq!(plan, Plan { steps: 1, evaluations: 0, held_out: 1 });
}

#[test]
fn a_budget_of_time_that_is_settled_already_reads_as_long_as_its_plan_goes_on() {
    let train = pieces(10, 10);
    let settings = settings(Budget::Minutes(60.0));
    let (plan, mut first) = settle((&train, &[]), &settings, Some(&SPEED), 0.0);
    let (_, mut resumed) = settle((&train, &[]), &settings, None, 0.0);
    for step in 0..plan.steps {
        let read = first.next_step();
        assert!(!read.is_empty());
        assert_eq!(resumed.next_step(), read, "step {step}");
    }
}
