//! The installation that is tried: servers behind proxies, a schema registry, two processes that share the work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};

use super::disk::Disk;
use super::schedule::{Who, registry_points};
use crate::cli::context::Context;
use crate::cli::exit::Reason;
use crate::cli::running::Running;
use crate::config::{self, Config, Sources};
use crate::dev::{ProxiedStack, free_address};

/// For whatever has to come about; a loaded machine is slow, a broken one never gets there.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a program that gets an error, and not a signal, where a file may not grow.
const NO_SIGNAL: &str = r#"trap "" XFSZ; exec "$0" "$@""#;

/// What stands between the raw topics and Postgres, in order: the roles that more than one process can share.
pub(super) const STAGES: [&str; 5] = ["normalize", "sql", "statements", "fold", "postgres"];
/// Settings of ours in the environment of whoever starts a campaign; they are not meant for it.
const FOREIGN: [&str; 5] =
    ["KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "SCHEMA_REGISTRY_URL", "RUST_LOG", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// See the module.
pub(super) struct Site {
    /// Declared first: processes end before what they need.
    members: [Member; 2],
    registry: Option<Running>,
    registry_address: String,
    pub servers: ProxiedStack,
    folder: PathBuf,
    binary: PathBuf,
    /// Where the first process has its data, if we may mount file systems.
    disk: Option<Disk>,
    /// Processes of ours that were killed.
    pub kills: u64,
}

struct Member {
    who: Who,
    process: Option<Running>,
    /// Processes that have borne its name; a replacement on another machine has a data folder of its own.
    generation: u32,
}

impl Site {
    /// Starts servers and the registry, and applies the topology; with `failpoints` that is killed at each failpoint of
    /// the registry first.
    pub fn start(binary: &Path, folder: &Path, cache: &Path, failpoints: bool) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
        let servers = ProxiedStack::throw_away(cache)?;
        let member = |who| Member { who, process: None, generation: 0 };
        let mut site = Self {
            members: [member(Who::A), member(Who::B)],
            registry: None,
            registry_address: free_address()?,
            servers,
            disk: Disk::mount(&folder.join("disk"))?,
            folder: folder.to_owned(),
            binary: binary.to_owned(),
            kills: 0,
        };
        for name in registry_points().filter(|_| failpoints) {
            let mut command = site.command("apply", &["topology", "apply"]);
            let output = command.env("TRIBUTARY_FAILPOINTS", format!("{name}=kill@1")).output()?;
            if output.status.code().is_some() {
                bail!("topology apply was not killed at {name}: {output:?}");
            }
            site.kills += 1;
        }
        let output = site.command("apply", &["topology", "apply"]).output()?;
        if !output.status.success() {
            bail!("topology apply ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(site)
    }

    /// Settings by which a bystander reaches the servers, past the proxies.
    pub fn bystander(&self) -> anyhow::Result<Context> {
        bystander(&self.servers.bootstrap_servers(), &self.servers.database_url())
    }

    /// Whether the first process has a file system of its own.
    pub fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Where a process keeps what it can lose.
    pub fn data_folder(&self, who: Who) -> PathBuf {
        let name = format!("{who}{}", self.members[who as usize].generation);
        match (who, &self.disk) {
            (Who::A, Some(_)) => self.folder.join("disk").join(name),
            _ => self.folder.join(name),
        }
    }

    fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", NO_SIGNAL]).arg(&self.binary).args(args).current_dir(&self.folder);
        for (variable, _) in std::env::vars_os() {
            let foreign = variable
                .to_str()
                .is_some_and(|name| name.starts_with(config::VARIABLE_PREFIX) || FOREIGN.contains(&name));
            if foreign {
                command.env_remove(variable);
            }
        }
        command
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .env("KAFKA_BOOTSTRAP_SERVERS", self.servers.proxied_bootstrap_servers())
            .env("DATABASE_URL", self.servers.proxied_database_url())
            .env("TRIBUTARY_DATA_DIR", self.folder.join(name))
            .env("TRIBUTARY_API__LISTEN", "127.0.0.1:0")
            .env("TRIBUTARY_REGISTRY__LISTEN", "127.0.0.1:0")
            .env("TRIBUTARY_METRICS__LISTEN", "127.0.0.1:0");
        command
    }

    /// Starts the process of that name. `failpoint` says where it is killed, as `name=kill@hit`.
    pub fn spawn(&mut self, who: Who, failpoint: Option<&str>) -> anyhow::Result<()> {
        let roles = match who {
            Who::A => vec!["up"],
            Who::B => [&["run"], &STAGES[..]].concat(),
        };
        let mut command = self.command("data", &roles);
        command.env("TRIBUTARY_DATA_DIR", self.data_folder(who)).env("TRIBUTARY_INSTANCE", who.to_string());
        if who == Who::A {
            command.env("SCHEMA_REGISTRY_URL", format!("http://{}", self.registry_address));
        }
        if let Some(failpoint) = failpoint {
            command.env("TRIBUTARY_FAILPOINTS", failpoint);
        }
        let process = Running::start(&mut command, self.folder.join(format!("{who}.log")))?;
        self.members[who as usize].process = Some(process);
        Ok(())
    }

    /// Another process takes this one's name, from another machine as it were. The former one is handed out.
    pub fn replace(&mut self, who: Who) -> anyhow::Result<Running> {
        let member = &mut self.members[who as usize];
        let former = member.process.take().ok_or_else(|| anyhow!("process {who} is not there"))?;
        member.generation += 1;
        self.spawn(who, None)?;
        Ok(former)
    }

    /// The process of that name, which has to be there.
    pub fn process(&mut self, who: Who) -> anyhow::Result<&mut Running> {
        self.members[who as usize].process.as_mut().ok_or_else(|| anyhow!("process {who} is not there"))
    }

    /// Whether a process of that name was started and not taken away.
    pub fn is_there(&self, who: Who) -> bool {
        self.members[who as usize].process.is_some()
    }

    /// Those that are there.
    pub fn present(&self) -> Vec<Who> {
        self.members.iter().filter(|member| member.process.is_some()).map(|member| member.who).collect()
    }

    /// What a process says of itself and the end of its log, for messages.
    pub fn told(&self, who: Who) -> String {
        let process = self.members[who as usize].process.as_ref();
        let told = |process: &Running| format!("process {who}: {}\n{}", process.readiness(), process.log_text());
        process.map(told).unwrap_or_default()
    }

    /// kill -9.
    pub fn kill(&mut self, who: Who) -> anyhow::Result<()> {
        self.process(who)?.kill()?;
        self.members[who as usize].process = None;
        self.kills += 1;
        Ok(())
    }

    /// Takes away a process that has ended by itself.
    pub fn forget(&mut self, who: Who) {
        self.members[who as usize].process = None;
    }

    /// SIGTERM: it has to drain and to end in order.
    pub fn terminate(&mut self, who: Who) -> anyhow::Result<()> {
        self.process(who)?.signal("TERM")?;
        let status = self.wait_end(who, PATIENCE)?;
        if !status.success() {
            bail!("process {who} ended with {status} after SIGTERM:\n{}", self.process(who)?.log_text());
        }
        self.members[who as usize].process = None;
        Ok(())
    }

    /// Waits for a process to end by itself.
    pub fn wait_end(&mut self, who: Who, limit: Duration) -> anyhow::Result<ExitStatus> {
        let process = self.process(who)?;
        match process.wait_end(limit)? {
            Some(status) => Ok(status),
            None => Err(anyhow!("process {who} did not end within {} s:\n{}", limit.as_secs(), process.log_text())),
        }
    }

    /// Waits until `reached` holds for a process, while it runs.
    pub fn wait_until(
        &mut self,
        who: Who,
        what: &str,
        mut reached: impl FnMut(&Running) -> bool,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let process = self.process(who)?;
        while !reached(process) {
            if let Some(status) = process.ended()? {
                bail!("process {who} ended with {status} before {what}:\n{}", process.log_text());
            }
            if started.elapsed() > PATIENCE {
                bail!("waited {} s for process {who}: {what}\n{}", PATIENCE.as_secs(), process.log_text());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Starts the schema registry, and waits until it answers. As a supervisor would, it starts it again where it ended
    /// because Kafka could not be reached.
    pub fn start_registry(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut process = self.spawn_registry()?;
        while crate::cli::http::get(&self.registry_address, "/subjects").is_err() {
            let ended = process.ended()?;
            let unavailable = ended.is_some_and(|status| status.code() == Some(Reason::Unavailable.code().into()));
            if started.elapsed() > PATIENCE || (ended.is_some() && !unavailable) {
                bail!("the schema registry does not answer ({ended:?}):\n{}", process.log_text());
            }
            if unavailable {
                process = self.spawn_registry()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.registry = Some(process);
        Ok(())
    }

    fn spawn_registry(&self) -> anyhow::Result<Running> {
        let mut command = self.command("registry", &["registry"]);
        command.env("TRIBUTARY_REGISTRY__LISTEN", &self.registry_address);
        Ok(Running::start(&mut command, self.folder.join("registry.log"))?)
    }

    /// kill -9 of the schema registry.
    pub fn kill_registry(&mut self) -> anyhow::Result<()> {
        let mut registry = self.registry.take().ok_or_else(|| anyhow!("the schema registry is not there"))?;
        registry.kill()?;
        self.kills += 1;
        Ok(())
    }
}

/// Settings for these servers and nothing else, whatever the environment says.
pub(super) fn bystander(bootstrap_servers: &str, database_url: &str) -> anyhow::Result<Context> {
    let given = |key: &str, value: &str| ("(campaign)".to_owned(), key.to_owned(), value.to_owned());
    let flags = vec![given("kafka.bootstrap_servers", bootstrap_servers), given("database.url", database_url)];
    let config: Config = config::load(Sources { flags, ..Sources::default() })?.config;
    Context::of(config).map_err(|failure| failure.error)
}
