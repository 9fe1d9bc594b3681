//! Frames on the pipe between host and runner: a little-endian `u32` length, then a postcard-encoded message.
//!
//! Both sides treat the other as hostile: a length over [`MAX_FRAME_BYTES`] is refused before anything is allocated.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Confinement, GuestFailure, HostCall, HostReply, Invocation};

/// Longest frame either way. The largest is a compiled artefact on its way to the runner.
pub const MAX_FRAME_BYTES: u32 = 256 << 20;

/// Host to runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToRunner {
    /// A compiled artefact whose MAC the host has checked. Once in the life of a runner.
    Load(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Call an export of the loaded component in a fresh instance.
    Invoke(Invocation),
    /// The answer to the runner's last call.
    Reply(HostReply),
}

/// Runner to host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromRunner {
    /// The artefact is loaded.
    Loaded,
    /// The guest asks something and waits for [`ToRunner::Reply`].
    Call(HostCall),
    /// The export has returned.
    Done {
        /// What the guest says.
        result: Result<(), GuestFailure>,
        /// Fuel burnt: deterministic.
        fuel: u64,
        /// Hash of the guest's memory at the end, for tests of non-interference.
        memory_hash: [u8; 32],
    },
    /// The load or the call ended abnormally.
    Fault(RunFault),
    /// The first frame, sent before anything is read: what holds this process.
    Ready(Confinement),
}

/// An abnormal end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum RunFault {
    /// All fuel is burnt.
    #[error("the plugin used up its computing budget")]
    OutOfFuel,
    /// The watchdog struck.
    #[error("the plugin ran too long")]
    TimedOut,
    /// Memory, table or handle limit.
    #[error("the plugin went over a limit: {0}")]
    Limit(String),
    /// Any other trap: unreachable, stack overflow, forged handle.
    #[error("the plugin crashed: {0}")]
    Trap(String),
    /// The artefact does not load.
    #[error("the compiled plugin does not load: {0}")]
    BadArtefact(String),
    /// The component lacks an export or imports something unknown.
    #[error("the plugin does not fit the interface: {0}")]
    Link(String),
}

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The pipe broke, or ended in the middle of a frame.
    #[error("the connection to the other process broke")]
    Io(#[from] io::Error),
    /// The other side is gone.
    #[error("the other process has ended")]
    Closed,
    /// A frame over the limit.
    #[error("a frame of {got_bytes} bytes is over the limit of {limit_bytes}")]
    TooLong {
        /// Announced length.
        got_bytes: u64,
        /// Longest allowed.
        limit_bytes: u32,
    },
    /// Bytes that are no message.
    #[error("a frame that is not a message")]
    Malformed,
}

/// Writes one message and flushes.
///
/// # Errors
/// [`FrameError`]; nothing is written where the message is too long.
pub fn write_frame<T: Serialize>(to: &mut impl Write, message: &T) -> Result<(), FrameError> {
    let bytes = postcard::to_stdvec(message).map_err(|_not_encodable| FrameError::Malformed)?;
    let length = u32::try_from(bytes.len()).ok().filter(|n| *n <= MAX_FRAME_BYTES).ok_or(
        FrameError::TooLong { got_bytes: bytes.len() as u64, limit_bytes: MAX_FRAME_BYTES },
    )?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&bytes)?;
    to.flush()?;
    Ok(())
}

/// Reads one message of at most `limit_bytes`.
///
/// # Errors
/// [`FrameError`]; `Closed` where the other side ended between frames.
pub fn read_frame<T: DeserializeOwned>(
    from: &mut impl Read,
    limit_bytes: u32,
) -> Result<T, FrameError> {
    let mut length = [0u8; 4];
    match from.read(&mut length)? {
        0 => return Err(FrameError::Closed),
        n => from.read_exact(&mut length[n..])?,
    }
    let length = u32::from_le_bytes(length);
    let limit_bytes = limit_bytes.min(MAX_FRAME_BYTES);
    if length > limit_bytes {
        return Err(FrameError::TooLong { got_bytes: length.into(), limit_bytes });
    }
    // Grows as bytes arrive, so that a lying length costs the liar its own bytes.
    let mut bytes = Vec::new();
    from.take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() != length as usize {
        return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    match postcard::take_from_bytes(&bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Handle};

    #[test]
    fn messages_survive_the_pipe() {
        let mut pipe = Vec::new();
        let call = FromRunner::Call(HostCall::TextConcat(vec![Handle(3), Handle(9)]));
        write_frame(&mut pipe, &call).unwrap();
        let reply = ToRunner::Reply(Ok(Answer::Handle(Handle(10))));
        write_frame(&mut pipe, &reply).unwrap();
        let mut reader = pipe.as_slice();
        assert_eq!(read_frame::<FromRunner>(&mut reader, 1024).unwrap(), call);
        assert_eq!(read_frame::<ToRunner>(&mut reader, 1024).unwrap(), reply);
        assert!(matches!(read_frame::<ToRunner>(&mut reader, 1024), Err(FrameError::Closed)));
    }

    #[test]
    fn lies_about_the_length_are_refused() {
        let mut huge = u32::MAX.to_le_bytes().as_slice().to_vec();
        huge.extend([0; 8]);
        assert!(matches!(
            read_frame::<FromRunner>(&mut huge.as_slice(), MAX_FRAME_BYTES),
            Err(FrameError::TooLong { .. })
        ));
        let mut short = 100u32.to_le_bytes().to_vec();
        short.extend([0; 8]);
        assert!(matches!(
            read_frame::<FromRunner>(&mut short.as_slice(), 1024),
            Err(FrameError::Io(_))
        ));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
            read_frame::<FromRunner>(&mut bytes.as_slice(), 1 << 16).ok();
            read_frame::<ToRunner>(&mut bytes.as_slice(), 1 << 16).ok();
        }
    }
}
