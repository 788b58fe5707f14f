//! The line: calls that are worked on and calls that wait, and who is next.
//!
//! Live calls go first; of each class the institutions take turns, so that one that floods waits behind itself. A
//! class that was passed over for long gets a turn all the same. When the line is full, whoever has the most waiting
//! of the least urgent class loses its newest call: a newcomer that asks less than others is never refused for them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::Class;

/// Starts of more urgent calls that a waiting class is passed over for before it gets a turn.
const PATIENCE: u32 = 16;

/// How many calls may be where; all at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Worked on at once.
    pub working_max: usize,
    /// Waiting, of all classes and institutions.
    pub waiting_max: usize,
    /// Worked on at once for one institution.
    pub institution_max: usize,
}

/// Names a call in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What becomes of a call that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It is worked on now.
    Starts(Ticket),
    /// It waits; another that waited may have lost its place and is refused instead.
    Waits(Ticket, Option<Ticket>),
    /// The line is full, and nobody in it should rather be refused.
    Refused,
}

#[derive(Debug)]
struct Call {
    institution: Arc<str>,
    class: Class,
    working: bool,
}

#[derive(Debug, Default)]
struct Institution {
    working: usize,
    waiting: [VecDeque<Ticket>; 3],
}

impl Institution {
    fn waits(&self, class: Class) -> usize {
        self.waiting.get(class.index()).map_or(0, VecDeque::len)
    }

    fn is_idle(&self) -> bool {
        self.working == 0 && self.waiting.iter().all(VecDeque::is_empty)
    }
}

/// Of one class: the institutions that have calls waiting in the order of their turns, and how it fared.
#[derive(Debug, Default)]
struct Lane {
    turns: VecDeque<Arc<str>>,
    working: usize,
    waiting: usize,
    passed_over: u32,
}

/// The calls of one center.
#[derive(Debug)]
pub struct Line {
    limits: Limits,
    next: u64,
    calls: BTreeMap<Ticket, Call>,
    institutions: BTreeMap<Arc<str>, Institution>,
    lanes: [Lane; 3],
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, next: 0, calls: BTreeMap::new(), institutions: BTreeMap::new(), lanes: Default::default() }
    }

    /// Calls that are worked on.
    #[must_use]
    pub fn working(&self) -> usize {
        self.lanes.iter().map(|lane| lane.working).sum()
    }

    /// Calls that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting).sum()
    }

    /// A call comes.
    pub fn arrive(&mut self, institution: &Arc<str>, class: Class) -> Arrival {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.calls.insert(ticket, Call { institution: Arc::clone(institution), class, working: false });
        self.queue(ticket, institution, class);
        // Nobody who could be started waits between two calls of this, so it is this one or none.
        if self.start().contains(&ticket) {
            return Arrival::Starts(ticket);
        }
        if self.waiting() <= self.limits.waiting_max {
            return Arrival::Waits(ticket, None);
        }
        match self.least_entitled() {
            Some(loser) if loser != ticket => {
                self.remove(loser);
                Arrival::Waits(ticket, Some(loser))
            }
            Some(_) | None => {
                self.remove(ticket);
                Arrival::Refused
            }
        }
    }

    /// A call ends, or gives up waiting; says which start now. A ticket that is not in the line changes nothing.
    #[must_use]
    pub fn leave(&mut self, ticket: Ticket) -> Vec<Ticket> {
        self.remove(ticket);
        self.start()
    }

    /// How many turns it takes until a waiting call starts: of the whole line, and of its institution alone. Nothing
    /// when it does not wait.
    #[must_use]
    pub fn ahead(&self, ticket: Ticket) -> Option<(usize, usize)> {
        let call = self.calls.get(&ticket).filter(|call| !call.working)?;
        let own = self.institutions.get(&call.institution)?;
        let place = own.waiting.get(call.class.index())?.iter().position(|other| *other == ticket)?;
        let urgent = |class: &Class| *class < call.class;
        let own_urgent: usize = Class::ALL.into_iter().filter(urgent).map(|class| own.waits(class)).sum();
        let all_urgent: usize = self.lanes.iter().take(call.class.index()).map(|lane| lane.waiting).sum();
        let turns = &self.lanes.get(call.class.index())?.turns;
        let beside = turns.iter().filter(|name| **name != call.institution).filter_map(|name| self.institutions.get(name));
        let beside: usize = beside.map(|other| other.waits(call.class).min(place + 1)).sum();
        Some((all_urgent + beside + place, own_urgent + place))
    }

    fn queue(&mut self, ticket: Ticket, institution: &Arc<str>, class: Class) {
        let entry = self.institutions.entry(Arc::clone(institution)).or_default();
        let (Some(waiting), Some(lane)) = (entry.waiting.get_mut(class.index()), self.lanes.get_mut(class.index())) else { return };
        if waiting.is_empty() {
            lane.turns.push_back(Arc::clone(institution));
        }
        waiting.push_back(ticket);
        lane.waiting += 1;
    }

    /// Starts whoever may, the most entitled first.
    fn start(&mut self) -> Vec<Ticket> {
        let mut started = Vec::new();
        while self.working() < self.limits.working_max
            && let Some((class, turn)) = self.choose()
        {
            started.extend(self.start_at(class, turn));
        }
        started
    }

    /// Whose turn it is: a class, and the place of an institution among its turns.
    fn choose(&self) -> Option<(Class, usize)> {
        let may_start = |class: Class| Some((class, self.turn_of(class)?));
        let impatient = |(class, _): &(Class, usize)| self.lanes.get(class.index()).is_some_and(|lane| lane.passed_over >= PATIENCE);
        let mut able = Class::ALL.into_iter().filter_map(may_start);
        able.clone().find(impatient).or_else(|| able.next())
    }

    fn turn_of(&self, class: Class) -> Option<usize> {
        let lane = self.lanes.get(class.index())?;
        let has_room = |name: &Arc<str>| self.institutions.get(name).is_some_and(|one| one.working < self.limits.institution_max);
        (lane.working < class.share_of(self.limits.working_max)).then(|| lane.turns.iter().position(has_room)).flatten()
    }

    fn start_at(&mut self, class: Class, turn: usize) -> Option<Ticket> {
        for later in Class::ALL.into_iter().filter(|later| *later > class) {
            let waits = self.turn_of(later).is_some();
            if let Some(lane) = self.lanes.get_mut(later.index()).filter(|_| waits) {
                lane.passed_over += 1;
            }
        }
        let lane = self.lanes.get_mut(class.index())?;
        let name = lane.turns.remove(turn)?;
        let institution = self.institutions.get_mut(&name)?;
        let waiting = institution.waiting.get_mut(class.index())?;
        let ticket = waiting.pop_front()?;
        if !waiting.is_empty() {
            lane.turns.push_back(name);
        }
        institution.working += 1;
        (lane.working, lane.waiting, lane.passed_over) = (lane.working + 1, lane.waiting - 1, 0);
        self.calls.get_mut(&ticket)?.working = true;
        Some(ticket)
    }

    /// The newest call of whoever has the most waiting in the least urgent class.
    fn least_entitled(&self) -> Option<Ticket> {
        let class = Class::ALL.into_iter().rev().find(|class| self.lanes.get(class.index()).is_some_and(|lane| lane.waiting > 0))?;
        let turns = &self.lanes.get(class.index())?.turns;
        let waiting = turns.iter().filter_map(|name| self.institutions.get(name)?.waiting.get(class.index()));
        waiting.max_by_key(|waiting| (waiting.len(), waiting.back().copied()))?.back().copied()
    }

    fn remove(&mut self, ticket: Ticket) {
        let Some(call) = self.calls.remove(&ticket) else { return };
        let index = call.class.index();
        let (Some(institution), Some(lane)) = (self.institutions.get_mut(&call.institution), self.lanes.get_mut(index)) else { return };
        if call.working {
            institution.working -= 1;
            lane.working -= 1;
        } else if let Some(waiting) = institution.waiting.get_mut(index) {
            waiting.retain(|other| *other != ticket);
            lane.waiting -= 1;
            if waiting.is_empty() {
                lane.turns.retain(|name| *name != call.institution);
            }
        }
        if institution.is_idle() {
            self.institutions.remove(&call.institution);
        }
    }
}

#[cfg(test)]
mod tests;
