//! Requests over connections that stay open, as many at a time as there are connections: the load of a busy client that
//! costs this process little. Knows the answers of our own servers, which say their length.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

/// What a round of requests came to.
pub(super) struct Round {
    /// From the first request to the last answer.
    pub(super) wall: Duration,
    /// Of each request, sorted.
    pub(super) took: Vec<Duration>,
}

impl Round {
    pub(super) fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.wall.as_secs_f64()
    }
}

/// Sends requests over so many connections, from one thread.
///
/// # Errors
/// A connection fails, or an answer is not 200.
pub(super) fn send(address: SocketAddr, connections: usize, requests: Vec<String>) -> anyhow::Result<Round> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = Arc::new((requests, AtomicUsize::new(0)));
    let mut took = Vec::new();
    let started = Instant::now();
    runtime.block_on(async {
        let mut workers = JoinSet::new();
        (0..connections).for_each(|_| drop(workers.spawn(worker(address, Arc::clone(&work)))));
        while let Some(done) = workers.join_next().await {
            took.extend(done??);
        }
        anyhow::Ok(())
    })?;
    let wall = started.elapsed();
    took.sort_unstable();
    Ok(Round { wall, took })
}

/// The requests, and the number of the next one.
type Work = Arc<(Vec<String>, AtomicUsize)>;

async fn worker(address: SocketAddr, work: Work) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut took, mut answer) = (Vec::new(), Vec::with_capacity(16 << 10));
    let (requests, next) = &*work;
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let clock = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let outcome = read_answer(&mut stream, &mut answer).await;
        outcome.with_context(|| request.lines().next().unwrap_or_default().to_owned())?;
        took.push(clock.elapsed());
    }
    Ok(took)
}

async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<()> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(anyhow!("the server has closed the connection"));
        }
        if answer.len() > MAX_ANSWER {
            return Err(anyhow!("the answer is larger than {MAX_ANSWER} bytes"));
        }
        let Some(head_end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(answer.get(..head_end).unwrap_or_default()).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let length = length.ok_or_else(|| anyhow!("an answer without its length: {head}"))?;
        let whole = head_end + 4 + length;
        if answer.len() < whole {
            continue;
        }
        if !head.starts_with("HTTP/1.1 200") {
            let body = String::from_utf8_lossy(answer.get(head_end + 4..whole).unwrap_or_default()).into_owned();
            return Err(anyhow!("{}: {body}", head.lines().next().unwrap_or_default()));
        }
        return Ok(());
    }
}
