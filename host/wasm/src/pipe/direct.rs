//! Pipes that do not block: whoever waits for them does it here, with `poll`.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::fd::AsFd,
    time::Duration,
};

use hearth_base::{FrameError, FromRunner, ToRunner, read_frame, write_frame};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{MAX_FRAME_BYTES, PipeError, Wait};

const LENGTH_BYTES: usize = 4;
/// What a frame mostly fits in.
const CHUNK_BYTES: usize = 4 << 10;

/// Both directions.
pub(crate) struct Pipe<W, R> {
    to: W,
    from: R,
    /// What was read of the next frame; empty when it is our turn.
    got: Vec<u8>,
}

impl<W: Write + AsFd, R: Read + AsFd> Pipe<W, R> {
    pub(crate) fn new(to: W, from: R) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&to, true)?;
        rustix::io::ioctl_fionbio(&from, true)?;
        Ok(Self { to, from, got: Vec::new() })
    }

    pub(crate) fn send(&mut self, message: ToRunner, wait: &Wait<'_>) -> Result<(), PipeError> {
        let mut frame = Vec::new();
        write_frame(&mut frame, &message)?;
        drop(message);
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            match self.to.write(rest) {
                Ok(0) => return Err(FrameError::Closed.into()),
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.await_room(wait)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    return Err(FrameError::Closed.into());
                }
                Err(error) => return Err(FrameError::Io(error).into()),
            }
        }
        Ok(())
    }

    pub(crate) fn receive(&mut self, wait: &Wait<'_>) -> Result<FromRunner, PipeError> {
        loop {
            if let Some(frame) = self.whole_frame()? {
                return Ok(frame);
            }
            let mut chunk = [0; CHUNK_BYTES];
            match self.from.read(&mut chunk) {
                Ok(0) if self.got.is_empty() => return Err(FrameError::Closed.into()),
                Ok(0) => {
                    return Err(FrameError::Io(ErrorKind::UnexpectedEof.into()).into());
                }
                Ok(n) => self.got.extend_from_slice(chunk.get(..n).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
                    sleep(&mut fds, wait.nap()?)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(FrameError::Io(error).into()),
            }
        }
    }

    /// The frame, once all of it is there.
    fn whole_frame(&mut self) -> Result<Option<FromRunner>, PipeError> {
        let Some(length) = self.got.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length);
        if length > MAX_FRAME_BYTES {
            let got_bytes = length.into();
            return Err(FrameError::TooLong { got_bytes, limit_bytes: MAX_FRAME_BYTES }.into());
        }
        let whole = LENGTH_BYTES + length as usize;
        if self.got.len() < whole {
            return Ok(None);
        }
        if self.got.len() > whole {
            return Err(PipeError::OutOfTurn);
        }
        let frame = read_frame(&mut self.got.as_slice(), MAX_FRAME_BYTES)?;
        self.got.clear();
        Ok(Some(frame))
    }

    /// Waits for room to write. A runner that speaks meanwhile does so out of turn.
    fn await_room(&mut self, wait: &Wait<'_>) -> Result<(), PipeError> {
        let mut fds =
            [PollFd::new(&self.to, PollFlags::OUT), PollFd::new(&self.from, PollFlags::IN)];
        sleep(&mut fds, wait.nap()?)?;
        let [_, speaks] = fds;
        if speaks.revents().contains(PollFlags::IN) { Err(PipeError::OutOfTurn) } else { Ok(()) }
    }
}

fn sleep(fds: &mut [PollFd<'_>], nap: Duration) -> Result<(), PipeError> {
    let nap = Timespec { tv_sec: 0, tv_nsec: nap.subsec_nanos().into() };
    match poll(fds, Some(&nap)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(FrameError::Io(error.into()).into()),
    }
}
