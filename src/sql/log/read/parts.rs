//! Objects and lists inside of records: typed, and absent where something else stands.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Scalar;

/// An object read into `T`; whatever else stands there is none.
#[derive(Debug)]
pub(in crate::sql::log) struct Part<T>(pub Option<T>);

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor(PhantomData))
    }
}

struct PartVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PartVisitor<T> {
    type Value = Part<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Part(Some(value)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Part(None))
    }
    fn visit_str<E>(self, _text: &str) -> Result<Self::Value, E> {
        Ok(Part(None))
    }
    fn visit_bool<E>(self, _value: bool) -> Result<Self::Value, E> {
        Ok(Part(None))
    }
    fn visit_i64<E>(self, _value: i64) -> Result<Self::Value, E> {
        Ok(Part(None))
    }
    fn visit_u64<E>(self, _value: u64) -> Result<Self::Value, E> {
        Ok(Part(None))
    }
    fn visit_f64<E>(self, _value: f64) -> Result<Self::Value, E> {
        Ok(Part(None))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Part(None))
    }
}

/// A list of objects read into `T`s, or of scalars if `T` is one; elements of another kind are left out. `None` if
/// there is no list.
#[derive(Debug)]
pub(in crate::sql::log) struct List<T>(pub Option<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Element<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Element<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(element) = seq.next_element::<T::As>()? {
                    items.extend(T::of(element));
                }
                Ok(List(Some(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(List(None))
            }
            /// A list in a text, as some exports write their columns.
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(T::list_in(text).map_or(List(None), |items| List(Some(items))))
            }
            fn visit_bool<E>(self, _value: bool) -> Result<Self::Value, E> {
                Ok(List(None))
            }
            fn visit_i64<E>(self, _value: i64) -> Result<Self::Value, E> {
                Ok(List(None))
            }
            fn visit_u64<E>(self, _value: u64) -> Result<Self::Value, E> {
                Ok(List(None))
            }
            fn visit_f64<E>(self, _value: f64) -> Result<Self::Value, E> {
                Ok(List(None))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(List(None))
            }
        }
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// What lists are made of.
pub(in crate::sql::log) trait Element<'de>: Sized {
    /// How it is read.
    type As: Deserialize<'de>;
    /// The element, if it is of the kind.
    fn of(read: Self::As) -> Option<Self>;
    /// The elements of a list that stands in a text of its own.
    fn list_in(text: &str) -> Option<Vec<Self>>;
}

/// Declares types that own their parts as elements of lists.
macro_rules! elements {
    ($($type:ty),*) => {$(
        impl<'de> $crate::sql::log::read::Element<'de> for $type {
            type As = $crate::sql::log::read::Part<Self>;
            fn of(read: Self::As) -> Option<Self> {
                read.0
            }
            fn list_in(text: &str) -> Option<Vec<Self>> {
                serde_json::from_str::<$crate::sql::log::read::List<Self>>(text).ok()?.0
            }
        }
    )*};
}
pub(in crate::sql::log) use elements;

impl<'de> Element<'de> for String {
    type As = Scalar<'de>;
    fn of(read: Scalar<'de>) -> Option<Self> {
        read.0.map(Cow::into_owned)
    }
    fn list_in(text: &str) -> Option<Vec<Self>> {
        serde_json::from_str::<List<Self>>(text).ok()?.0
    }
}

/// An owned text of any scalar type.
#[derive(Clone, Debug, Default)]
pub(in crate::sql::log) struct Word(pub String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Scalar::deserialize(deserializer)?.0.map(Cow::into_owned).unwrap_or_default()))
    }
}

impl Word {
    /// The text, unless it is empty.
    pub fn text(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

/// A list in a field: JSON, or JSON in a text. `None` for null and what is no list.
pub(in crate::sql::log) fn list<'a, T: Element<'a>>(raw: Option<&'a RawValue>) -> Option<Vec<T>> {
    serde_json::from_str::<List<T>>(raw?.get()).ok()?.0
}
