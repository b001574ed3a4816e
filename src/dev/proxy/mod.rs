//! A TCP proxy in front of a server that knows a commit when one passes, and holds it until it is told what becomes of
//! it: how a test loses or delays the one answer that matters.
//!
//! Kafka's `EndTxn` and Postgres' `COMMIT` are found by their framing; every other byte passes as it came. Plain
//! connections only.

mod kafka;
mod postgres;

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What the server behind a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Kafka's: a length before each request and answer.
    Kafka,
    /// Postgres' 3.0: a kind and a length before each message.
    Postgres,
}

/// Which half of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Leg {
    /// From the client: held, the server has not heard of it.
    Request,
    /// From the server: held, the commit has happened and the client does not know.
    Answer,
}

/// One message on its way. `commit` says whose commit it is, where it is one.
struct Message {
    bytes: Vec<u8>,
    commit: Option<String>,
}

/// One direction of a connection, cut into messages.
trait Messages: Send {
    /// The next message; `None` at the end.
    fn next(&mut self, from: &mut dyn Read) -> io::Result<Option<Message>>;
}

/// A running proxy. Ends with its connections when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    protocol: Protocol,
    upstream: AtomicU16,
    ended: AtomicBool,
    trap: Mutex<Option<(Leg, Sender<Caught>)>>,
    /// Both sides of each connection, to be shut at the end.
    open: Mutex<Vec<TcpStream>>,
}

/// A trap that catches the next commit.
#[derive(Debug)]
pub struct Trap(Receiver<Caught>);

/// A held commit. Dropped without a word it is cut.
#[derive(Debug)]
pub struct Caught {
    /// Whose: the transactional id; `postgres` for SQL.
    pub whose: String,
    verdict: Sender<Verdict>,
}

#[derive(Debug)]
enum Verdict {
    Pass,
    Cut,
}

impl Proxy {
    /// A proxy on a port of its own; connections are refused until [`Self::set_upstream`].
    ///
    /// # Errors
    /// If no port can be had or no thread started.
    pub fn start(protocol: Protocol) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            protocol,
            upstream: AtomicU16::new(0),
            ended: AtomicBool::new(false),
            trap: Mutex::default(),
            open: Mutex::default(),
        });
        let theirs = Arc::clone(&shared);
        let acceptor = thread::Builder::new().name("proxy".to_owned()).spawn(move || accept(&listener, &theirs))?;
        Ok(Self { port, shared, acceptor: Some(acceptor) })
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the server listens, on loopback.
    pub fn set_upstream(&self, port: u16) {
        self.shared.upstream.store(port, Ordering::SeqCst);
    }

    /// Catches the next commit that passes. Replaces an earlier trap that has caught nothing.
    pub fn trap(&self, leg: Leg) -> Trap {
        let (sender, receiver) = channel();
        *lock(&self.shared.trap) = Some((leg, sender));
        Trap(receiver)
    }

    /// Ends every connection that passes now; clients may come again.
    pub fn cut_all(&self) {
        for stream in lock(&self.shared.open).drain(..) {
            // What is shut already need not be shut again.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.cut_all();
    }
}

impl Trap {
    /// Waits for a commit.
    pub fn wait(&self, limit: Duration) -> Option<Caught> {
        self.0.recv_timeout(limit).ok()
    }
}

impl Caught {
    /// Lets it go on its way.
    pub fn pass(self) {
        // The connection may have ended meanwhile.
        let _ = self.verdict.send(Verdict::Pass);
    }

    /// Loses it, and the connection with it.
    pub fn cut(self) {
        let _ = self.verdict.send(Verdict::Cut);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        let shared = Arc::clone(shared);
        // A connection that cannot be served is closed, as a server without resources would.
        let _ = thread::Builder::new().name("proxy-connection".to_owned()).spawn(move || serve(client, &shared));
    }
}

/// Carries one connection until either side ends it.
fn serve(mut client: TcpStream, shared: &Arc<Shared>) {
    let upstream = (Ipv4Addr::LOCALHOST, shared.upstream.load(Ordering::SeqCst));
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let greeted = match shared.protocol {
        Protocol::Kafka => Ok(()),
        Protocol::Postgres => postgres::greet(&mut client, &server),
    };
    let (Ok(()), Ok(client_too), Ok(server_too)) = (greeted, client.try_clone(), server.try_clone()) else { return };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
        let mut open = lock(&shared.open);
        // Ended connections are forgotten now and then.
        if open.len() % 64 == 63 {
            open.retain(|stream| stream.peer_addr().is_ok());
        }
        open.extend(stream.try_clone());
    }
    let (requests, answers): (Box<dyn Messages>, Box<dyn Messages>) = match shared.protocol {
        Protocol::Kafka => kafka::directions(),
        Protocol::Postgres => postgres::directions(),
    };
    let theirs = Arc::clone(shared);
    let back = thread::Builder::new()
        .name("proxy-answers".to_owned())
        .spawn(move || carry(server_too, client_too, answers, Leg::Answer, &theirs));
    if back.is_ok() {
        carry(client, server, requests, Leg::Request, shared);
    }
}

/// Carries one direction, and shuts both when it ends.
fn carry(from: TcpStream, to: TcpStream, mut messages: Box<dyn Messages>, leg: Leg, shared: &Shared) {
    let mut source = BufReader::with_capacity(64 << 10, &from);
    let mut target = BufWriter::with_capacity(64 << 10, &to);
    while let Ok(Some(message)) = messages.next(&mut source) {
        if let Some(whose) = message.commit
            && let Some(Verdict::Cut) = ask(shared, leg, whose, &mut target)
        {
            break;
        }
        let written = target.write_all(&message.bytes);
        let written = if source.buffer().is_empty() { written.and_then(|()| target.flush()) } else { written };
        if written.is_err() {
            break;
        }
    }
    // Not flushed: what was held back dies with the connection.
    let (_, _lost) = target.into_parts();
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// What becomes of a commit; `None` if no trap waits for it.
fn ask(shared: &Shared, leg: Leg, whose: String, target: &mut BufWriter<&TcpStream>) -> Option<Verdict> {
    let (_, sender) = {
        let mut trap = lock(&shared.trap);
        trap.take_if(|(wanted, _)| *wanted == leg)?
    };
    // What came before the commit must not wait for it.
    let _ = target.flush();
    let (verdict, decided) = channel();
    // Nobody waits any more: it passes.
    sender.send(Caught { whose, verdict }).ok()?;
    Some(decided.recv().unwrap_or(Verdict::Cut))
}

/// Reads exactly `length` more bytes onto `bytes`.
fn read_more(from: &mut dyn Read, bytes: &mut Vec<u8>, length: usize) -> io::Result<()> {
    let start = bytes.len();
    bytes.resize(start + length, 0);
    from.read_exact(&mut bytes[start..])
}

/// Reads `N` bytes; `None` if there are none left.
fn read_start<const N: usize>(from: &mut dyn Read) -> io::Result<Option<[u8; N]>> {
    let mut start = [0; N];
    match from.read_exact(&mut start) {
        Ok(()) => Ok(Some(start)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
