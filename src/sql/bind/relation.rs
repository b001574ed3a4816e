//! Relations: what FROM offers and what a query yields.
//!
//! A relation is a list of items in order: columns that are known, and stars that stand for columns that nobody told us
//! of. A table without a known schema is one star. A star knows the tables that its columns are from (all of them at
//! once, as after a UNION), or the value that each of its columns is made of (a table function's arguments), or
//! nothing, and the names that are not among its columns (EXCEPT, REPLACE).

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use super::names::{ColumnId, Names, Sym, TableId};
use super::sources::{Gathered, How, Sources};

/// A named column and the base columns it is made of.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: Sym,
    /// Lower-case twin of the name.
    pub(super) key: Sym,
    pub(super) sources: Sources,
}

/// Columns that are not known by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Star {
    /// Base tables that they all come from.
    pub(super) origins: SmallVec<[TableId; 2]>,
    /// What any column is made of, if it is not from `origins`.
    pub(super) value: Sources,
    /// Keys of columns that are not among them.
    pub(super) except: Option<Rc<[Sym]>>,
}

impl Star {
    /// Could it hold a column of that name?
    pub(super) fn may_hold(&self, key: Sym) -> bool {
        self.except.as_ref().is_none_or(|except| !except.contains(&key))
    }

    /// A star of a table function or of nothing known gives way to one of a table.
    pub(super) fn is_weak(&self) -> bool {
        self.origins.is_empty()
    }

    /// What a column of that name is made of.
    pub(super) fn column(&self, names: &mut Names, name: Sym) -> Sources {
        match self.origins.as_slice() {
            [] => self.value.clone(),
            [one] => Sources::one(names.column(*one, name)),
            many => {
                let mut gathered = Gathered::default();
                for &table in many {
                    gathered.push(names.column(table, name), How::Identity);
                }
                gathered.finish()
            }
        }
    }

    /// The same star without these columns.
    pub(super) fn without(&self, keys: &[Sym]) -> Self {
        if keys.is_empty() {
            return self.clone();
        }
        let mut except: Vec<Sym> = self.except.as_deref().unwrap_or_default().to_vec();
        except.extend(keys);
        Self { except: Some(Rc::from(except)), ..self.clone() }
    }
}

/// One or more columns, in order.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Column(Column),
    Star(Star),
}

/// What a look-up found.
pub(super) enum Found<'r> {
    Column(&'r Column),
    /// Not known, and this one star may hold it.
    Star(&'r Star),
    /// Several stars may hold it.
    Ambiguous,
    Nothing,
}

/// Columns in order.
#[derive(Debug, Default)]
pub(super) struct Relation {
    pub(super) items: Vec<Item>,
    /// How many of the items are stars.
    pub(super) stars: usize,
    index: OnceCell<HashMap<Sym, u32, FixedState>>,
}

impl Relation {
    pub(super) fn new(items: Vec<Item>) -> Self {
        let stars = items.iter().filter(|item| matches!(item, Item::Star(_))).count();
        Self { items, stars, index: OnceCell::new() }
    }

    /// The columns of a table nobody knows the schema of.
    pub(super) fn open(table: TableId) -> Self {
        Self::new(vec![Item::Star(Star { origins: SmallVec::from_slice(&[table]), ..Star::default() })])
    }

    /// The columns of something that is made of `value`.
    pub(super) fn weak(value: Sources) -> Self {
        Self::new(vec![Item::Star(Star { value, ..Star::default() })])
    }

    /// The columns of a table with a known schema.
    pub(super) fn known(names: &mut Names, table: TableId, columns: impl Iterator<Item = Sym>) -> Self {
        let items = columns
            .map(|name| {
                let id: ColumnId = names.column(table, name);
                Item::Column(Column { name, key: names.key(name), sources: Sources::one(id) })
            })
            .collect();
        Self::new(items)
    }

    /// All known columns, in order.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.items.iter().filter_map(|item| match item {
            Item::Column(column) => Some(column),
            Item::Star(_) => None,
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.stars == 0
    }

    /// The column at a position, if everything before it is known.
    pub(super) fn at(&self, position: usize) -> Option<&Column> {
        for (nth, item) in self.items.iter().enumerate() {
            match item {
                Item::Star(_) => return None,
                Item::Column(column) if nth == position => return Some(column),
                Item::Column(_) => {}
            }
        }
        None
    }

    /// The known column of that key; the first, if there are several.
    pub(super) fn named(&self, key: Sym) -> Option<&Column> {
        if self.items.len() <= 24 {
            return self.columns().find(|column| column.key == key);
        }
        let index = self.index.get_or_init(|| {
            let mut index = HashMap::with_capacity_and_hasher(self.items.len(), FixedState::default());
            for (nth, item) in self.items.iter().enumerate() {
                if let Item::Column(column) = item {
                    index.entry(column.key).or_insert(u32::try_from(nth).unwrap_or(u32::MAX));
                }
            }
            index
        });
        match index.get(&key).and_then(|&nth| self.items.get(nth as usize)) {
            Some(Item::Column(column)) => Some(column),
            _ => None,
        }
    }

    pub(super) fn find(&self, key: Sym) -> Found<'_> {
        if let Some(column) = self.named(key) {
            return Found::Column(column);
        }
        if self.stars == 0 {
            return Found::Nothing;
        }
        let mut found = Found::Nothing;
        for item in &self.items {
            let Item::Star(star) = item else { continue };
            if !star.may_hold(key) {
                continue;
            }
            found = match found {
                Found::Nothing => Found::Star(star),
                Found::Star(other) if other.is_weak() && !star.is_weak() => Found::Star(star),
                Found::Star(other) if !other.is_weak() && star.is_weak() => Found::Star(other),
                _ => return Found::Ambiguous,
            };
        }
        found
    }

    /// What all its columns are made of.
    pub(super) fn all_sources(&self, names: &mut Names) -> Sources {
        let mut gathered = Gathered::default();
        for item in &self.items {
            match item {
                Item::Column(column) => gathered.add(&column.sources, How::Identity),
                Item::Star(star) => {
                    let name = names.intern("*");
                    let sources = star.column(names, name);
                    gathered.add(&sources, How::Identity);
                }
            }
        }
        gathered.finish()
    }

    /// Other names for the first columns, as `AS t(a, b)` gives them. Columns of a single star are guessed to have been
    /// named so at their origin.
    pub(super) fn renamed(&self, names: &mut Names, aliases: &[Sym]) -> Self {
        if aliases.is_empty() {
            return Self::new(self.items.clone());
        }
        let mut items = Vec::with_capacity(self.items.len().max(aliases.len()));
        let mut given = aliases.iter().copied();
        for (nth, item) in self.items.iter().enumerate() {
            match item {
                Item::Column(column) => {
                    let name = given.next().unwrap_or(column.name);
                    items.push(Item::Column(Column { name, key: names.key(name), sources: column.sources.clone() }));
                }
                Item::Star(star) => {
                    let rest = self.items.len() - nth - 1;
                    let mut taken = Vec::new();
                    while given.len() > rest {
                        let Some(name) = given.next() else { break };
                        let sources = star.column(names, name);
                        let key = names.key(name);
                        taken.push(key);
                        items.push(Item::Column(Column { name, key, sources }));
                    }
                    if taken.is_empty() {
                        items.push(item.clone());
                    }
                }
            }
        }
        Self::new(items)
    }
}
