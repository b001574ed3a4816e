//! What most subcommands start from: checked settings and a way to Kafka.

use anyhow::anyhow;

use super::SettingFlags;
use super::exit::{Because, Failure, Reason};
use crate::config::{self, Config, Loaded, Sources};
use crate::kafka::KafkaConfig;

/// Settings and clients of one command.
pub(super) struct Context {
    /// The settings.
    pub config: Config,
    /// How to reach Kafka.
    pub kafka: KafkaConfig,
}

impl Context {
    /// Loads the settings; Kafka has to be configured.
    pub fn load(flags: &SettingFlags) -> Result<Self, Failure> {
        Self::of(load_config(flags, &[])?.config)
    }

    /// A context of these settings.
    pub fn of(config: Config) -> Result<Self, Failure> {
        let servers = config.kafka.bootstrap_servers.clone().ok_or_else(|| {
            anyhow!("no Kafka is configured: set KAFKA_BOOTSTRAP_SERVERS=host:port, or start with `tributary demo` or `tributary up --dev`")
        });
        let servers = servers.because(Reason::Configuration)?;
        let kafka = KafkaConfig::new(servers, config.kafka.properties.clone()).because(Reason::Configuration)?;
        Ok(Self { config, kafka })
    }
}

/// Loads and checks the settings; `started` holds settings of servers that this command has started itself.
pub(super) fn load_config(flags: &SettingFlags, started: &[(&str, String)]) -> Result<Loaded, Failure> {
    let mut given = Vec::new();
    for assignment in &flags.set {
        let (key, value) = assignment
            .split_once('=')
            .ok_or_else(|| anyhow!("--set {assignment}: write it as KEY=VALUE"))
            .because(Reason::Usage)?;
        given.push(("--set".to_owned(), key.to_owned(), value.to_owned()));
    }
    if let Some(servers) = &flags.bootstrap_servers {
        given.push(("--bootstrap-servers".to_owned(), "kafka.bootstrap_servers".to_owned(), servers.clone()));
    }
    if let Some(folder) = &flags.data_dir {
        given.push(("--data-dir".to_owned(), "data_dir".to_owned(), folder.display().to_string()));
    }
    for (key, value) in started {
        given.push(("(started here)".to_owned(), (*key).to_owned(), value.clone()));
    }
    let sources = Sources::of_process(flags.config.as_deref(), given).because(Reason::Configuration)?;
    config::load(sources).because(Reason::Configuration)
}
