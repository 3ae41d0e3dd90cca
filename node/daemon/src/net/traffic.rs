//! What went over all connections since the start, by kind.

use std::sync::atomic::{AtomicU64, Ordering};

use super::kind::Kind;

/// Frames and bytes of one kind since the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Traffic {
    /// Of which kind.
    pub kind: Kind,
    /// Frames that came.
    pub frames_in: u64,
    /// Frames that went out.
    pub frames_out: u64,
    /// Their bytes, headers counted, TLS and TCP not.
    pub bytes_in: u64,
    /// The same.
    pub bytes_out: u64,
}

/// Which way a frame went.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    In,
    Out,
}

/// The counters; hellos are not counted, as they come before there is a connection.
#[derive(Debug, Default)]
pub(super) struct Counters([[AtomicU64; 4]; Kind::ALL.len()]);

impl Counters {
    pub(super) fn count(&self, kind: Kind, way: Way, bytes: usize) {
        let row = Kind::ALL.into_iter().zip(&self.0).find(|(of, _)| *of == kind);
        let [frames_in, bytes_in, frames_out, bytes_out] = row.expect("every kind has a row").1;
        let (frames, sum) = match way {
            Way::In => (frames_in, bytes_in),
            Way::Out => (frames_out, bytes_out),
        };
        frames.fetch_add(1, Ordering::Relaxed);
        sum.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Vec<Traffic> {
        let rows = Kind::ALL.into_iter().zip(&self.0);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        rows.map(|(kind, [frames_in, bytes_in, frames_out, bytes_out])| Traffic {
            kind,
            frames_in: read(frames_in),
            frames_out: read(frames_out),
            bytes_in: read(bytes_in),
            bytes_out: read(bytes_out),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_counters_of_its_own() {
        let counters = Counters::default();
        counters.count(Kind::Tip, Way::In, 10);
        counters.count(Kind::Tip, Way::Out, 3);
        counters.count(Kind::Tip, Way::Out, 4);
        for row in counters.read() {
            let want = if row.kind == Kind::Tip { [1, 2, 10, 7] } else { [0; 4] };
            let Traffic { frames_in, frames_out, bytes_in, bytes_out, kind } = row;
            assert_eq!([frames_in, frames_out, bytes_in, bytes_out], want, "{kind}");
        }
    }
}
