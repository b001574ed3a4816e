//! Kafka and Postgres, each with a proxy in front: one way in for those who are tested, another for those who watch.

use std::path::Path;

use super::proxy::{Protocol, Proxy};
use super::{DevError, KafkaServer, PostgresServer, Servers, Stack};

/// Throw-away servers with their proxies.
#[derive(Debug)]
pub struct ProxiedStack {
    stack: Stack,
    kafka: Proxy,
    postgres: Proxy,
}

impl ProxiedStack {
    /// Starts everything, as [`Stack::throw_away`] does.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn throw_away(cache: &Path) -> Result<Self, DevError> {
        let proxy = |protocol| Proxy::start(protocol).map_err(|e| DevError::io("open a port for", cache, e));
        let (kafka, postgres) = (proxy(Protocol::Kafka)?, proxy(Protocol::Postgres)?);
        let stack = Stack::throw_away_behind(Servers::All, cache, Some(kafka.port()))?;
        let proxied = Self { stack, kafka, postgres };
        proxied.kafka.set_upstream(proxied.broker().proxied_port().unwrap_or_default());
        proxied.postgres.set_upstream(proxied.database().port());
        Ok(proxied)
    }

    /// `host:port` of Kafka past the proxy.
    pub fn bootstrap_servers(&self) -> String {
        self.broker().bootstrap_servers()
    }

    /// `host:port` of Kafka through the proxy; its clients stay behind it.
    pub fn proxied_bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.kafka.port())
    }

    /// URL of the database past the proxy.
    pub fn database_url(&self) -> String {
        self.database().database_url()
    }

    /// URL of the database through the proxy.
    pub fn proxied_database_url(&self) -> String {
        self.database().database_url_by(self.postgres.port())
    }

    /// What stands before Kafka.
    pub fn kafka_proxy(&self) -> &Proxy {
        &self.kafka
    }

    /// What stands before Postgres.
    pub fn postgres_proxy(&self) -> &Proxy {
        &self.postgres
    }

    /// Kafka, to be hurt.
    pub fn kafka(&mut self) -> &mut KafkaServer {
        self.stack.kafka.as_mut().expect("both servers are started")
    }

    /// Postgres, to be hurt.
    pub fn postgres(&mut self) -> &mut PostgresServer {
        self.stack.postgres.as_mut().expect("both servers are started")
    }

    fn broker(&self) -> &KafkaServer {
        self.stack.kafka.as_ref().expect("both servers are started")
    }

    fn database(&self) -> &PostgresServer {
        self.stack.postgres.as_ref().expect("both servers are started")
    }
}
