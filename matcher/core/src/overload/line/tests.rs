//! Turns, bounds, and that nobody waits for ever or pays for another's flood.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { working_max: 4, waiting_max: 20, institution_max: 3 };

fn name(number: u8) -> Arc<str> {
    Arc::from(format!("P{number}"))
}

/// Fills all places with calls of institutions of their own; gives their tickets.
fn busy(limits: Limits) -> (Line, Vec<Ticket>) {
    let mut line = Line::new(limits);
    let start = |number| match line.arrive(&name(200 + number as u8), Class::Live) {
        Arrival::Starts(ticket) => ticket,
        other @ (Arrival::Waits(..) | Arrival::Refused) => panic!("{other:?}"),
    };
    let working = (0..limits.working_max).map(start).collect();
    (line, working)
}

fn wait(line: &mut Line, institution: u8, class: Class) -> Ticket {
    match line.arrive(&name(institution), class) {
        Arrival::Waits(ticket, None) => ticket,
        other @ (Arrival::Starts(_) | Arrival::Waits(..) | Arrival::Refused) => panic!("{other:?}"),
    }
}

#[test]
fn institutions_take_turns() {
    let (mut line, working) = busy(LIMITS);
    let of_one: Vec<_> = (0..3).map(|_| wait(&mut line, 1, Class::Live)).collect();
    let of_two = wait(&mut line, 2, Class::Live);
    let started: Vec<_> = working.into_iter().flat_map(|ticket| line.leave(ticket)).collect();
    assert_eq!(started, [of_one[0], of_two, of_one[1], of_one[2]]);
}

#[test]
fn live_calls_go_first_and_others_are_not_passed_over_for_ever() {
    let limits = Limits { working_max: 1, waiting_max: 100, institution_max: 100 };
    let (mut line, mut working) = busy(limits);
    let deferred = wait(&mut line, 1, Class::Deferred);
    let live: Vec<_> = (0..40).map(|_| wait(&mut line, 2, Class::Live)).collect();
    let mut order = Vec::new();
    while let Some(ticket) = working.pop() {
        let started = line.leave(ticket);
        order.extend(started.clone());
        working.extend(started);
    }
    assert_eq!(order[..16], live[..16]);
    assert_eq!(order[16], deferred);
    assert_eq!(order[17..], live[16..]);
}

#[test]
fn an_institution_holds_no_more_than_its_places_while_others_are_free() {
    let mut line = Line::new(LIMITS);
    for _ in 0..3 {
        assert!(matches!(line.arrive(&name(1), Class::Live), Arrival::Starts(_)));
    }
    let fourth = wait(&mut line, 1, Class::Live);
    assert_eq!(line.ahead(fourth), Some((0, 0)));
    assert!(matches!(line.arrive(&name(2), Class::Live), Arrival::Starts(_)));
}

#[test]
fn a_full_line_refuses_whoever_asks_most_of_the_least_urgent() {
    let (mut line, _) = busy(Limits { waiting_max: 3, ..LIMITS });
    let deferred = wait(&mut line, 1, Class::Deferred);
    let flood: Vec<_> = (0..2).map(|_| wait(&mut line, 2, Class::Live)).collect();
    assert!(matches!(line.arrive(&name(2), Class::Live), Arrival::Waits(_, Some(loser)) if loser == deferred));
    assert!(matches!(line.arrive(&name(3), Class::Live), Arrival::Waits(_, Some(loser)) if !flood.contains(&loser)));
    assert_eq!(line.arrive(&name(2), Class::Live), Arrival::Refused, "it would have the most");
    assert_eq!(line.arrive(&name(4), Class::Deferred), Arrival::Refused, "only more urgent ones wait");
    assert_eq!(line.waiting(), 3);
}

#[test]
fn a_call_knows_how_many_turns_come_before_it() {
    let (mut line, _) = busy(LIMITS);
    let first = wait(&mut line, 1, Class::Live);
    for _ in 0..5 {
        wait(&mut line, 2, Class::Live);
    }
    let behind = wait(&mut line, 1, Class::Live);
    let other = wait(&mut line, 1, Class::Other);
    assert_eq!((line.ahead(first), line.ahead(behind), line.ahead(other)), (Some((1, 0)), Some((3, 1)), Some((7, 2))));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Arrive(u8, Class),
    Finish(usize),
    GiveUp(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let class = prop::sample::select(Class::ALL.to_vec());
    prop_oneof![
        4 => (0_u8..6, class).prop_map(|(institution, class)| Step::Arrive(institution, class)),
        3 => any::<usize>().prop_map(Step::Finish),
        1 => any::<usize>().prop_map(Step::GiveUp),
    ]
}

/// What the line is believed to hold.
#[derive(Default)]
struct Seen {
    working: Vec<Ticket>,
    waiting: Vec<Ticket>,
}

impl Seen {
    fn started(&mut self, tickets: &[Ticket]) {
        self.waiting.retain(|ticket| !tickets.contains(ticket));
        self.working.extend(tickets);
    }

    fn step(&mut self, line: &mut Line, step: Step) {
        match step {
            Step::Arrive(institution, class) => match line.arrive(&name(institution), class) {
                Arrival::Starts(ticket) => self.working.push(ticket),
                Arrival::Waits(ticket, loser) => {
                    self.waiting.push(ticket);
                    self.waiting.retain(|ticket| Some(*ticket) != loser);
                }
                Arrival::Refused => {}
            },
            Step::Finish(number) if !self.working.is_empty() => {
                let ticket = self.working.swap_remove(number % self.working.len());
                self.started(&line.leave(ticket));
            }
            Step::GiveUp(number) if !self.waiting.is_empty() => {
                let ticket = self.waiting.swap_remove(number % self.waiting.len());
                self.started(&line.leave(ticket));
            }
            Step::Finish(_) | Step::GiveUp(_) => {}
        }
    }
}

proptest! {
    #[test]
    fn bounds_hold_and_no_call_is_lost(steps in prop::collection::vec(any_step(), 0..300)) {
        let (mut line, mut seen) = (Line::new(LIMITS), Seen::default());
        for step in steps {
            seen.step(&mut line, step);
            prop_assert_eq!((line.working(), line.waiting()), (seen.working.len(), seen.waiting.len()));
            prop_assert!(line.working() <= LIMITS.working_max && line.waiting() <= LIMITS.waiting_max);
            prop_assert!(line.institutions.values().all(|one| one.working <= LIMITS.institution_max));
            let holds = |class: Class| line.lanes[class.index()].working <= class.share_of(LIMITS.working_max);
            prop_assert!(Class::ALL.into_iter().all(holds));
            prop_assert!(line.choose().is_none() || line.working() == LIMITS.working_max, "a place is free and somebody waits for it");
        }
        // Everybody's turn comes when calls end: nobody starves.
        let mut left: BTreeSet<_> = seen.waiting.iter().copied().collect();
        while let Some(ticket) = seen.working.pop() {
            let started = line.leave(ticket);
            started.iter().for_each(|ticket| { left.remove(ticket); });
            seen.working.extend(started);
        }
        prop_assert!(left.is_empty());
        prop_assert!(line.calls.is_empty() && line.institutions.is_empty());
    }

    #[test]
    fn a_call_that_waits_starts_within_bounds_however_many_come_after(class in prop::sample::select(Class::ALL.to_vec()), institution in 0_u8..3) {
        let limits = Limits { working_max: 2, waiting_max: 50, institution_max: 2 };
        let (mut line, mut working) = busy(limits);
        let mine = wait(&mut line, 9, class);
        let mut starts = 0;
        while !working.contains(&mine) {
            // A flood of live calls of others: each start is followed by two more arrivals.
            for number in [institution, institution + 1] {
                prop_assert!(!matches!(line.arrive(&name(number), Class::Live), Arrival::Waits(_, Some(loser)) if loser == mine) || class != Class::Live);
            }
            if line.ahead(mine).is_none() { break; }
            let ended = working.remove(0);
            let started = line.leave(ended);
            starts += started.len();
            working.extend(started);
            prop_assert!(starts <= 2 * PATIENCE as usize + 4, "passed over {starts} times");
        }
    }

    #[test]
    fn one_flood_leaves_the_others_their_share(flood in 10_usize..200, others in 1_u8..4) {
        let limits = Limits { working_max: 4, waiting_max: 30, institution_max: 4 };
        let (mut line, mut working) = busy(limits);
        for _ in 0..flood {
            let _ = line.arrive(&name(0), Class::Live);
        }
        // Each of the others asks one call at a time; none is refused, and each waits for one turn of everybody at most.
        for number in 1..=others {
            let arrival = line.arrive(&name(number), Class::Live);
            let Arrival::Waits(ticket, _) = arrival else { panic!("{arrival:?}") };
            let (ahead, own) = line.ahead(ticket).unwrap();
            prop_assert!(ahead <= usize::from(number) && own == 0, "{ahead} ahead");
            let mut turns = 0;
            while line.ahead(ticket).is_some() {
                let ended = working.remove(0);
                working.extend(line.leave(ended));
                turns += 1;
            }
            prop_assert!(turns <= usize::from(others) + 1, "{turns} turns");
        }
    }
}
