//! Pipes that block, each with a thread of its own.

use std::{
    io::{self, BufReader, BufWriter, Read, Write},
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    thread,
};

use hearth_base::{FrameError, FromRunner, ToRunner, read_frame, write_frame};

use super::{MAX_FRAME_BYTES, PipeError, Wait};

/// Both directions.
pub(crate) struct Pipe {
    to: SyncSender<ToRunner>,
    from: Receiver<Result<FromRunner, FrameError>>,
}

impl Pipe {
    pub(crate) fn new(
        to: impl Write + Send + 'static,
        from: impl Read + Send + 'static,
    ) -> io::Result<Self> {
        Ok(Self { to: writer(to)?, from: reader(from)? })
    }

    pub(crate) fn send(&mut self, message: ToRunner, _wait: &Wait<'_>) -> Result<(), PipeError> {
        // A message only ever follows an answer to the one before, so there is room, unless the runner speaks again and
        // again without listening.
        match self.to.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(PipeError::OutOfTurn),
            Err(TrySendError::Disconnected(_)) => Err(FrameError::Closed.into()),
        }
    }

    pub(crate) fn receive(&mut self, wait: &Wait<'_>) -> Result<FromRunner, PipeError> {
        loop {
            match self.from.recv_timeout(wait.nap()?) {
                Ok(frame) => return Ok(frame?),
                Err(RecvTimeoutError::Disconnected) => return Err(FrameError::Closed.into()),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

fn writer(pipe: impl Write + Send + 'static) -> io::Result<SyncSender<ToRunner>> {
    // One being written and one behind it: an answer may come before the thread here has taken up what it answers.
    let (send, messages) = mpsc::sync_channel::<ToRunner>(2);
    thread::Builder::new().name("to plugin runner".into()).spawn(move || {
        let mut pipe = BufWriter::new(pipe);
        for message in messages {
            // A broken pipe shows at the reading end.
            if write_frame(&mut pipe, &message).is_err() {
                return;
            }
        }
    })?;
    Ok(send)
}

/// At most one frame ahead of who takes them.
fn reader(
    pipe: impl Read + Send + 'static,
) -> io::Result<Receiver<Result<FromRunner, FrameError>>> {
    let (send, frames) = mpsc::sync_channel(1);
    thread::Builder::new().name("from plugin runner".into()).spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            let frame = read_frame::<FromRunner>(&mut pipe, MAX_FRAME_BYTES);
            let last = frame.is_err();
            if send.send(frame).is_err() || last {
                return;
            }
        }
    })?;
    Ok(frames)
}
