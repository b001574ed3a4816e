//! How many different users there are, where there are too many to list them.
//!
//! HyperLogLog (Flajolet et al., 2007) over a hash of 64 bits, with linear counting while few registers are in use. Own
//! code, because it lies in topics and states for years: what a crate's hash and layout are is its own affair.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::counts::hash;

/// 2,048 registers: a standard error of 1.04/√2048 = 2.3 %.
const BITS: u32 = 11;
const REGISTERS: usize = 1 << BITS;

/// The set of users as far as it can be counted. The same for the same set, whatever the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sketch(Vec<u8>);

impl Sketch {
    /// Of nobody.
    pub fn empty() -> Self {
        Self(vec![0; REGISTERS])
    }

    /// Adds a user.
    pub fn add(&mut self, user: &str) {
        let hash = hash(user);
        let place = (hash >> (64 - BITS)) as usize;
        let zeros = (hash << BITS).leading_zeros().min(64 - BITS) as u8;
        if let Some(register) = self.0.get_mut(place) {
            *register = (*register).max(zeros + 1);
        }
    }

    /// Adds all users of another one.
    pub fn join(&mut self, other: &Self) {
        for (register, theirs) in self.0.iter_mut().zip(&other.0) {
            *register = (*register).max(*theirs);
        }
    }

    /// How many users there are, roughly.
    pub fn estimate(&self) -> i64 {
        let count = REGISTERS as f64;
        let sum: f64 = self.0.iter().map(|register| 2_f64.powi(-i32::from(*register))).sum();
        let alpha = 0.7213 / (1.0 + 1.079 / count);
        let raw = alpha * count * count / sum;
        let unused = self.0.iter().filter(|register| **register == 0).count();
        let best = if raw <= 2.5 * count && unused > 0 { count * (count / unused as f64).ln() } else { raw };
        best.round() as i64
    }

    /// As text.
    pub fn text(&self) -> String {
        STANDARD_NO_PAD.encode(&self.0)
    }

    /// From its text; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        STANDARD_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == REGISTERS).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_within_a_few_standard_errors() {
        for users in [1_i64, 50, 1_000, 5_000, 20_000, 100_000] {
            let mut sketch = Sketch::empty();
            (0..users).for_each(|user| sketch.add(&format!("user-{user}")));
            let error = (sketch.estimate() - users).abs() as f64 / users as f64;
            assert!(error < 0.07, "{users}: {}", sketch.estimate());
        }
        assert_eq!(Sketch::empty().estimate(), 0);
    }

    #[test]
    fn joined_sketches_are_those_of_the_joined_sets() {
        let of = |users: std::ops::Range<i32>| {
            let mut sketch = Sketch::empty();
            users.for_each(|user| sketch.add(&user.to_string()));
            sketch
        };
        let mut joined = of(500..1_000);
        joined.join(&of(0..700));
        assert_eq!(joined, of(0..1_000));
        assert_eq!(Sketch::parse(&joined.text()), Some(joined));
        for text in ["", "AAAA", "not base64!"] {
            assert_eq!(Sketch::parse(text), None);
        }
    }
}
