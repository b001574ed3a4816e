//! Where the registry of this process gets column lineage: from the catalog beside it, or from one that is configured.

use std::sync::Arc;

use super::exit::{Because, Failure, Reason};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::registry::RegistryHandle;
use crate::registry::catalog_api::CatalogApi;
use crate::registry::impact::{LineageError, LineageFuture, LineageQuestion, LineageSource, Reach, request};

/// The catalog of this process. It is asked and answers in the JSON of its API: one form for near and far.
struct Beside {
    catalog: Arc<Catalog>,
    clusters: Vec<String>,
}

impl Beside {
    async fn ask(&self, question: &LineageQuestion) -> Result<Reach, LineageError> {
        let said = |error: &dyn std::fmt::Display| LineageError(error.to_string());
        let query = serde_json::from_value(request(question, &self.clusters)).map_err(|error| said(&error))?;
        let view = self.catalog.impact(&query).await.map_err(|error| said(&error))?;
        serde_json::to_value(view).and_then(serde_json::from_value).map_err(|error| said(&error))
    }
}

impl LineageSource for Beside {
    fn reach<'a>(&'a self, question: &'a LineageQuestion) -> LineageFuture<'a> {
        Box::pin(self.ask(question))
    }
}

/// Lets a registry ask the catalog of this process.
pub(super) fn attach(config: &Config, handle: &RegistryHandle, catalog: &Arc<Catalog>) {
    handle.attach_lineage(Arc::new(Beside { catalog: Arc::clone(catalog), clusters: clusters(config) }));
}

/// Lets a registry ask the configured catalog, if one is.
pub(super) fn attach_configured(config: &Config, handle: &RegistryHandle) -> Result<(), Failure> {
    if let Some(url) = &config.registry.catalog_url {
        let api = CatalogApi::new(url, config.api.token.clone(), clusters(config));
        handle.attach_lineage(Arc::new(api.because(Reason::Configuration)?));
    }
    Ok(())
}

/// The names that producers of lineage give to our Kafka: each of its servers, and all of them together.
fn clusters(config: &Config) -> Vec<String> {
    let servers = config.kafka.bootstrap_servers.as_deref().unwrap_or_default();
    let plain = |server: &str| server.trim().rsplit("://").next().unwrap_or_default().to_owned();
    let each: Vec<String> = servers.split(',').map(plain).filter(|server| !server.is_empty()).collect();
    let together = (each.len() > 1).then(|| each.join(","));
    each.into_iter().chain(together).map(|server| format!("kafka://{server}")).collect()
}
