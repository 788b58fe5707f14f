//! Between the engine, which writes and reads files by name, and streams of bytes: a pipe, so that nothing readable is ever on
//! a disk and an index is not in memory twice while it is saved.

use std::{
    io::{self, Read, Write},
    os::fd::{AsRawFd, RawFd},
    thread,
};

use faiss::error::Error;

use crate::IndexError;

/// Name under which the engine opens an end of a pipe.
fn name(end: RawFd) -> String {
    format!("/proc/self/fd/{end}")
}

/// Hands what `write` writes to the file of a name on to a stream.
pub(crate) fn written<W: Write + Send>(to: &mut W, write: impl FnOnce(String) -> Result<(), Error>) -> Result<(), IndexError> {
    let (mut from, end) = io::pipe().map_err(IndexError::Io)?;
    thread::scope(|scope| {
        let copying = scope.spawn(move || io::copy(&mut from, to));
        let written = write(name(end.as_raw_fd()));
        // The engine has closed its own; this was the last, and the copy ends.
        drop(end);
        // A stream that failed is why the engine could not write.
        copying.join().map_err(|_| IndexError::Io(io::ErrorKind::Other.into()))?.map_err(IndexError::Io)?;
        written.map_err(IndexError::Engine)
    })
}

/// Lets `read` read a stream as the file of a name.
pub(crate) fn read<R: Read + Send, T>(from: &mut R, read: impl FnOnce(String) -> Result<T, Error>) -> Result<T, IndexError> {
    let (end, mut to) = io::pipe().map_err(IndexError::Io)?;
    thread::scope(|scope| {
        let copying = scope.spawn(move || io::copy(from, &mut to));
        let done = read(name(end.as_raw_fd()));
        // What the engine did not want has nowhere to go, and the copy ends.
        drop(end);
        let copied = copying.join().map_err(|_| IndexError::Io(io::ErrorKind::Other.into()))?;
        match (done, copied) {
            (Ok(done), Ok(_)) => Ok(done),
            (Ok(_), Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(IndexError::Saved { field: "engine", expected: "nothing behind it" })
            }
            (_, Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(IndexError::Io(error)),
            (Err(error), _) => Err(IndexError::Engine(error)),
            (Ok(_), Err(error)) => Err(IndexError::Io(error)),
        }
    })
}
