//! What will happen, in the order of its time; of one time, in the order it was planned.

use std::collections::BTreeMap;

use goodwatt_units::Millis;

/// Events to come.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    events: BTreeMap<(Millis, u64), E>,
    count: u64,
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), count: 0 }
    }
}

impl<E> Agenda<E> {
    pub(crate) fn plan(&mut self, time: Millis, event: E) {
        self.count += 1;
        self.events.insert((time, self.count), event);
    }

    /// When the next event happens.
    pub(crate) fn next_at(&self) -> Option<Millis> {
        self.events.keys().next().map(|(time, _)| *time)
    }

    /// Takes the next event out.
    pub(crate) fn take_next(&mut self) -> Option<E> {
        self.events.pop_first().map(|(_, event)| event)
    }
}
