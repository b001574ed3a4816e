//! A real Hive metastore 3.1.3 with its notification log in an embedded Derby, on loopback, for tests.
//!
//! Its own main class listens on all interfaces and cannot be told otherwise, so a few lines of Java, run from their
//! source, put the same handler behind a socket on loopback. The jars are what it loads and no more, each pinned.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::child::{Guarded, Launch};
use super::maven::{self, Artifact};
use super::ports::Ports;
use super::{DevError, kafka};

const START_LIMIT: Duration = Duration::from_secs(180);
const PROGRAM: &str = include_str!("metastore/Metastore.java");
/// One jar a line: group, artifact and version, and the SHA-256.
const JARS: &str = include_str!("metastore/jars.txt");
/// The cache's folder; another list of jars needs another one.
const JARS_FOLDER: &str = "hive-metastore-3.1.3-c";
const LOGGING: &str = "rootLogger.level=WARN\nappender.console.type=Console\nappender.console.name=STDERR\n\
                       appender.console.target=SYSTEM_ERR\nappender.console.layout.type=PatternLayout\n\
                       appender.console.layout.pattern=%d %p %c: %m%n\nrootLogger.appenderRef.root.ref=STDERR\n";

/// How a metastore runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetastoreOptions {
    /// Messages behind their lengths.
    pub framed: bool,
    /// How long events stay in the notification log, in seconds; it is cleaned each second.
    pub seconds_to_live: u32,
}

impl Default for MetastoreOptions {
    fn default() -> Self {
        Self { framed: false, seconds_to_live: 86_400 }
    }
}

/// A running metastore.
#[derive(Debug)]
pub struct MetastoreServer {
    ports: Ports<1>,
    folder: PathBuf,
    jars: PathBuf,
    child: Guarded,
}

impl MetastoreServer {
    /// Starts a metastore with its data in `folder`; jars are kept in `cache`.
    ///
    /// # Errors
    /// Names what is missing on the machine, or shows the end of the server's log.
    pub fn start(folder: &Path, cache: &Path, options: MetastoreOptions) -> Result<Self, DevError> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(|e| DevError::io("find", path, e));
        let (folder, cache) = (absolute(folder)?, absolute(cache)?);
        for made in [&folder, &cache] {
            fs::create_dir_all(made).map_err(|e| DevError::io("create", made, e))?;
        }
        kafka::java()?;
        let jars = jars(&cache)?;
        let ports = Ports::pick(&folder.join("ports"))?;
        for (name, text) in [("Metastore.java", PROGRAM), ("log4j2.properties", LOGGING)] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|e| DevError::io("write", &path, e))?;
        }
        let child = launch(&folder, &jars, &ports, options)?;
        let mut server = Self { ports, folder, jars, child };
        server.wait_ready()?;
        Ok(server)
    }

    /// `thrift://host:port` for clients.
    pub fn address(&self) -> String {
        format!("thrift://127.0.0.1:{}", self.ports.numbers()[0])
    }

    /// Stops it cleanly.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn stop(&mut self) -> Result<(), DevError> {
        self.child.stop().map_err(|e| DevError::io("stop", &self.folder, e))
    }

    /// Starts it again, on the same port with the same data, after it has ended.
    ///
    /// # Errors
    /// As [`MetastoreServer::start`].
    pub fn restart(&mut self, options: MetastoreOptions) -> Result<(), DevError> {
        self.child = launch(&self.folder, &self.jars, &self.ports, options)?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<(), DevError> {
        let [port] = self.ports.numbers();
        self.child
            .wait_ready(START_LIMIT, &mut |_| TcpStream::connect(("127.0.0.1", port)).is_ok())
            .map_err(|message| DevError::NotReady { server: "hive metastore", message })
    }
}

/// The folder with the jars, each of which is what it was when it was pinned.
fn jars(cache: &Path) -> Result<PathBuf, DevError> {
    let pinned: Vec<(Artifact<'_>, &str)> = JARS.lines().filter_map(pinned).collect();
    let artifacts: Vec<Artifact<'_>> = pinned.iter().map(|(artifact, _)| *artifact).collect();
    let folder = maven::fetch(cache, JARS_FOLDER, &artifacts)?;
    for (artifact, sha256) in pinned {
        let file = folder.join(format!("{}-{}.jar", artifact.name, artifact.version));
        let bytes = fs::read(&file).map_err(|e| DevError::io("read", &file, e))?;
        let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if found != sha256 {
            return Err(DevError::Checksum { file, pinned: sha256.to_owned(), found });
        }
    }
    Ok(folder)
}

fn pinned(line: &str) -> Option<(Artifact<'_>, &str)> {
    let (coordinates, sha256) = line.split_once(' ')?;
    let mut parts = coordinates.split(':');
    let (group, name, version) = (parts.next()?, parts.next()?, parts.next()?);
    Some((Artifact { group, name, version, alone: true }, sha256))
}

fn launch(folder: &Path, jars: &Path, ports: &Ports<1>, options: MetastoreOptions) -> Result<Guarded, DevError> {
    let mut args: Vec<String> = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(str::to_owned).to_vec();
    // Hive of that age looks into classes of the platform.
    for package in ["java.lang", "java.util", "java.net", "java.util.concurrent", "java.nio", "java.util.regex"] {
        args.extend(["--add-opens".to_owned(), format!("java.base/{package}=ALL-UNNAMED")]);
    }
    args.push(format!("-Dlog4j.configurationFile={}", folder.join("log4j2.properties").display()));
    args.extend(["-cp".to_owned(), format!("{}/*", jars.display())]);
    args.push(folder.join("Metastore.java").display().to_string());
    let [port] = ports.numbers();
    args.extend([port.to_string(), folder.display().to_string()]);
    args.push(if options.framed { "framed" } else { "buffered" }.to_owned());
    args.push(options.seconds_to_live.to_string());
    let program = Path::new("java");
    let launch = Launch { name: "hive-metastore", program, args, stop_signal: "TERM", folder, user: None };
    Guarded::start(&launch).map_err(|e| DevError::io("start a metastore in", folder, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_jar_is_pinned() {
        let lines = JARS.lines().count();
        assert_eq!(JARS.lines().filter_map(pinned).filter(|(_, sha256)| sha256.len() == 64).count(), lines);
        assert!(lines > 20);
    }
}
