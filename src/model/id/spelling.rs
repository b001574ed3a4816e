//! Spellings that one id stands for: whether they can mean the same thing.
//!
//! Where unquoted names are folded and quoted ones are not, `Orders` and `orders` have one id and may be two tables.

use std::collections::BTreeSet;

use super::EntityId;
use super::canon::quoted_parts;

/// The case in which a server stores names that are written without quotes.
#[derive(Clone, Copy)]
enum Stored {
    Lower,
    Upper,
}

impl Stored {
    /// `None` where quotes do not keep case either, or ids keep case anyway.
    fn on(platform: &str) -> Option<Self> {
        match platform {
            "postgres" | "redshift" => Some(Self::Lower),
            "snowflake" | "oracle" => Some(Self::Upper),
            _ => None,
        }
    }

    /// A part of a name as the server would store it. A word in one case says nothing of quotes: producers have their
    /// own habits of shouting.
    fn part(self, (text, quoted): (String, bool)) -> String {
        let lower = text.to_lowercase();
        let is_mixed = text != lower && text != text.to_uppercase();
        match self {
            _ if quoted || is_mixed => text,
            Self::Lower => lower,
            Self::Upper => text.to_uppercase(),
        }
    }
}

/// Whether reported names of one dataset contradict each other in case. `names` are pairs of who reports and the name.
/// A habit is one source's own, so within a source any difference counts.
pub fn case_collides<'a>(id: &EntityId, names: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
    let Some(stored) = Stored::on(id.platform()) else { return false };
    let mut of_all: Vec<BTreeSet<String>> = Vec::new();
    let mut of_source: std::collections::BTreeMap<&str, Vec<BTreeSet<String>>> = std::collections::BTreeMap::new();
    // Databases that a name leaves out are not compared, so places count from the right.
    let note = |places: &mut Vec<BTreeSet<String>>, from_right: usize, text: String| {
        if places.len() <= from_right {
            places.resize(from_right + 1, BTreeSet::new());
        }
        places.get_mut(from_right).is_some_and(|place| place.insert(text) && place.len() > 1)
    };
    let mut collides = false;
    for (source, name) in names {
        for (from_right, part) in quoted_parts(name).into_iter().rev().enumerate() {
            collides |= note(of_source.entry(source).or_default(), from_right, part.0.clone());
            collides |= note(&mut of_all, from_right, stored.part(part));
        }
    }
    collides
}
