//! Sets of base columns with how they come in.
//!
//! A source is a base column's number and a rank, packed in one word so that a set is a sorted slice of words:
//! `column << 3 | rank`. A set of one needs no allocation, a larger one is shared.

use std::rc::Rc;

use smallvec::SmallVec;

use crate::sql::types::Transformation;

use super::names::ColumnId;

/// How a source comes in, ordered so that the larger one is kept where a column comes in several ways: what decides
/// (window, condition) is less than what flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum How {
    /// The names are not asked for, only the tables of subqueries.
    Skip = 0,
    Window = 1,
    Conditional = 2,
    Identity = 3,
    Transformation = 4,
    Aggregation = 5,
}

impl How {
    const fn of(rank: u32) -> Self {
        match rank & 7 {
            0 => Self::Skip,
            1 => Self::Window,
            2 => Self::Conditional,
            3 => Self::Identity,
            4 => Self::Transformation,
            _ => Self::Aggregation,
        }
    }

    /// What `inner` becomes when its value is used as `self`.
    pub(super) fn over(self, inner: Self) -> Self {
        if self <= Self::Conditional {
            self
        } else if inner <= Self::Conditional {
            inner
        } else {
            self.max(inner)
        }
    }

    /// At least a computation, where a value is more than handed on.
    pub(super) fn computed(self) -> Self {
        if self == Self::Identity { Self::Transformation } else { self }
    }

    pub(super) const fn public(self) -> Transformation {
        match self {
            Self::Skip | Self::Identity => Transformation::Identity,
            Self::Window => Transformation::Window,
            Self::Conditional => Transformation::Conditional,
            Self::Transformation => Transformation::Transformation,
            Self::Aggregation => Transformation::Aggregation,
        }
    }

    pub(super) const fn from_public(how: Transformation) -> Self {
        match how {
            Transformation::Identity => Self::Identity,
            Transformation::Aggregation => Self::Aggregation,
            Transformation::Conditional => Self::Conditional,
            Transformation::Window => Self::Window,
            _ => Self::Transformation,
        }
    }
}

/// A source, packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source(u32);

impl Source {
    pub(super) const fn new(column: ColumnId, how: How) -> Self {
        Self(column.0 << 3 | how as u32)
    }

    pub(super) const fn column(self) -> ColumnId {
        ColumnId(self.0 >> 3)
    }

    pub(super) const fn how(self) -> How {
        How::of(self.0)
    }

    fn used(self, how: How) -> Self {
        Self::new(self.column(), how.over(self.how()))
    }
}

/// A sorted set, one entry a column.
#[derive(Clone, Debug, Default)]
pub(super) enum Sources {
    #[default]
    None,
    One(Source),
    Many(Rc<[Source]>),
}

impl Sources {
    pub(super) const fn one(column: ColumnId) -> Self {
        Self::One(Source::new(column, How::Identity))
    }

    pub(super) fn as_slice(&self) -> &[Source] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The set of both.
    pub(super) fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return other.clone();
        }
        if let (Self::Many(left), Self::Many(right)) = (self, other)
            && (Rc::ptr_eq(left, right) || left == right)
        {
            return self.clone();
        }
        let mut gathered = Gathered::default();
        gathered.add(self, How::Identity);
        gathered.add(other, How::Identity);
        gathered.finish()
    }

    /// The set as a computation leaves it.
    pub(super) fn used(&self, how: How) -> Self {
        let mut gathered = Gathered::default();
        gathered.add(self, how);
        gathered.finish()
    }
}

/// A set being gathered, unsorted.
#[derive(Default)]
pub(super) struct Gathered(SmallVec<[Source; 12]>);

impl Gathered {
    pub(super) fn push(&mut self, column: ColumnId, how: How) {
        self.0.push(Source::new(column, how.over(How::Identity)));
    }

    pub(super) fn add(&mut self, sources: &Sources, how: How) {
        if how == How::Skip {
            return;
        }
        self.0.extend(sources.as_slice().iter().map(|source| source.used(how)));
        if self.0.len() > 1 << 16 {
            self.compact();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn compact(&mut self) {
        self.0.sort_unstable();
        let mut kept = 0;
        for at in 0..self.0.len() {
            if at + 1 < self.0.len() && self.0[at + 1].column() == self.0[at].column() {
                continue;
            }
            self.0[kept] = self.0[at];
            kept += 1;
        }
        self.0.truncate(kept);
    }

    pub(super) fn finish(mut self) -> Sources {
        match self.0.len() {
            0 => Sources::None,
            1 => Sources::One(self.0[0]),
            _ => {
                self.compact();
                if self.0.len() == 1 { Sources::One(self.0[0]) } else { Sources::Many(Rc::from(self.0.as_slice())) }
            }
        }
    }
}
