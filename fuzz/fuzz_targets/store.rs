//! Files of a data folder that hold anything: opened without a panic, and never believed.
#![no_main]

use goodwatt_chain::hash::ChainId;
use goodwatt_chain::units::Height;
use goodwatt_fuzz::MemoryDisk;
use goodwatt_store::{AtomicFile, BlockLog, ConsensusWal, SigningGuard, Snapshot};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let disk = MemoryDisk::default();
    let folder = disk.folder();
    let Some((which, bytes)) = input.split_first() else { return };
    match which % 5 {
        0 => {
            drop(SigningGuard::create(&folder, ChainId::default()).expect("memory takes it"));
            disk.overwrite(bytes);
            drop(SigningGuard::open(&folder, ChainId::default()));
        }
        1 => {
            drop(ConsensusWal::open(&folder).expect("memory takes it"));
            disk.overwrite(bytes);
            let wal = ConsensusWal::open(&folder).expect("memory is readable");
            drop(wal.entries());
        }
        2 => {
            let (mut log, _) = BlockLog::open(folder.clone()).expect("memory takes it");
            log.append(Height::new(1), b"a block").expect("memory takes it");
            drop(log);
            disk.overwrite(bytes);
            drop(BlockLog::verify(&folder));
            if let Ok((log, _)) = BlockLog::open(folder) {
                log.blocks_from(Height::new(1)).take(1_000).for_each(drop);
            }
        }
        3 => {
            AtomicFile::new(folder.clone(), "snapshot").write(b"").expect("memory takes it");
            disk.overwrite(bytes);
            if let Ok(Some(snapshot)) = Snapshot::open(&folder) {
                snapshot.chunks().take(5_000).for_each(drop);
            }
        }
        _ => {
            let file = AtomicFile::new(folder, "file");
            file.write(b"content").expect("memory takes it");
            disk.overwrite(bytes);
            drop(file.read());
        }
    }
});
