//! Named, seeded streams of random numbers, so that a seed replays a run exactly and a new consumer of randomness does
//! not shift the numbers of the others. Not for secrets.

use uuid::Uuid;

/// SplitMix64 (Steele, Lea and Flood): eight bytes of state, every seed is a good seed.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The stream called `name` of this seed. Two names give independent streams.
    pub fn stream(seed: u64, name: &str) -> Self {
        // FNV-1a keeps the name's influence stable across compilers, which the standard hasher does not promise.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut stream = Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hash };
        stream.next_u64();
        stream
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..limit`; 0 when `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(limit);
        u64::try_from(wide >> 64).expect("the upper half of a product of two u64 fits u64")
    }

    /// A number in `low..=high`; `low` when the range is empty.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high.saturating_sub(low)).unwrap_or(0).saturating_add(1);
        low.saturating_add(i64::try_from(self.below(width)).unwrap_or(i64::MAX))
    }

    /// True with this probability. Draws one number whatever the probability, so that switching a fault off does not
    /// shift the decisions that follow.
    pub fn chance(&mut self, probability: f64) -> bool {
        let unit = (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < probability
    }

    /// One of the items; `None` of an empty slice.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len() as u64);
        items.get(usize::try_from(index).unwrap_or(0))
    }

    /// A random (version 4) identifier.
    pub fn uuid(&mut self) -> Uuid {
        let value = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        uuid::Builder::from_random_bytes(value.to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_replays_and_differs_from_its_neighbours() {
        let draw = |seed, name| {
            let mut rng = Rng::stream(seed, name);
            [rng.next_u64(), rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(draw(7, "faults"), draw(7, "faults"));
        assert_ne!(draw(7, "faults"), draw(7, "ids"));
        assert_ne!(draw(7, "faults"), draw(8, "faults"));
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_its_ends() {
        let mut rng = Rng::stream(1, "range");
        let drawn: Vec<i64> = (0..1000).map(|_| rng.between(-2, 2)).collect();
        assert_eq!(drawn.iter().min(), Some(&-2));
        assert_eq!(drawn.iter().max(), Some(&2));
        assert_eq!(rng.between(5, 4), 5);
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn chances_hold_roughly_and_certainly_at_the_ends() {
        let mut rng = Rng::stream(1, "chance");
        assert!(!(0..1000).any(|_| rng.chance(0.0)));
        assert!((0..1000).all(|_| rng.chance(1.0)));
        let hits = (0..10_000).filter(|_| rng.chance(0.25)).count();
        assert!((2200..2800).contains(&hits), "{hits} of 10000 at a quarter");
    }
}
