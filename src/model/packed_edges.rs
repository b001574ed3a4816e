//! Column edges on the wire and in the state, packed: most edges of a run lead between the same two datasets, whose ids
//! stand once for all of them.
//!
//! ```text
//! [[target, source, [[target field, source field, kind, subtype, description, flags], …]], …]
//! ```
//! Neighbours with the same datasets share a group, so the order is kept. What is empty at the end of an edge is left
//! out; flags are 1 for masking and 2 for unmapped.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::fact::ColumnEdge;
use super::id::EntityId;

const MASKING: u8 = 1;
const UNMAPPED: u8 = 2;

/// Writes edges; for `#[serde(with)]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<'a, S, I>(edges: I, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    I: IntoIterator<Item = &'a ColumnEdge>,
{
    let edges: Vec<&ColumnEdge> = edges.into_iter().collect();
    let groups = edges.chunk_by(|a, b| a.target == b.target && a.source == b.source);
    serializer.collect_seq(groups.filter_map(|group| {
        let first = group.first()?;
        let fields: Vec<Fields<'_>> = group.iter().map(|edge| Fields(edge)).collect();
        Some((&first.target, &first.source, fields))
    }))
}

/// Reads edges into any collection of them.
///
/// # Errors
/// Those of the deserializer, and of a text of another form.
pub fn deserialize<'de, D, C>(deserializer: D) -> Result<C, D::Error>
where
    D: Deserializer<'de>,
    C: Default + Extend<ColumnEdge>,
{
    struct Groups<C>(PhantomData<C>);
    impl<'de, C: Default + Extend<ColumnEdge>> Visitor<'de> for Groups<C> {
        type Value = C;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("groups of column edges")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut groups: A) -> Result<C, A::Error> {
            let mut edges = C::default();
            while let Some((target, source, fields)) = groups.next_element::<(EntityId, EntityId, Vec<Read>)>()? {
                edges.extend(fields.into_iter().map(|Read(edge)| ColumnEdge {
                    target: target.clone(),
                    source: source.clone(),
                    ..edge
                }));
            }
            Ok(edges)
        }
    }
    deserializer.deserialize_seq(Groups(PhantomData))
}

/// An edge without its datasets, to be written.
struct Fields<'a>(&'a ColumnEdge);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let edge = self.0;
        let flags = u8::from(edge.masking) * MASKING + u8::from(edge.unmapped) * UNMAPPED;
        let texts = [&edge.target_field, &edge.source_field, &edge.kind, &edge.subtype, &edge.description];
        let last = texts.iter().rposition(|text| !text.is_empty()).map_or(0, |at| at + 1);
        let written = if flags == 0 { last } else { texts.len() };
        let mut seq = serializer.serialize_seq(None)?;
        for text in texts.into_iter().take(written) {
            seq.serialize_element(text)?;
        }
        if flags != 0 {
            seq.serialize_element(&flags)?;
        }
        seq.end()
    }
}

/// An edge without its datasets, as read.
struct Read(ColumnEdge);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ReadVisitor;
        impl<'de> Visitor<'de> for ReadVisitor {
            type Value = Read;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the fields of a column edge")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Read, A::Error> {
                let mut text = || seq.next_element::<String>().map(Option::unwrap_or_default);
                let (target_field, source_field, kind) = (text()?, text()?, text()?);
                let (subtype, description) = (text()?, text()?);
                let flags: u8 = seq.next_element()?.unwrap_or_default();
                if flags > MASKING + UNMAPPED || seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    return Err(A::Error::custom("a column edge has more fields than are known"));
                }
                // The group's datasets take the place of these.
                let nowhere = EntityId::from_canonical("");
                Ok(Read(ColumnEdge {
                    target: nowhere.clone(),
                    target_field,
                    source: nowhere,
                    source_field,
                    kind,
                    subtype,
                    description,
                    masking: flags & MASKING != 0,
                    unmapped: flags & UNMAPPED != 0,
                }))
            }
        }
        deserializer.deserialize_seq(ReadVisitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde::Deserialize as Derived;

    use super::*;

    #[derive(Derived, serde::Serialize, PartialEq, Debug)]
    struct Held {
        #[serde(with = "super")]
        list: Vec<ColumnEdge>,
        #[serde(with = "super")]
        set: BTreeSet<ColumnEdge>,
    }

    fn edges() -> impl Strategy<Value = Vec<ColumnEdge>> {
        let short = || "[ab\"é]{0,2}";
        let edge = ((0..3u8, 0..3u8), (short(), short(), short(), short(), short()), (any::<bool>(), any::<bool>()))
            .prop_map(|((target, source), (tf, sf, kind, subtype, description), (masking, unmapped))| ColumnEdge {
                target: EntityId::from_canonical(format!("s3://b/{target}")),
                target_field: tf,
                source: EntityId::from_canonical(format!("s3://b/{source}")),
                source_field: sf,
                kind,
                subtype,
                description,
                masking,
                unmapped,
            });
        prop::collection::vec(edge, 0..12)
    }

    proptest! {
        #[test]
        fn edges_come_back_as_they_went(list in edges()) {
            let held = Held { set: list.iter().cloned().collect(), list };
            let text = serde_json::to_string(&held).expect("no failing serializers");
            prop_assert_eq!(serde_json::from_str::<Held>(&text).expect("own text"), held);
        }
    }

    #[test]
    fn datasets_stand_once_and_other_forms_are_refused() {
        let edge = |field: &str| ColumnEdge {
            target: EntityId::from_canonical("s3://b/t"),
            target_field: field.to_owned(),
            source: EntityId::from_canonical("s3://b/s"),
            source_field: field.to_owned(),
            kind: "DIRECT".to_owned(),
            subtype: "IDENTITY".to_owned(),
            description: String::new(),
            masking: false,
            unmapped: field == "b",
        };
        let held = Held { list: vec![edge("a"), edge("b")], set: BTreeSet::new() };
        let text = r#"{"list":[["s3://b/t","s3://b/s",[["a","a","DIRECT","IDENTITY"],["b","b","DIRECT","IDENTITY","",2]]]],"set":[]}"#;
        assert_eq!(serde_json::to_string(&held).expect("no failing serializers"), text);
        for wrong in [r#"["a","a","","","",4]"#, r#"["a","a","","","",1,1]"#, r#"{"target":"a"}"#, "[1]"] {
            let text = format!(r#"{{"list":[["s3://b/t","s3://b/s",[{wrong}]]],"set":[]}}"#);
            assert!(serde_json::from_str::<Held>(&text).is_err(), "{wrong}");
        }
    }
}
