//! Configured instances: the servers and accounts an installation knows, under every name producers use for them.

use std::collections::HashMap;

use serde::Deserialize;

use super::IdError;
use super::canon::{NameOptions, Root};
use super::platform::Platform;

/// One instance as configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// Its namespace, e.g. `hive://metastore:9083` or `snowflake://org-account`.
    pub id: String,
    /// Other names for it: whole namespaces (`hive://10.0.0.7:9083`) or plain words (`prod`).
    #[serde(default)]
    pub names: Vec<String>,
    /// Fills in a missing database (catalog, project).
    #[serde(default)]
    pub default_database: Option<String>,
    /// Fills in a missing schema.
    #[serde(default)]
    pub default_schema: Option<String>,
    /// Whether ids keep the case of names; by default what the platform does with unquoted names.
    #[serde(default)]
    pub case_sensitive: Option<bool>,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its namespace in canonical spelling.
    pub namespace: String,
    /// How its names are read.
    pub options: NameOptions,
}

/// All configured instances.
#[derive(Clone, Debug, Default)]
pub struct Instances {
    instances: Vec<Instance>,
    by_name: HashMap<String, usize>,
}

impl Instances {
    /// Fails if an id is no namespace, or two instances share a name.
    pub fn new(configs: Vec<InstanceConfig>) -> Result<Self, IdError> {
        let mut all = Self::default();
        for config in configs {
            let root = Root::parse(&config.id).filter(|root| root.path.trim_matches('/').is_empty());
            let root = root.filter(|root| super::platform::platform_of(&root.scheme) != Platform::Reserved);
            let Some(root) = root else { return Err(IdError::InstanceId { id: config.id }) };
            let index = all.instances.len();
            all.instances.push(Instance {
                namespace: root.spelling(),
                options: NameOptions {
                    default_database: config.default_database,
                    default_schema: config.default_schema,
                    case_sensitive: config.case_sensitive,
                },
            });
            all.claim(&config.id, index)?;
            for name in &config.names {
                all.claim(name, index)?;
            }
        }
        Ok(all)
    }

    fn claim(&mut self, name: &str, index: usize) -> Result<(), IdError> {
        let spelling = Root::parse(name).map_or_else(|| name.to_owned(), |root| root.spelling());
        let Some(&other) = self.by_name.get(&spelling) else {
            self.by_name.insert(spelling, index);
            return Ok(());
        };
        let namespace_of = |at: usize| self.instances.get(at).map(|i| i.namespace.clone()).unwrap_or_default();
        if other == index && namespace_of(other) == namespace_of(index) {
            return Ok(());
        }
        Err(IdError::AmbiguousInstance {
            name: name.to_owned(),
            first: namespace_of(other),
            second: namespace_of(index),
        })
    }

    /// The instance of which `namespace` is a name: its id, one of its other names, or `scheme://name` where `name` is a
    /// plain other name and the scheme is the instance's.
    pub fn find(&self, namespace: &str) -> Option<&Instance> {
        let Some(root) = Root::parse(namespace) else { return self.get(namespace) };
        let same_scheme = |instance: &&Instance| instance.namespace.split("://").next() == Some(root.scheme.as_str());
        self.get(&root.spelling()).or_else(|| self.get(&root.authority).filter(same_scheme))
    }

    /// Instances whose configuration says that case counts, or that it does not: prefixes of their ids.
    pub fn with_case_sensitive(&self, sensitive: bool) -> Vec<String> {
        let told = self.instances.iter().filter(|instance| instance.options.case_sensitive == Some(sensitive));
        told.map(|instance| format!("{}/", instance.namespace)).collect()
    }

    fn get(&self, spelling: &str) -> Option<&Instance> {
        self.by_name.get(spelling).and_then(|&index| self.instances.get(index))
    }
}
