//! A disk in memory that misbehaves as cards do, for tests and the simulator.
//!
//! It keeps what is durable apart from what the process sees. A crash ends every open file; the
//! power comes back with [`FaultyDisk::restart`], and then, by the seed, each write that no sync
//! covered is kept, lost or torn, in any order; of the changes to names a beginning is kept. A
//! sync that fails forgets its writes, as Linux does: a later sync will not bring them back.
//!
//! ```
//! use goodwatt_store::faulty::FaultyDisk;
//! use goodwatt_store::AtomicFile;
//!
//! let disk = FaultyDisk::new(7);
//! let file = AtomicFile::new(disk.folder(), "pool");
//! file.write(b"first").expect("nothing is wrong yet");
//! disk.crash_after(2);
//! file.write(b"second").expect_err("the power went");
//! disk.restart();
//! assert_eq!(file.read().expect("whole"), Some(b"first".to_vec()));
//! ```

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Access, Disk, DiskFile, Folder};

/// One folder of files in memory. Clones are handles to the same folder.
#[derive(Clone, Debug)]
pub struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    random: u64,
    operations: u64,
    written: u64,
    crash_at: Option<u64>,
    crashed: bool,
    /// How often the power came back; a handle from an earlier time is dead.
    boots: u64,
    free: Option<u64>,
    syncs_to_fail: u32,
    read_only: bool,
}

/// One file: what the process sees, what is durable, and what lies between.
#[derive(Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Debug)]
struct NameChange {
    gone: Option<String>,
    set: Option<(String, usize)>,
}

impl FaultyDisk {
    /// An empty folder whose faults follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State { random: seed, ..State::default() })))
    }

    /// The folder, to hand to a store.
    #[must_use]
    pub fn folder(&self) -> Folder {
        Folder::new(Arc::new(self.clone()))
    }

    /// How many operations that change or sync something were done so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many bytes were written to files so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.state().written
    }

    /// Whether there is a limit to what files may grow by.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.state().free.is_some()
    }

    /// Cuts the power in the middle of the operation that follows `operations` more of them.
    pub fn crash_after(&self, operations: u64) {
        let mut state = self.state();
        state.crash_at = Some(state.operations + operations);
    }

    /// Whether the power is off.
    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Brings the power back, cutting it first where it is still on.
    pub fn restart(&self) {
        let mut state = self.state();
        state.settle_names();
        for index in 0..state.files.len() {
            state.settle_file(index);
        }
        state.crashed = false;
        state.crash_at = None;
        state.boots += 1;
    }

    /// How many more bytes files may grow by; `None` is no limit.
    pub fn set_free(&self, bytes: Option<u64>) {
        self.state().free = bytes;
    }

    /// Lets the next `count` syncs fail, each forgetting what it should have made durable.
    pub fn fail_syncs(&self, count: u32) {
        self.state().syncs_to_fail = count;
    }

    /// Refuses every write from now on, or no longer.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    /// What the process sees in a file.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|index| state.files[*index].live.clone())
    }

    /// Changes one byte of a file behind everybody's back; `mask` says which bits.
    ///
    /// # Panics
    /// When there is no such byte: the test is wrong.
    pub fn flip(&self, name: &str, offset: usize, mask: u8) {
        let mut state = self.state();
        let index = *state.names.get(name).expect("a file of that name");
        state.files[index].live[offset] ^= mask;
        state.files[index].durable[offset] ^= mask;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next pseudo-random number (splitmix64).
    fn roll(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    fn alive(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Counts one operation; true when the power goes in the middle of it.
    fn begin(&mut self) -> io::Result<bool> {
        self.alive()?;
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.crashed = self.crash_at == Some(self.operations);
        self.operations += 1;
        Ok(self.crashed)
    }

    fn change_names(&mut self, gone: Option<String>, set: Option<(String, usize)>) {
        if let Some(name) = &gone {
            self.names.remove(name);
        }
        if let Some((name, index)) = &set {
            self.names.insert(name.clone(), *index);
        }
        self.name_changes.push(NameChange { gone, set });
    }

    /// Keeps a beginning of the changes to names: file systems journal them in order.
    fn settle_names(&mut self) {
        let changes = std::mem::take(&mut self.name_changes);
        let kept = self.below(changes.len() + 1);
        for change in changes.into_iter().take(kept) {
            if let Some(name) = change.gone {
                self.durable_names.remove(&name);
            }
            if let Some((name, index)) = change.set {
                self.durable_names.insert(name, index);
            }
        }
        self.names = self.durable_names.clone();
    }

    /// Keeps, loses or tears each change that no sync covered.
    fn settle_file(&mut self, index: usize) {
        let changes = std::mem::take(&mut self.files[index].pending);
        for change in changes {
            let fate = self.below(4);
            let torn = match (fate, change) {
                (0 | 1, change) => Some(change),
                (2, Change::Write { offset, bytes }) => Some(self.tear(offset, bytes)),
                // The length may have reached the disk though the bytes did not.
                (3, Change::Write { offset, bytes }) if self.below(2) == 0 => {
                    let end = offset + bytes.len();
                    Some(Change::Resize(end.max(self.files[index].durable.len())))
                }
                _ => None,
            };
            if let Some(change) = torn {
                change.apply(&mut self.files[index].durable);
            }
        }
        self.files[index].live = self.files[index].durable.clone();
    }

    /// The first or the last part of a write.
    fn tear(&mut self, offset: usize, mut bytes: Vec<u8>) -> Change {
        let cut = self.below(bytes.len() + 1);
        if self.below(2) == 0 {
            bytes.truncate(cut);
            return Change::Write { offset, bytes };
        }
        Change::Write { offset: offset + cut, bytes: bytes.split_off(cut) }
    }

    /// How many of `wanted` bytes of growth there is room for; takes them.
    fn take_free(&mut self, wanted: usize) -> usize {
        let Some(free) = self.free else { return wanted };
        let given = wanted.min(usize::try_from(free).unwrap_or(usize::MAX));
        self.free = Some(free - given as u64);
        given
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Resize(size) => content.resize(*size, 0),
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.alive()?;
        if state.read_only && access != Access::Read {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let found = state.names.get(name).copied();
        let index = match (found, access) {
            (Some(_), Access::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, Access::Read) => return Err(io::ErrorKind::NotFound.into()),
            (Some(index), _) => index,
            (None, _) => {
                let crashed = state.begin()?;
                let index = state.files.len();
                state.files.push(Content::default());
                state.change_names(None, Some((name.to_owned(), index)));
                ended(crashed)?;
                index
            }
        };
        Ok(Box::new(Handle { disk: self.clone(), index, boot: state.boots }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let crashed = state.begin()?;
        let index = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.change_names(Some(from.to_owned()), Some((to.to_owned(), index)));
        ended(crashed)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.alive()?;
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let crashed = state.begin()?;
        state.change_names(Some(name.to_owned()), None);
        ended(crashed)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let state = self.state();
        state.alive()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.state();
        ended(state.begin()?)?;
        state.name_changes.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }
}

fn ended(crashed: bool) -> io::Result<()> {
    if crashed { Err(io::Error::other("the power went")) } else { Ok(()) }
}

/// An open file of a [`FaultyDisk`].
#[derive(Debug)]
struct Handle {
    disk: FaultyDisk,
    index: usize,
    boot: u64,
}

impl Handle {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        state.alive()?;
        if state.boots == self.boot {
            Ok(state)
        } else {
            Err(io::Error::other("opened before the power went"))
        }
    }

    fn change(&self, change: Change, short: bool) -> io::Result<()> {
        let mut state = self.state()?;
        let crashed = state.begin()?;
        if let Change::Write { bytes, .. } = &change {
            state.written += bytes.len() as u64;
        }
        let file = &mut state.files[self.index];
        change.apply(&mut file.live);
        file.pending.push(change);
        ended(crashed)?;
        if short { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl DiskFile for Handle {
    fn size(&self) -> io::Result<u64> {
        Ok(self.state()?.files[self.index].live.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.state()?;
        let live = &state.files[self.index].live;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(live.len());
        let got = buffer.len().min(live.len() - from);
        buffer[..got].copy_from_slice(&live[from..from + got]);
        Ok(got)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = offset as usize;
        let mut state = self.state()?;
        let growth = (offset + bytes.len()).saturating_sub(state.files[self.index].live.len());
        let missing = growth - state.take_free(growth);
        drop(state);
        // A full disk takes a part of the write first.
        let taken = bytes.len().saturating_sub(missing);
        self.change(Change::Write { offset, bytes: bytes[..taken].to_vec() }, missing > 0)
    }

    fn set_size(&mut self, size: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let freed = state.files[self.index].live.len().saturating_sub(size as usize) as u64;
        state.free = state.free.map(|free| free + freed);
        drop(state);
        self.change(Change::Resize(size as usize), false)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.state()?;
        ended(state.begin()?)?;
        let fails = state.syncs_to_fail > 0;
        state.syncs_to_fail = state.syncs_to_fail.saturating_sub(1);
        let file = &mut state.files[self.index];
        for change in std::mem::take(&mut file.pending) {
            if !fails {
                change.apply(&mut file.durable);
            }
        }
        if fails { Err(io::Error::other("the card did not take the data")) } else { Ok(()) }
    }
}
