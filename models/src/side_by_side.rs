//! The frames of one probe side by side: a till waits for them, and a counter has more than one core.
//!
//! What comes out stands in the order of what went in, so that whatever is summed over frames is the same to the last bit.
//! Not here: many photos (whoever has many, has their threads).

use std::{panic, thread};

/// The outcome for each item, in their order; one item is worked on without another thread.
pub fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let work = &work;
    match items {
        [] => Vec::new(),
        [first, others @ ..] => thread::scope(|scope| {
            let running: Vec<_> = others.iter().map(|item| scope.spawn(move || work(item))).collect();
            let first = work(first);
            let others = running.into_iter().map(|thread| thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload)));
            std::iter::once(first).chain(others).collect()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(items: &[u32], expected: &[u32]) {
        assert_eq!(side_by_side(items, |item| item * 2), expected);
    }

    #[test]
    fn outcomes_stand_in_the_order_of_items() {
        check(&[], &[]);
        check(&[3], &[6]);
        check(&[5, 1, 4, 2], &[10, 2, 8, 4]);
    }

    #[test]
    fn a_panic_is_not_lost() {
        let caught = panic::catch_unwind(|| side_by_side(&[1, 2], |&item| assert!(item < 2, "no")));
        assert!(caught.is_err());
    }
}
