//! Connection and client settings: librdkafka's own properties pass through, except those that would break
//! exactly-once, which are refused with the reason.

use std::collections::BTreeMap;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

/// How to reach Kafka.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    bootstrap_servers: String,
    properties: BTreeMap<String, String>,
}

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Only those of committed transactions and plain producers; ends are last stable offsets.
    Committed,
    /// All records; ends are high watermarks.
    Uncommitted,
}

/// A property that may not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The runtime owns this property.
    #[error("kafka property {property} cannot be set: {reason}")]
    Refused {
        /// Its name.
        property: String,
        /// What would break.
        reason: &'static str,
    },
    /// librdkafka does not know the property or its value.
    #[error("kafka property: {message}")]
    Invalid {
        /// librdkafka's words.
        message: String,
    },
    /// No servers are given.
    #[error("bootstrap servers are empty; set KAFKA_BOOTSTRAP_SERVERS to host:port[,host:port…]")]
    NoServers,
}

/// Properties the runtime owns, with what setting them would break.
const REFUSED: &[(&str, &str)] = &[
    ("bootstrap.servers", "it has its own setting, so that it is said in one place only"),
    ("metadata.broker.list", "it has its own setting, bootstrap servers"),
    ("enable.auto.commit", "offsets are committed in the transaction that carries the outputs"),
    ("auto.commit.enable", "offsets are committed in the transaction that carries the outputs"),
    ("enable.auto.offset.store", "positions move only when a transaction has committed"),
    ("auto.commit.interval.ms", "offsets are committed in the transaction that carries the outputs"),
    ("offset.store.method", "positions are kept in Kafka or beside the data"),
    ("isolation.level", "stages read committed records only"),
    ("auto.offset.reset", "no stage resets an offset by itself; `tributary topology apply` sets the first one"),
    ("transactional.id", "it names the task and fences its former self"),
    ("transaction.timeout.ms", "it bounds how long a dead task can hold back its readers"),
    ("enable.idempotence", "without it a retry doubles records"),
    ("enable.gapless.guarantee", "it turns a time-out into the end of the producer"),
    ("acks", "idempotent producers need all"),
    ("request.required.acks", "idempotent producers need all"),
    ("retries", "deliveries are tried until the transaction's time-out"),
    ("message.send.max.retries", "deliveries are tried until the transaction's time-out"),
    ("max.in.flight", "more than 5 breaks the order of an idempotent producer"),
    ("max.in.flight.requests.per.connection", "more than 5 breaks the order of an idempotent producer"),
    ("message.timeout.ms", "it must not outlast the transaction"),
    ("delivery.timeout.ms", "it must not outlast the transaction"),
    ("partitioner", "every producer places a key as Java clients do"),
    ("group.id", "it names the stage"),
    ("group.instance.id", "it names the task and fences its former self"),
    ("group.protocol", "the runtime handles rebalances of the classic protocol"),
    ("partition.assignment.strategy", "rebalances are handled as cooperative-sticky"),
    ("session.timeout.ms", "it goes with the transaction's time-out"),
    ("max.poll.interval.ms", "the driver polls each second, also while it retries"),
    ("enable.partition.eof", "idle partitions publish their position at their end"),
    ("event.callback", "callbacks belong to the client library"),
];

impl KafkaConfig {
    /// A configuration for these servers (`host:port[,host:port…]`) and librdkafka properties (security and tuning).
    pub fn new(
        bootstrap_servers: impl Into<String>,
        properties: BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let bootstrap_servers = bootstrap_servers.into();
        if bootstrap_servers.trim().is_empty() {
            return Err(ConfigError::NoServers);
        }
        for property in properties.keys() {
            if let Some((_, reason)) = REFUSED.iter().find(|(name, _)| name == property) {
                return Err(ConfigError::Refused { property: property.clone(), reason });
            }
        }
        let config = Self { bootstrap_servers, properties };
        match config.base().create_native_config() {
            Ok(_) => Ok(config),
            Err(error) => Err(ConfigError::Invalid { message: error.to_string() }),
        }
    }

    /// For these servers without further properties: local clusters and tests.
    pub fn plain(bootstrap_servers: impl Into<String>) -> Result<Self, ConfigError> {
        Self::new(bootstrap_servers, BTreeMap::new())
    }

    /// The servers.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// `security.protocol`, in lower case; `plaintext` if not set.
    pub fn security_protocol(&self) -> String {
        self.properties.get("security.protocol").map_or_else(|| "plaintext".to_owned(), |p| p.to_ascii_lowercase())
    }

    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "tributary");
        config.set("socket.keepalive.enable", "true");
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    /// A client for administration and metadata.
    pub(super) fn admin(&self) -> ClientConfig {
        self.base()
    }

    /// A consumer without subscription, of `group` or of none.
    pub(super) fn reader(&self, isolation: Isolation, group: Option<&str>) -> ClientConfig {
        let mut config = self.base();
        self.default(&mut config, "queued.max.messages.kbytes", "4096");
        // An answer is held in memory, ten times as large where it was compressed, until its last record is taken; a record
        // larger than this still arrives.
        self.default(&mut config, "fetch.max.bytes", "2097152");
        self.default(&mut config, "fetch.queue.backoff.ms", "10");
        self.default(&mut config, "fetch.wait.max.ms", "100");
        // Brokers take requests of up to 100 MiB unless told otherwise, the client's default is some less: what lies
        // between could be written and never be read, not even to be dead-lettered.
        self.default(&mut config, "receive.message.max.bytes", "134217728");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "error");
        config.set("enable.partition.eof", "true");
        config.set(
            "isolation.level",
            match isolation {
                Isolation::Committed => "read_committed",
                Isolation::Uncommitted => "read_uncommitted",
            },
        );
        // Without a group there is no consumer queue for assigned partitions; the name is never joined or committed.
        config.set("group.id", group.unwrap_or("tributary-reader"));
        config
    }

    /// A consumer of a log up to an end that is written already. Where a transaction's marker is the last thing below
    /// it, only an answer without records tells that it is reached, and the broker holds those back for so long.
    pub(super) fn bounded_reader(&self, isolation: Isolation) -> ClientConfig {
        let mut config = self.reader(isolation, None);
        self.default(&mut config, "fetch.wait.max.ms", "5");
        config
    }

    /// A member of a group, see [`super::GroupConsumer`].
    pub(super) fn member(&self, group: &str, instance: &str, session_ms: u32) -> ClientConfig {
        let mut config = self.reader(Isolation::Committed, Some(group));
        config.set("group.instance.id", instance);
        config.set("session.timeout.ms", session_ms.to_string());
        config.set("heartbeat.interval.ms", (session_ms / 4).max(250).to_string());
        config.set("partition.assignment.strategy", "cooperative-sticky");
        config.set("statistics.interval.ms", "5000");
        config
    }

    /// An idempotent producer.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        // The largest record of ours, a dead letter of 17 MiB, has to fit into the queue, or it waits for ever.
        self.default(&mut config, "queue.buffering.max.kbytes", "24576");
        // Limits stand at the topics; the client must not be the first to refuse. 64 MiB is above any of ours.
        self.default(&mut config, "message.max.bytes", "67108864");
        // Records of one kind are much alike. What it costs to compress them is less than what client, broker and readers
        // spend on the bytes that it saves.
        self.default(&mut config, "compression.type", "lz4");
        config.set("enable.idempotence", "true");
        config.set("partitioner", "murmur2_random");
        config
    }

    /// A transactional producer.
    pub(super) fn transactional(&self, id: &str, timeout_ms: u32) -> ClientConfig {
        let mut config = self.producer();
        // Back-to-back transactions meet CONCURRENT_TRANSACTIONS; the default back-off makes 1 ms into 97 ms.
        self.default(&mut config, "retry.backoff.ms", "5");
        self.default(&mut config, "retry.backoff.max.ms", "50");
        // Stages hand over in bursts: a burst should leave in few requests, and a commit waits for the last of them.
        self.default(&mut config, "linger.ms", "2");
        config.set("transactional.id", id);
        config.set("transaction.timeout.ms", timeout_ms.to_string());
        config
    }

    /// Sets what the operator has not set.
    fn default(&self, config: &mut ClientConfig, name: &str, value: &str) {
        if !self.properties.contains_key(name) {
            config.set(name, value);
        }
    }
}

impl std::fmt::Debug for KafkaConfig {
    /// Names without values: passwords stand among the properties.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<KafkaConfig, ConfigError> {
        KafkaConfig::new("localhost:9092", BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn what_breaks_exactly_once_is_refused_with_the_reason() {
        for name in ["enable.auto.commit", "isolation.level", "transactional.id", "auto.offset.reset", "group.id"] {
            let error = with(name, "x").expect_err(name).to_string();
            assert!(error.contains(name) && error.contains("cannot be set: "), "{error}");
        }
    }

    #[test]
    fn tuning_passes_through_and_wins_over_our_defaults() {
        let config = with("linger.ms", "7").expect("linger.ms is tuning");
        assert_eq!(config.transactional("a", 10_000).get("linger.ms"), Some("7"));
        assert_eq!(config.transactional("a", 10_000).get("retry.backoff.ms"), Some("5"));
        assert_eq!(config.producer().get("compression.type"), Some("lz4"));
        let plain = with("compression.type", "none").expect("so is compression");
        assert_eq!(plain.producer().get("compression.type"), Some("none"));
    }

    #[test]
    fn unknown_properties_are_named() {
        let error = with("linger.parsecs", "7").expect_err("no such property").to_string();
        assert!(error.contains("linger.parsecs"), "{error}");
        assert_eq!(KafkaConfig::plain(" "), Err(ConfigError::NoServers));
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = with("sasl.password", "hunter2").expect("security passes through");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
