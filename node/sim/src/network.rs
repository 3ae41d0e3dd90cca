//! Links: each delivers in order and takes its time, or is broken and delivers nothing.

use std::collections::BTreeMap;

use goodwatt_units::Millis;

use crate::topology::Topology;

/// One connection between two validators.
#[derive(Clone, Debug, Default)]
struct Link {
    /// Counts connections: what was under way on a former one is lost.
    generation: u64,
    is_up: bool,
    /// When the last message arrives, by direction.
    busy_until: [Millis; 2],
}

/// All links.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    links: BTreeMap<(usize, usize), Link>,
    pub(crate) latency: Millis,
    /// Messages sent.
    pub(crate) packets: u64,
}

fn name(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl Network {
    pub(crate) fn new(topology: &Topology, latency: Millis) -> Self {
        let links = topology.edges().iter().map(|edge| (*edge, Link::default())).collect();
        Self { links, latency, packets: 0 }
    }

    /// All connections, up or not.
    pub(crate) fn edges(&self) -> Vec<(usize, usize)> {
        self.links.keys().copied().collect()
    }

    /// Who is connected to `node` now.
    pub(crate) fn neighbours(&self, node: usize) -> Vec<usize> {
        let up = self.links.iter().filter(|(_, link)| link.is_up);
        let other = |(a, b): (usize, usize)| match node {
            _ if a == node => Some(b),
            _ if b == node => Some(a),
            _ => None,
        };
        up.filter_map(|(edge, _)| other(*edge)).collect()
    }

    pub(crate) fn is_up(&self, a: usize, b: usize) -> bool {
        self.links.get(&name(a, b)).is_some_and(|link| link.is_up)
    }

    /// Connects or disconnects; tells whether that changed anything.
    pub(crate) fn set_up(&mut self, a: usize, b: usize, is_up: bool) -> bool {
        let Some(link) = self.links.get_mut(&name(a, b)) else { return false };
        let changed = link.is_up != is_up;
        if changed {
            link.is_up = is_up;
            link.generation += 1;
            link.busy_until = [Millis::new(0); 2];
        }
        changed
    }

    /// When a message sent now arrives, and on which connection; `None` where there is none.
    pub(crate) fn send(
        &mut self,
        from: usize,
        to: usize,
        now: Millis,
        late: Millis,
    ) -> Option<(Millis, u64)> {
        let latency = self.latency;
        let link = self.links.get_mut(&name(from, to)).filter(|link| link.is_up)?;
        self.packets += 1;
        let direction = usize::from(from < to);
        let arrival = now.saturating_add(latency).saturating_add(late);
        let arrival = arrival.max(link.busy_until[direction]);
        link.busy_until[direction] = arrival;
        Some((arrival, link.generation))
    }

    /// Whether a message of this connection still arrives.
    pub(crate) fn arrives(&self, from: usize, to: usize, generation: u64) -> bool {
        self.links
            .get(&name(from, to))
            .is_some_and(|link| link.is_up && link.generation == generation)
    }
}
