//! Places for connections: so many and no more, and who is silent longest gives way.
//!
//! Without this, who opens connections and says nothing locks all others out. No timer runs for a
//! connection: [`Places::sweep`] is a job of the one scheduler while there are any, and none else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

/// How many connections there may be, and for how long silent ones.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most at one time.
    pub connections_max: usize,
    /// Who is silent for longer is closed.
    pub silence_max: Duration,
}

/// The places of one listener.
#[derive(Clone, Debug)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    table: Mutex<Table>,
    /// A place became free, or who holds it can be closed.
    freed: Notify,
    /// The first came or the last went: the next sweep is another one.
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    since: Instant,
    /// Its call is waited for, so that silence is no fault of its.
    is_waiting: bool,
    close: oneshot::Sender<()>,
}

/// Ends when its connection has to be closed.
pub type Closed = oneshot::Receiver<()>;

/// The place of one connection; free again when dropped.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    number: u64,
}

impl Places {
    /// Places that are all free; `changed` is told when the next sweep is another one.
    #[must_use]
    pub fn new(limits: Limits, changed: Arc<Notify>) -> Self {
        let (table, freed) = (Mutex::default(), Notify::new());
        Self(Arc::new(Shared { limits, table, freed, changed }))
    }

    /// Takes a place. Where none is free, who is silent longest is closed; where every call is
    /// waited for, this waits as well.
    pub async fn take(&self) -> (Place, Closed) {
        loop {
            if let Some(taken) = self.try_take(Instant::now()) {
                return taken;
            }
            self.0.freed.notified().await;
        }
    }

    fn try_take(&self, now: Instant) -> Option<(Place, Closed)> {
        let mut table = self.0.lock();
        if table.held.len() >= self.0.limits.connections_max {
            let silent = table.held.iter().filter(|(_, held)| !held.is_waiting);
            let longest = *silent.min_by_key(|(_, held)| held.since)?.0;
            tracing::debug!("all places are taken: the connection silent longest is closed");
            table.close(longest);
        }
        if table.held.is_empty() {
            self.0.changed.notify_one();
        }
        let (close, closed) = oneshot::channel();
        let number = table.next;
        table.next += 1;
        table.held.insert(number, Held { since: now, is_waiting: false, close });
        Some((Place { shared: Arc::clone(&self.0), number }, closed))
    }

    /// When [`Self::sweep`] is due, if there is anybody.
    #[must_use]
    pub fn next_sweep(&self) -> Option<Instant> {
        let first = self.0.lock().held.values().map(|held| held.since).min()?;
        first.checked_add(self.0.limits.silence_max)
    }

    /// Closes who was silent for too long.
    pub fn sweep(&self, now: Instant) {
        let mut table = self.0.lock();
        let mut silent = Vec::new();
        for (number, held) in &mut table.held {
            if held.is_waiting {
                held.since = now;
            } else if now.saturating_duration_since(held.since) >= self.0.limits.silence_max {
                silent.push(*number);
            }
        }
        if !silent.is_empty() {
            tracing::debug!("{} silent connections are closed", silent.len());
        }
        silent.into_iter().for_each(|number| table.close(number));
        drop(table);
        self.0.freed.notify_one();
    }
}

impl Shared {
    /// What is done under the lock leaves the table whole, so that a panic elsewhere is no reason
    /// to lock everybody out.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn close(&mut self, number: u64) {
        if let Some(held) = self.held.remove(&number) {
            // A connection that is gone needs no telling.
            let _gone = held.close.send(());
        }
    }
}

impl Place {
    /// Its call is waited for from now on: it is not closed until it spoke.
    pub fn waits(&self) {
        self.note(true);
    }

    /// Its call was answered; silence counts from now on.
    pub fn spoke(&self) {
        self.note(false);
        self.shared.freed.notify_one();
    }

    fn note(&self, is_waiting: bool) {
        if let Some(held) = self.shared.lock().held.get_mut(&self.number) {
            (held.is_waiting, held.since) = (is_waiting, Instant::now());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.shared.lock();
        table.held.remove(&self.number);
        if table.held.is_empty() {
            self.shared.changed.notify_one();
        }
        drop(table);
        self.shared.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const SILENCE_MAX: Duration = Duration::from_secs(60);

    fn places(connections_max: usize) -> (Places, Arc<Notify>) {
        let changed = Arc::new(Notify::new());
        let limits = Limits { connections_max, silence_max: SILENCE_MAX };
        (Places::new(limits, Arc::clone(&changed)), changed)
    }

    fn is_open(closed: &mut Closed) -> bool {
        closed.try_recv() == Err(oneshot::error::TryRecvError::Empty)
    }

    /// What a future says when it is asked once.
    fn ask<F: Future>(future: F) -> Option<F::Output> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_is_silent_longest_gives_way() {
        let (places, _) = places(3);
        let mut held: Vec<_> = (0..3).map(|_| ask(places.take()).expect("free")).collect();
        held[0].0.spoke();
        let (_fourth, mut fourth) = ask(places.take()).expect("one gives way");
        let open: Vec<bool> = held.iter_mut().map(|(_, closed)| is_open(closed)).collect();
        assert_eq!(open, [true, false, true], "the second said nothing since the first spoke");
        assert!(is_open(&mut fourth));
        drop(held.remove(1));
        assert!(ask(places.take()).is_some(), "and its place is not free twice");
        assert!(!is_open(&mut held[1].1));
    }

    #[test]
    fn who_waits_for_an_answer_is_not_closed() {
        let (places, _) = places(2);
        let mut held: Vec<_> = (0..2).map(|_| ask(places.take()).expect("free")).collect();
        held.iter().for_each(|(place, _)| place.waits());
        assert!(ask(places.take()).is_none(), "the next one waits as well");
        places.sweep(Instant::now() + 10 * SILENCE_MAX);
        assert!(held.iter_mut().all(|(_, closed)| is_open(closed)));
        held[1].0.spoke();
        assert!(ask(places.take()).is_some());
        assert!(is_open(&mut held[0].1) && !is_open(&mut held[1].1));
    }

    #[test]
    fn who_waits_for_a_place_gets_the_one_that_becomes_free() {
        let (places, _) = places(1);
        let (place, _closed) = ask(places.take()).expect("free");
        place.waits();
        let mut next = pin!(places.take());
        let mut context = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut context).is_pending());
        drop(place);
        assert!(next.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn a_sweep_closes_the_silent_and_is_due_only_while_there_are_connections() {
        let (places, changed) = places(3);
        assert_eq!(places.next_sweep(), None);
        assert!(ask(changed.notified()).is_none());
        let begin = Instant::now();
        let (first, mut first_closed) = ask(places.take()).expect("free");
        assert!(ask(changed.notified()).is_some(), "a sweep is due");
        let (second, mut second_closed) = ask(places.take()).expect("free");
        assert!(ask(changed.notified()).is_none(), "the same as before");
        let due = places.next_sweep().expect("somebody is there");
        assert!(due >= begin + SILENCE_MAX && due <= Instant::now() + SILENCE_MAX);
        places.sweep(due - Duration::from_millis(1));
        assert!(is_open(&mut first_closed) && is_open(&mut second_closed));
        second.spoke();
        places.sweep(due);
        assert!(!is_open(&mut first_closed) && is_open(&mut second_closed));
        assert!(places.next_sweep() > Some(due));
        drop(first);
        assert!(ask(changed.notified()).is_none());
        drop(second);
        assert!(ask(changed.notified()).is_some(), "no sweep is due any more");
        assert_eq!(places.next_sweep(), None);
    }
}
