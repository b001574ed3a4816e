//! Random draws that depend on a seed and nothing else: SplitMix64.

/// A random number that depends on these two numbers only.
pub fn draw(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sequence of draws.
#[derive(Clone, Debug)]
pub struct Dice {
    seed: u64,
    index: u64,
}

impl Dice {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, index: 0 }
    }

    /// The next draw below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.index += 1;
        draw(self.seed, self.index) % bound
    }

    /// The next draw from `from..=to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// One of several, which are not none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Puts them into a random order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_everything_and_bounds_hold() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            let mut order: Vec<u32> = (0..20).collect();
            dice.shuffle(&mut order);
            ((0..50).map(|_| dice.between(3, 7)).collect::<Vec<_>>(), order)
        };
        let (numbers, order) = rolls(1);
        assert_eq!((numbers.clone(), order.clone()), rolls(1));
        assert_ne!(numbers, rolls(2).0);
        assert!((3..=7).all(|wanted| numbers.contains(&wanted)) && numbers.iter().all(|n| (3..=7).contains(n)));
        assert!(order != (0..20).collect::<Vec<_>>() && (0..20).all(|n| order.contains(&n)));
    }
}
