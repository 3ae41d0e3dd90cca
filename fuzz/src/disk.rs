//! A disk in memory whose files can be made to hold anything.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use goodwatt_store::{Access, Disk, DiskFile, Folder};

type Files = BTreeMap<String, Vec<u8>>;

/// A folder in memory. Clones are handles to the same one.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<Files>>);

impl MemoryDisk {
    /// The folder, to hand to a store.
    #[must_use]
    pub fn folder(&self) -> Folder {
        Folder::new(Arc::new(self.clone()))
    }

    /// Makes every file hold `bytes`.
    pub fn overwrite(&self, bytes: &[u8]) {
        self.files().values_mut().for_each(|file| *file = bytes.to_vec());
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut files = self.files();
        match (access, files.contains_key(name)) {
            (Access::Read, false) => return Err(io::ErrorKind::NotFound.into()),
            (Access::CreateNew, true) => return Err(io::ErrorKind::AlreadyExists.into()),
            _ => drop(files.entry(name.to_owned()).or_default()),
        }
        Ok(Box::new(MemoryFile { disk: self.clone(), name: name.to_owned() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    name: String,
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.files().get(&self.name).map_or(0, |file| file.len() as u64))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let files = self.disk.files();
        let rest = files.get(&self.name).and_then(|file| file.get(offset as usize..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.disk.files();
        let file = files.entry(self.name.clone()).or_default();
        let end = offset as usize + bytes.len();
        file.resize(file.len().max(end), 0);
        file[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_size(&mut self, size: u64) -> io::Result<()> {
        self.disk.files().entry(self.name.clone()).or_default().resize(size as usize, 0);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }
}
