//! A stream that hands out no more bytes than one answer may have.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left of the allowance of the present answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// Starts an answer of at most `bytes`.
    pub fn renew(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// The reading side of a connection.
#[derive(Debug)]
pub(super) struct Limited {
    stream: TcpStream,
    left: Allowance,
}

impl Limited {
    pub fn new(stream: TcpStream, left: Allowance) -> Self {
        Self { stream, left }
    }
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.0.load(Ordering::Relaxed);
        if left == 0 && !buffer.is_empty() {
            let message = "the answer is larger than allowed (--max-answer); ask for less at once";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let most = buffer.len().min(left);
        let read = self.stream.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left.0.store(left - read, Ordering::Relaxed);
        Ok(read)
    }
}
