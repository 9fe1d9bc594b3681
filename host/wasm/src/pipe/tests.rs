use std::{
    io::{self, PipeReader, PipeWriter, Read, Write},
    sync::atomic::AtomicBool,
    thread,
    time::Duration,
};

use hearth_base::{
    Answer, FrameError, FromRunner, Handle, HostCall, ToRunner, read_frame, write_frame,
};

use super::{Clock, MAX_FRAME_BYTES, PipeError, Wait, threads};

static NEVER: AtomicBool = AtomicBool::new(false);
static AT_ONCE: AtomicBool = AtomicBool::new(true);
const MINUTE: Duration = Duration::from_secs(60);

/// Either kind of pipe.
trait Both {
    fn send(&mut self, message: ToRunner, wait: &Wait<'_>) -> Result<(), PipeError>;
    fn receive(&mut self, wait: &Wait<'_>) -> Result<FromRunner, PipeError>;
}

impl Both for threads::Pipe {
    fn send(&mut self, message: ToRunner, wait: &Wait<'_>) -> Result<(), PipeError> {
        self.send(message, wait)
    }
    fn receive(&mut self, wait: &Wait<'_>) -> Result<FromRunner, PipeError> {
        self.receive(wait)
    }
}

#[cfg(unix)]
impl Both for super::direct::Pipe<PipeWriter, PipeReader> {
    fn send(&mut self, message: ToRunner, wait: &Wait<'_>) -> Result<(), PipeError> {
        self.send(message, wait)
    }
    fn receive(&mut self, wait: &Wait<'_>) -> Result<FromRunner, PipeError> {
        self.receive(wait)
    }
}

/// Plays each kind against a runner's two ends.
fn with_each(play: impl Fn(&mut dyn Both, PipeReader, PipeWriter)) {
    let (hears, to) = io::pipe().unwrap();
    let (from, speaks) = io::pipe().unwrap();
    play(&mut threads::Pipe::new(to, from).unwrap(), hears, speaks);
    #[cfg(unix)]
    {
        let (hears, to) = io::pipe().unwrap();
        let (from, speaks) = io::pipe().unwrap();
        play(&mut super::direct::Pipe::new(to, from).unwrap(), hears, speaks);
    }
}

fn call() -> FromRunner {
    FromRunner::Call(HostCall::TextConcat(vec![Handle(1), Handle(70_000)]))
}

fn reply(length: usize) -> ToRunner {
    ToRunner::Reply(Ok(Answer::Text("x".repeat(length))))
}

#[test]
fn messages_of_any_length_go_both_ways() {
    with_each(|pipe, mut hears, mut speaks| {
        let runner = thread::spawn(move || {
            for length in [0, 5, 5000, 3 << 20] {
                write_frame(&mut speaks, &call()).unwrap();
                assert_eq!(read_frame::<ToRunner>(&mut hears, u32::MAX).unwrap(), reply(length));
            }
            write_frame(&mut speaks, &FromRunner::Call(HostCall::SettingGet("x".repeat(1 << 20))))
                .unwrap();
        });
        let mut clock = Clock::new(MINUTE);
        for length in [0, 5, 5000, 3 << 20] {
            assert_eq!(pipe.receive(&Wait::begin(&mut clock, &NEVER)).unwrap(), call());
            pipe.send(reply(length), &Wait::begin(&mut clock, &NEVER)).unwrap();
        }
        assert!(matches!(
            pipe.receive(&Wait::begin(&mut clock, &NEVER)).unwrap(),
            FromRunner::Call(HostCall::SettingGet(key)) if key.len() == 1 << 20
        ));
        runner.join().unwrap();
        let end = pipe.receive(&Wait::begin(&mut clock, &NEVER));
        assert!(matches!(end, Err(PipeError::Frame(FrameError::Closed))), "{end:?}");
    });
}

#[test]
fn frames_may_come_byte_by_byte() {
    with_each(|pipe, _hears, mut speaks| {
        let runner = thread::spawn(move || {
            let mut frame = Vec::new();
            write_frame(&mut frame, &call()).unwrap();
            for byte in frame {
                speaks.write_all(&[byte]).unwrap();
                thread::yield_now();
            }
        });
        let mut clock = Clock::new(MINUTE);
        assert_eq!(pipe.receive(&Wait::begin(&mut clock, &NEVER)).unwrap(), call());
        runner.join().unwrap();
    });
}

#[test]
fn waiting_ends_by_the_clock_or_by_the_caller() {
    with_each(|pipe, _hears, _speaks| {
        let mut clock = Clock::new(Duration::from_millis(30));
        let late = pipe.receive(&Wait::begin(&mut clock, &NEVER));
        assert!(matches!(late, Err(PipeError::TimedOut)), "{late:?}");
        assert!(clock.left.is_zero());
        let mut clock = Clock::new(MINUTE);
        let stopped = pipe.receive(&Wait::begin(&mut clock, &AT_ONCE));
        assert!(matches!(stopped, Err(PipeError::Cancelled)), "{stopped:?}");
    });
}

#[test]
fn lies_are_told_apart() {
    let long = (MAX_FRAME_BYTES + 1).to_le_bytes();
    let fits = |bytes: Vec<u8>, right: fn(&PipeError) -> bool| {
        with_each(|pipe, _hears, mut speaks| {
            speaks.write_all(&bytes).unwrap();
            drop(speaks);
            let mut clock = Clock::new(MINUTE);
            let error = pipe.receive(&Wait::begin(&mut clock, &NEVER)).unwrap_err();
            assert!(right(&error), "{bytes:?}: {error:?}");
        });
    };
    fits(long.to_vec(), |e| matches!(e, PipeError::Frame(FrameError::TooLong { .. })));
    fits(vec![1, 0, 0, 0, 99], |e| matches!(e, PipeError::Frame(FrameError::Malformed)));
    fits(vec![2, 0, 0, 0, 0, 0], |e| matches!(e, PipeError::Frame(FrameError::Malformed)));
    fits(vec![9, 0, 0, 0, 0], |e| matches!(e, PipeError::Frame(FrameError::Io(_))));
    fits(vec![9, 0], |e| matches!(e, PipeError::Frame(FrameError::Io(_))));
    fits(vec![], |e| matches!(e, PipeError::Frame(FrameError::Closed)));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_end_in_a_frame_or_an_error(bytes in proptest::collection::vec(0u8..40, 0..200), length in 0u32..220) {
        let framed = [length.to_le_bytes().as_slice(), &bytes].concat();
        with_each(|pipe, _hears, mut speaks| {
            speaks.write_all(&framed).unwrap();
            drop(speaks);
            let mut clock = Clock::new(MINUTE);
            pipe.receive(&Wait::begin(&mut clock, &NEVER)).ok();
        });
    }
}

#[cfg(unix)]
#[test]
fn who_speaks_out_of_turn_is_not_listened_to() {
    let new = || {
        let (hears, to) = io::pipe().unwrap();
        let (from, speaks) = io::pipe().unwrap();
        (super::direct::Pipe::new(to, from).unwrap(), hears, speaks)
    };
    let mut clock = Clock::new(MINUTE);
    let (mut pipe, _hears, mut speaks) = new();
    write_frame(&mut speaks, &call()).unwrap();
    write_frame(&mut speaks, &call()).unwrap();
    let twice = pipe.receive(&Wait::begin(&mut clock, &NEVER));
    assert!(matches!(twice, Err(PipeError::OutOfTurn)), "{twice:?}");

    // Speaks while an answer that nobody reads fills the pipe.
    let (mut pipe, mut hears, mut speaks) = new();
    write_frame(&mut speaks, &call()).unwrap();
    let full = pipe.send(reply(1 << 20), &Wait::begin(&mut clock, &NEVER));
    assert!(matches!(full, Err(PipeError::OutOfTurn)), "{full:?}");
    // One that reads nothing and says nothing is ended by the clock.
    let (mut pipe, _hears_not, _silent) = new();
    let mut short = Clock::new(Duration::from_millis(30));
    let full = pipe.send(reply(1 << 20), &Wait::begin(&mut short, &NEVER));
    assert!(matches!(full, Err(PipeError::TimedOut)), "{full:?}");
    let mut byte = [0];
    assert_eq!(hears.read(&mut byte).unwrap(), 1);
}
