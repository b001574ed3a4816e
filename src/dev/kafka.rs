//! A single Kafka node in KRaft mode, with transactions, on loopback.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::DevError;
use super::child::{Guarded, Launch};
use super::maven::{self, Artifact};
use super::ports::Ports;

const VERSION: &str = "4.1.0";
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running Kafka.
#[derive(Debug)]
pub struct KafkaServer {
    /// For clients and for the controller.
    ports: Ports<2>,
    /// Port of the listener that tells its clients to come by a proxy.
    proxied: Option<Ports<1>>,
    folder: PathBuf,
    jars: PathBuf,
    child: Guarded,
}

impl KafkaServer {
    /// Starts Kafka with its data in `folder`; jars are kept in `cache`. With the port of a proxy it has a second
    /// listener, whose clients are told to connect to that port.
    pub(super) fn start(folder: &Path, cache: &Path, proxy: Option<u16>) -> Result<Self, DevError> {
        fs::create_dir_all(folder).map_err(|e| DevError::io("create", folder, e))?;
        java()?;
        let artifact = |name| Artifact { group: "org.apache.kafka", name, version: VERSION, alone: false };
        let artifacts = ["kafka_2.13", "kafka-tools"].map(artifact);
        let jars = maven::fetch(cache, &format!("kafka-{VERSION}"), &artifacts)?;
        let ports = Ports::pick(&folder.join("ports"))?;
        let proxied = proxy.map(|_| Ports::pick(&folder.join("proxied-port"))).transpose()?;
        let properties = folder.join("server.properties");
        let behind = proxied.as_ref().map(Ports::numbers).zip(proxy);
        fs::write(&properties, server_properties(folder, ports.numbers(), behind))
            .map_err(|e| DevError::io("write", &properties, e))?;
        if !folder.join("data/meta.properties").exists() {
            format_storage(folder, &jars, &properties)?;
        }
        let child = launch(folder, &jars)?;
        let mut server = Self { ports, proxied, folder: folder.to_owned(), jars, child };
        server.wait_ready()?;
        Ok(server)
    }

    /// `host:port` for clients.
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.ports.numbers()[0])
    }

    /// Port that a proxy has to connect to, if the broker was started for one.
    pub(super) fn proxied_port(&self) -> Option<u16> {
        self.proxied.as_ref().map(|ports| ports.numbers()[0])
    }

    /// Process id of the broker.
    pub fn pid(&self) -> Option<u32> {
        self.child.pid()
    }

    /// Ends the broker with SIGKILL and waits for its end.
    pub fn kill(&mut self) -> Result<(), DevError> {
        self.signal("KILL")?;
        self.child.wait().map_err(|e| DevError::io("wait for", &self.folder, e))
    }

    /// Stops the broker cleanly.
    pub fn stop(&mut self) -> Result<(), DevError> {
        self.child.stop().map_err(|e| DevError::io("stop", &self.folder, e))
    }

    /// Sends a signal by name, such as `STOP` and `CONT`.
    pub fn signal(&self, signal: &str) -> Result<(), DevError> {
        self.child.signal(signal).map_err(|e| DevError::io("signal", &self.folder, e))
    }

    /// Starts the broker again, on the same port with the same data, after it has ended.
    pub fn restart(&mut self) -> Result<(), DevError> {
        self.child = launch(&self.folder, &self.jars)?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<(), DevError> {
        let [port, _] = self.ports.numbers();
        self.child
            .wait_ready(START_LIMIT, &mut |_| answers(port).unwrap_or(false))
            .map_err(|message| DevError::NotReady { server: "kafka", message })
    }
}

/// Whether there is a JVM.
pub(super) fn java() -> Result<(), DevError> {
    match Command::new("java").arg("-version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(DevError::prerequisite("a JDK 17 or newer (`java`)")),
    }
}

fn format_storage(folder: &Path, jars: &Path, properties: &Path) -> Result<(), DevError> {
    // A cluster of one node needs no unique id; a fixed one spares a second start of the JVM.
    let output = Command::new("java")
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(format!("{}/*", jars.display()))
        .args(["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", "dHJpYnV0YXJ5LWRldi0wMQ", "-c"])
        .arg(properties)
        .current_dir(folder)
        .output()
        .map_err(|e| DevError::io("run", Path::new("java"), e))?;
    if output.status.success() {
        return Ok(());
    }
    let message = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(DevError::NotReady { server: "kafka", message: format!("formatting its storage failed:\n{message}") })
}

fn launch(folder: &Path, jars: &Path) -> Result<Guarded, DevError> {
    // One compiler: over the minutes that such a server lives, the optimising one takes more of two cores than it gives back.
    let jvm = ["-Xms256m", "-Xmx640m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN", "-cp"];
    let mut args = jvm.map(str::to_owned).to_vec();
    args.push(format!("{}/*", jars.display()));
    args.extend(["kafka.Kafka".to_owned(), folder.join("server.properties").display().to_string()]);
    let launch = Launch { name: "kafka", program: Path::new("java"), args, stop_signal: "TERM", folder, user: None };
    Guarded::start(&launch).map_err(|e| DevError::io("start kafka in", folder, e))
}

/// Whether the broker answers an ApiVersions request (key 18, version 0), which it does once it accepts clients.
fn answers(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let correlation = 7_i32.to_be_bytes();
    let mut request = vec![0, 0, 0, 10, 0, 18, 0, 0];
    request.extend(correlation);
    request.extend((-1_i16).to_be_bytes());
    stream.write_all(&request)?;
    let mut reply = [0; 8];
    stream.read_exact(&mut reply)?;
    Ok(reply[4..] == correlation)
}

/// `behind` is the port of a second listener, and of the proxy by which its clients are told to come.
fn server_properties(folder: &Path, ports: [u16; 2], behind: Option<([u16; 1], u16)>) -> String {
    let [port, controller] = ports;
    let (listener, advertised) = behind.map_or_else(Default::default, |([port], proxy)| {
        (format!(",PROXIED://127.0.0.1:{port}"), format!(",PROXIED://127.0.0.1:{proxy}"))
    });
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listener}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
log.cleaner.dedupe.buffer.size=20971520
num.network.threads=2
num.io.threads=4
",
        data = folder.join("data").display()
    )
}
