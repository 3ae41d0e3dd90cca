//! Measuring on real prints: how often the owner gets in, and how often somebody else.
//!
//! Files are named `FFF_I.png`: finger, impression. Impressions 1 to 5 are enrolled, 6 to 8 are
//! tried; impostors are all impressions of all other fingers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::extract::Print;
use crate::fuse::fuse;
use crate::image::{Image, ImageError};
use crate::random::Seeded;
use crate::vault::{Budget, Helper, Impostors, K_MAX, Locked, attempt, choose_k, lock, open};

/// Security that enrolment asks for, in bits.
pub const SECURITY_BITS: f64 = 32.0;
/// Impressions that are enrolled; the later ones are tried.
const ENROLLED: u32 = 5;

/// How k is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Policy {
    /// The same for every finger.
    Fixed(usize),
    /// As enrolment does: the smallest that is hard enough, or no vault.
    Shipped,
}

/// What was measured with one policy.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Figures {
    /// Name of the folder.
    pub set: String,
    /// Fingers in it.
    pub fingers: usize,
    /// Fingers of which enrolment would make no vault; they count as never accepted.
    pub refused: usize,
    /// `8`, `10` or `policy`.
    pub k: String,
    /// How often the smallest to the largest k was taken.
    pub k_taken: BTreeMap<usize, usize>,
    /// Single placements of the owner.
    pub genuine_trials: usize,
    /// Share of them that opened.
    pub genuine_accept_rate: f64,
    /// Share of fingers that opened with up to three placements.
    pub session_accept_rate: f64,
    /// Placements of somebody else.
    pub impostor_trials: usize,
    /// How many of them opened.
    pub false_accepts: usize,
    /// What the share of false accepts is below with a confidence of 95 %.
    pub false_accept_upper_95: f64,
    /// Mean probability of an impostor to open within the budget.
    pub mean_opening_probability: f64,
    /// Minus the binary logarithm of the mean success of one guess of an impostor.
    pub security_bits: f64,
    /// From image to secret, of one core, median over the trials of owners and of others.
    pub ms_median: f64,
    /// From image to secret, 99 of a hundred.
    pub ms_p99: f64,
    /// Peak memory of the extracting process.
    pub peak_kib: u64,
}

/// One image read.
pub struct Sample {
    /// Its minutiae.
    pub print: Print,
    /// How long extraction took.
    pub took: Duration,
}

/// Fingers and their impressions.
pub type Set = BTreeMap<u32, BTreeMap<u32, Sample>>;

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The folder cannot be read.
    #[error("{path} cannot be read: {error}")]
    Read {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is no image.
    #[error("{path}: {error}")]
    Image {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: ImageError,
    },
    /// There is nothing to enrol and to try.
    #[error(
        "{0} has no two fingers with impressions 1 to 6: files are named FFF_I.png, finger and impression"
    )]
    Few(PathBuf),
}

/// What this thread used of a core so far; unlike the time on the wall it does not depend on what
/// else runs.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The finger and impression in a file's name.
fn parse_name(path: &Path) -> Option<(u32, u32)> {
    if !path.extension()?.eq_ignore_ascii_case("png") {
        return None;
    }
    let (finger, impression) = path.file_stem()?.to_str()?.split_once('_')?;
    Some((finger.parse().ok()?, impression.parse().ok()?))
}

/// Reads a folder; `read` extracts one image, cropped already.
///
/// # Errors
/// Where the folder or an image cannot be read, or there are too few.
pub fn load(
    folder: &Path,
    crop: Option<(usize, usize)>,
    mut read: impl FnMut(&Image) -> Print,
) -> Result<Set, BenchError> {
    let failed = |error| BenchError::Read { path: folder.to_owned(), error };
    let mut set = Set::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some((finger, impression)) = parse_name(&path) else { continue };
        let file =
            File::open(&path).map_err(|error| BenchError::Read { path: path.clone(), error })?;
        let image = Image::read_png(BufReader::new(file))
            .map_err(|error| BenchError::Image { path: path.clone(), error })?;
        let image = match crop {
            Some((width, height)) => image.centre(width, height),
            None => image,
        };
        let image = image.four_bits();
        let begin = processor_time();
        let print = read(&image);
        let took = processor_time().saturating_sub(begin);
        set.entry(finger).or_default().insert(impression, Sample { print, took });
    }
    let complete = |impressions: &BTreeMap<u32, Sample>| {
        (1..=ENROLLED + 1).all(|impression| impressions.contains_key(&impression))
    };
    set.retain(|_, impressions| complete(impressions));
    if set.len() < 2 {
        return Err(BenchError::Few(folder.to_owned()));
    }
    Ok(set)
}

/// Measures one policy on a set.
#[must_use]
pub fn measure(name: &str, set: &Set, policy: Policy, bank: &[Print], peak_kib: u64) -> Figures {
    let mut tally = Tally::default();
    for (finger, impressions) in set {
        let mut random = Seeded::new(u64::from(*finger));
        let Some(locked) = enrol(impressions, policy, bank, &mut random) else {
            tally.refuse(impressions);
            continue;
        };
        tally.genuine(&locked, impressions, &mut random);
        for (_, others) in set.iter().filter(|(other, _)| *other != finger) {
            others.values().for_each(|sample| tally.impostor(&locked, sample, &mut random));
        }
    }
    let k = match policy {
        Policy::Fixed(k) => k.to_string(),
        Policy::Shipped => "policy".to_owned(),
    };
    tally.figures(name, set.len(), k, peak_kib)
}

fn enrol(
    impressions: &BTreeMap<u32, Sample>,
    policy: Policy,
    bank: &[Print],
    random: &mut Seeded,
) -> Option<Locked> {
    let enrolled = impressions.range(1..=ENROLLED);
    let prints: Vec<Print> = enrolled.map(|(_, sample)| sample.print.clone()).collect();
    let fused = fuse(&prints)?;
    let first = match policy {
        Policy::Fixed(k) => k,
        Policy::Shipped => K_MAX,
    };
    let mut locked = lock(&fused, first, random)?;
    if policy == Policy::Shipped {
        let (k, _) = choose_k(&locked, bank.iter(), SECURITY_BITS)?;
        locked.set_k(k, random);
    }
    // As it comes back from the file.
    let bytes = locked.helper.encode(random);
    locked.helper = Helper::decode(&bytes)?;
    Some(locked)
}

#[derive(Default)]
struct Tally {
    refused: usize,
    k_taken: BTreeMap<usize, usize>,
    genuine: usize,
    accepted: usize,
    sessions: usize,
    impostors: usize,
    false_accepts: usize,
    opening: f64,
    /// For each k that was taken, what impostors reach.
    strength: BTreeMap<usize, Impostors>,
    times: Vec<Duration>,
}

impl Tally {
    fn refuse(&mut self, impressions: &BTreeMap<u32, Sample>) {
        self.refused += 1;
        self.genuine += impressions.range(ENROLLED + 1..).count();
    }

    fn genuine(
        &mut self,
        locked: &Locked,
        impressions: &BTreeMap<u32, Sample>,
        random: &mut Seeded,
    ) {
        *self.k_taken.entry(locked.helper.k()).or_default() += 1;
        let mut session = false;
        for sample in impressions.range(ENROLLED + 1..).map(|(_, sample)| sample) {
            let begin = processor_time();
            let opened = open(&locked.helper, &sample.print, Budget::default(), random);
            self.times.push(processor_time().saturating_sub(begin) + sample.took);
            let accepted = opened.is_some_and(|secret| *secret == *locked.secret);
            self.genuine += 1;
            self.accepted += usize::from(accepted);
            session |= accepted;
        }
        self.sessions += usize::from(session);
    }

    fn impostor(&mut self, locked: &Locked, sample: &Sample, random: &mut Seeded) {
        let begin = processor_time();
        let opened = open(&locked.helper, &sample.print, Budget::default(), random);
        self.times.push(processor_time().saturating_sub(begin) + sample.took);
        self.impostors += 1;
        self.false_accepts += usize::from(opened.is_some());
        let attempt = attempt(&locked.helper, &sample.print);
        let k = locked.helper.k();
        let (_, opening) = attempt.odds(locked, k, Budget::default().guesses);
        self.opening += opening;
        let strength = self.strength.entry(k).or_insert_with(|| Impostors::new(K_MAX));
        strength.add(locked, &attempt);
    }

    fn figures(mut self, name: &str, fingers: usize, k: String, peak_kib: u64) -> Figures {
        self.times.sort_unstable();
        let at = |share: f64| {
            let index = (share * self.times.len() as f64) as usize;
            let time = self.times.get(index.min(self.times.len().saturating_sub(1)));
            time.map_or(0.0, |time| (time.as_secs_f64() * 1e5).round() / 100.0)
        };
        // The mean success of a guess over all vaults, each with its own k.
        let weight = |(k, impostors): (&usize, &Impostors)| {
            (impostors.count() as f64, impostors.count() as f64 * (-impostors.bits(*k)).exp2())
        };
        let sums = self.strength.iter().map(weight).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        let security_bits = -(sums.1 / f64::max(sums.0, 1.0)).log2();
        let count = self.impostors.max(1) as f64;
        Figures {
            set: name.to_owned(),
            fingers,
            refused: self.refused,
            k,
            genuine_accept_rate: self.accepted as f64 / self.genuine.max(1) as f64,
            session_accept_rate: self.sessions as f64 / fingers as f64,
            impostor_trials: self.impostors,
            false_accepts: self.false_accepts,
            false_accept_upper_95: upper_95(self.false_accepts, self.impostors),
            mean_opening_probability: self.opening / count,
            security_bits,
            ms_median: at(0.5),
            ms_p99: at(0.99),
            peak_kib,
            genuine_trials: self.genuine,
            k_taken: self.k_taken,
        }
    }
}

/// The largest share with which so few events would still be seen once in twenty times (Clopper
/// and Pearson), found by halving.
fn upper_95(events: usize, trials: usize) -> f64 {
    let at_most = |share: f64| {
        let mut term = (1.0 - share).powi(trials as i32);
        let mut sum = term;
        for i in 0..events {
            term *= (trials - i) as f64 / (i + 1) as f64 * share / (1.0 - share);
            sum += term;
        }
        sum
    };
    if events >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0 - 1e-9);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_that_of_clopper_and_pearson() {
        let check = |events, trials, bound: f64| {
            assert!((upper_95(events, trials) - bound).abs() < 1e-4, "{events} of {trials}");
        };
        // One minus the 720th root of 0.05; tables for the rest.
        check(0, 720, 0.004_152);
        check(1, 100, 0.046_555);
        check(10, 10, 1.0);
    }
}
