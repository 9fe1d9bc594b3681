//! The pipe to the parent.

use std::io::{self, BufReader, BufWriter};

use hearth_base::{
    FrameError, FromRunner, HostCall, HostReply, MAX_FRAME_BYTES, ToRunner, read_frame, write_frame,
};

/// Both directions of the pipe.
pub(crate) struct Link {
    reader: BufReader<io::Stdin>,
    writer: BufWriter<io::Stdout>,
    broken: bool,
}

impl Link {
    pub(crate) fn over_stdio() -> Self {
        Self {
            reader: BufReader::new(io::stdin()),
            writer: BufWriter::new(io::stdout()),
            broken: false,
        }
    }

    pub(crate) fn receive(&mut self) -> Result<ToRunner, FrameError> {
        read_frame(&mut self.reader, MAX_FRAME_BYTES)
    }

    /// Sends, unless the pipe broke during a call: then the error comes back.
    pub(crate) fn send(&mut self, message: &FromRunner) -> Result<(), FrameError> {
        if self.broken {
            return Err(FrameError::Closed);
        }
        write_frame(&mut self.writer, message)
    }

    /// Asks the host and waits.
    pub(crate) fn ask(&mut self, call: HostCall) -> Result<HostReply, FrameError> {
        let reply = self.send(&FromRunner::Call(call)).and_then(|()| self.receive());
        match reply {
            Ok(ToRunner::Reply(reply)) => Ok(reply),
            Ok(_) => {
                self.broken = true;
                Err(FrameError::Malformed)
            }
            Err(error) => {
                self.broken = true;
                Err(error)
            }
        }
    }
}
