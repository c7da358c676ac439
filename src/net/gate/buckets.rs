//! Token buckets, one for each of many keys, in bounded memory.
//!
//! Of a bucket only the time is kept at which it will be full again; one that is full is not kept at all. When the table
//! is full, the fullest buckets are forgotten first: whoever has used up its own gets it back sooner only by using up as
//! much under half as many other keys as the table holds.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// What a bucket holds and how fast it fills.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// Tokens of a full bucket.
    burst: u32,
    /// The time in which one token flows back.
    refill: Duration,
}

impl Flow {
    /// A bucket of `burst` tokens into which `count` flow in a time; `None`, i.e. no limit, if either is 0.
    pub(super) fn new(burst: u32, count: u32, time: Duration) -> Option<Self> {
        (burst > 0 && count > 0).then(|| Self { burst, refill: time / count })
    }

    /// The time that an empty bucket takes to be full.
    fn whole(self) -> Duration {
        self.refill * self.burst
    }
}

/// The buckets that are not full.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    full_at: HashMap<K, Instant>,
    entries_max: usize,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    /// Full buckets for every key; of those that are not full, so many are remembered.
    pub(super) fn new(entries_max: usize) -> Self {
        Self { full_at: HashMap::new(), entries_max }
    }

    /// Whether there is a token.
    pub(super) fn has(&self, key: K, flow: Flow, now: Instant) -> bool {
        self.missing(key, now) + flow.refill <= flow.whole()
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, key: K, flow: Flow, now: Instant) -> bool {
        let has = self.has(key, flow, now);
        if has {
            self.spend(key, flow, now);
        }
        has
    }

    /// Takes a token, also one that is not there: attempts side by side are each asked before any of them fails. Nobody
    /// owes more than a whole bucket, so the lock that follows ends in the time of one.
    pub(super) fn spend(&mut self, key: K, flow: Flow, now: Instant) {
        let missing = (self.missing(key, now) + flow.refill).min(flow.whole() * 2);
        if self.full_at.len() >= self.entries_max && !self.full_at.contains_key(&key) {
            self.make_room(now);
        }
        self.full_at.insert(key, now + missing);
    }

    /// Makes the bucket full.
    pub(super) fn fill(&mut self, key: K) {
        self.full_at.remove(&key);
    }

    /// The time until the bucket is full.
    fn missing(&self, key: K, now: Instant) -> Duration {
        self.full_at.get(&key).map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// Forgets what is full, and if that is less than a quarter, the fuller half: so that the next look over all comes
    /// only after many new ones.
    fn make_room(&mut self, now: Instant) {
        self.full_at.retain(|_, at| *at > now);
        if self.full_at.len() > self.entries_max / 4 * 3 {
            let mut times: Vec<Instant> = self.full_at.values().copied().collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.full_at.retain(|_, at| *at > median);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Three at once, then one a second.
    fn flow() -> Flow {
        Flow::new(3, 60, 60 * SECOND).unwrap()
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_what_flows_back() {
        let (mut buckets, now) = (Buckets::new(10), Instant::now());
        let mut taken_at = |now| (0..10).filter(|_| buckets.take('a', flow(), now)).count();
        assert_eq!(taken_at(now), 3);
        assert_eq!(taken_at(now + SECOND / 2), 0, "what was refused costs nothing, but nothing is there yet");
        assert_eq!(taken_at(now + 2 * SECOND), 2);
        assert_eq!(taken_at(now + 60 * SECOND), 3, "it does not grow beyond its size");
        assert!(buckets.take('b', flow(), now));
    }

    #[test]
    fn zero_is_no_limit() {
        assert!(Flow::new(0, 5, SECOND).is_none() && Flow::new(5, 0, SECOND).is_none());
        let flow = Flow::new(u32::MAX, 1, 600 * SECOND).unwrap();
        let (mut buckets, now) = (Buckets::new(1), Instant::now());
        assert!((0..1_000).all(|_| buckets.take('a', flow, now)));
    }

    #[test]
    fn what_is_owed_has_an_end() {
        let (mut buckets, now) = (Buckets::new(10), Instant::now());
        (0..1_000).for_each(|_| buckets.spend('a', flow(), now));
        assert!(!buckets.has('a', flow(), now + 3 * SECOND));
        assert!(buckets.has('a', flow(), now + 4 * SECOND));
        buckets.fill('a');
        assert!(buckets.has('a', flow(), now));
    }

    #[test]
    fn an_empty_bucket_outlives_a_flood_of_other_keys_in_a_bounded_table() {
        let (mut buckets, now) = (Buckets::new(100), Instant::now());
        (0..3).for_each(|_| assert!(buckets.take(0, flow(), now)));
        for key in 1..10_000 {
            assert!(buckets.take(key, flow(), now + Duration::from_nanos(key)));
            assert!(buckets.full_at.len() <= 100);
        }
        assert!(!buckets.has(0, flow(), now + SECOND / 2));
        assert!(buckets.has(0, flow(), now + SECOND));
    }

    #[test]
    fn what_is_full_again_makes_room_first() {
        let (mut buckets, now) = (Buckets::new(100), Instant::now());
        (0..50).for_each(|key| assert!(buckets.take(key, flow(), now)));
        (50..100).for_each(|key| assert!(buckets.take(key, flow(), now + 5 * SECOND)));
        assert!(buckets.take(100, flow(), now + 5 * SECOND));
        assert_eq!(buckets.full_at.len(), 51);
    }
}
