//! Settings of the sources: whose query logs come in.

use std::collections::BTreeMap;

use super::Problem;
use super::reader::{Reader, plain_text};

/// The servers of one platform whose query logs come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryLogSource {
    /// Namespace of the datasets of records that name no server.
    pub instance: Option<String>,
    /// From a server as records name it to the namespace of its datasets.
    pub servers: BTreeMap<String, String>,
}

impl Reader {
    pub(super) fn query_logs(&mut self) -> BTreeMap<String, QueryLogSource> {
        let mut sources: BTreeMap<String, QueryLogSource> = BTreeMap::new();
        for (path, said) in self.layers.said.clone() {
            let names: Vec<&str> = path.0.iter().map(String::as_str).collect();
            let (platform, server) = match names.as_slice() {
                ["sources", "query_logs", platform, "instance"] => (*platform, None),
                ["sources", "query_logs", platform, "servers", server] => (*platform, Some((*server).to_owned())),
                _ => continue,
            };
            let namespace = plain_text(&said.value).and_then(|text| match text.contains("://") || text == "bigquery" {
                true => Ok(text),
                false => Err(format!("{text:?} must be a namespace such as postgres://host:5432")),
            });
            match (namespace, server) {
                (Ok(namespace), None) => sources.entry(platform.to_owned()).or_default().instance = Some(namespace),
                (Ok(namespace), Some(server)) => {
                    sources.entry(platform.to_owned()).or_default().servers.insert(server, namespace);
                }
                (Err(message), _) => {
                    self.problems.push(Problem { path: Some(path), origin: Some(said.origin), message });
                }
            }
        }
        sources
    }
}
