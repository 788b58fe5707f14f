//! A TCP line on loopback that fails as told: black holes, delays, half-open connections, resets.
//!
//! What is failed is the line, not the message: bytes are cut where they happen to be. Not here: which fault comes when
//! ([`flapping`](crate::flapping)).

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Carries what comes.
    Up,
    /// Cuts every connection, and takes no new one.
    Dropped,
    /// Carries everything so much later.
    Slow(Duration),
    /// Connections stand, and nothing gets through; they are cut when this ends.
    HalfOpen,
    /// Resets what stands once, and carries what comes after it.
    Reset,
}

/// A line to one address.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    line: watch::Sender<State>,
}

/// What the line does, and how often it has cut what stood: a connection that did not see a fault come and go is cut all the same.
#[derive(Debug, Clone, Copy)]
struct State {
    line: Line,
    cuts: u64,
}

impl FaultProxy {
    /// Listens on a free port, within a tokio runtime.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (line, watching) = watch::channel(State { line: Line::Up, cuts: 0 });
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let watching = watching.clone();
                let State { line, cuts } = *watching.borrow();
                tokio::spawn(async move {
                    if line == Line::Dropped {
                        return;
                    }
                    if let Ok(far) = TcpStream::connect(target).await {
                        carry(near, far, watching, cuts).await;
                    }
                });
            }
        });
        Ok(Self { address, line })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does.
    pub fn set(&self, line: Line) {
        self.line.send_modify(|state| {
            // What was sent into a half-open line is gone: its connections are of no use any more.
            let cuts = matches!(line, Line::Dropped | Line::Reset) || (state.line == Line::HalfOpen && line != Line::HalfOpen);
            *state = State { line, cuts: state.cuts + u64::from(cuts) };
        });
    }
}

/// Carries both directions until one of them ends, or the line has cut more often than when the connection came.
async fn carry(near: TcpStream, far: TcpStream, line: watch::Receiver<State>, cuts: u64) {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let cut = async {
        let mut line = line.clone();
        line.wait_for(|now| now.cuts != cuts).await.is_ok_and(|now| now.line == Line::Reset)
    };
    let (mut near, mut far) = (near, far);
    let reset = {
        let ((from_near, to_near), (from_far, to_far)) = (near.split(), far.split());
        let (up, down) = (pump(from_near, to_far, line.clone()), pump(from_far, to_near, line.clone()));
        tokio::select! {
            // Looked at first: nothing gets through a line once it was cut.
            biased;
            reset = cut => reset,
            _ = async { tokio::join!(up, down) } => false,
        }
    };
    if reset {
        // Closing then sends a reset, and throws away what is on the way.
        let _ = (near.set_zero_linger(), far.set_zero_linger());
    }
}

/// Carries one direction until it ends.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut line: watch::Receiver<State>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 {
            let _ = to.shutdown().await;
            return;
        }
        let now = line.borrow_and_update().line;
        match now {
            Line::Slow(late) => tokio::time::sleep(late).await,
            // Held until the line changes; the connection is cut then.
            Line::HalfOpen => {
                if line.wait_for(|now| now.line != Line::HalfOpen).await.is_err() {
                    return;
                }
            }
            Line::Up | Line::Dropped | Line::Reset => {}
        }
        let Some(bytes) = buffer.get(..read) else { return };
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    /// What comes back of a word within so many milliseconds; nothing when the connection ended.
    async fn say(stream: &mut TcpStream, within_ms: u64) -> Option<Option<String>> {
        if stream.write_all(b"hello").await.is_err() {
            return Some(None);
        }
        let mut buffer = [0; 5];
        match tokio::time::timeout(Duration::from_millis(within_ms), stream.read_exact(&mut buffer)).await {
            Ok(Ok(_)) => Some(Some(String::from_utf8_lossy(&buffer).into_owned())),
            Ok(Err(_)) => Some(None),
            Err(_) => None,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_line_does_as_it_is_told() {
        let proxy = FaultProxy::start(echo().await).await.unwrap();
        let heard = Some(Some("hello".to_owned()));
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, 5_000).await, heard);
        proxy.set(Line::Slow(Duration::from_secs(20)));
        assert_eq!(say(&mut stream, 100).await, None);
        proxy.set(Line::Up);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, 5_000).await, heard);
        proxy.set(Line::HalfOpen);
        assert_eq!(say(&mut stream, 300).await, None, "it stands, and nothing gets through");
        proxy.set(Line::Up);
        assert_eq!(say(&mut stream, 5_000).await, Some(None), "what was half open is cut");
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, 5_000).await, heard);
        proxy.set(Line::Reset);
        assert_eq!(say(&mut stream, 5_000).await, Some(None));
        proxy.set(Line::Dropped);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, 5_000).await, Some(None));
    }
}
