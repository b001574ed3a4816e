//! One number for what a graph says: for comparing two graphs that were made in different ways.

use sha2::{Digest, Sha256};

use super::layer::{Edge, Ends};
use super::names::NameId;
use super::{EdgeKey, Graph, NodeKind};

impl Graph {
    /// Equal for graphs that answer every question alike, whatever the order in which they were made.
    pub fn fingerprint(&self) -> u128 {
        let text = |name: NameId| self.names.text(name).to_owned();
        let column = |name: NameId| {
            let (dataset, field) = self.columns.parts(name);
            format!("{}#{}", self.names.text(dataset), self.names.text(field))
        };
        let mut sum = 0_u128;
        for (key, ends, edge) in self.tables.keyed() {
            sum = sum.wrapping_add(self.edge_hash("table", key, ends, edge, &text));
        }
        for (key, ends, edge) in self.fields.keyed() {
            sum = sum.wrapping_add(self.edge_hash("column", key, ends, edge, &column));
        }
        for (index, kind) in self.kinds.iter().enumerate().filter(|(_, kind)| **kind != NodeKind::Plain) {
            let name = NameId(u32::try_from(index).unwrap_or(u32::MAX));
            sum = sum.wrapping_add(hash(&format!("node|{}|{kind:?}", self.names.text(name))));
        }
        sum
    }

    fn edge_hash(&self, level: &str, key: EdgeKey, ends: Ends, edge: &Edge, name: &dyn Fn(NameId) -> String) -> u128 {
        let info = &edge.info;
        hash(&format!(
            "{level}|{key:?}|{}|{}|{}|{}|{}|{}|{}|{}|{}",
            name(ends.0),
            name(ends.1),
            self.names.text(info.job),
            self.names.text(info.kind),
            info.confidence,
            info.stale,
            info.last_seen,
            self.names.text(info.transformations),
            info.masking,
        ))
    }
}

fn hash(text: &str) -> u128 {
    Sha256::digest(text).iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}
