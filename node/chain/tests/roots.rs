//! The three trees give the roots that their documentation defines.

use goodwatt_chain::hash::{BlockId, Digest32, TxId};
use goodwatt_chain::history::History;
use goodwatt_chain::leaves::{LeafChanges, MemoryLeaves};
use goodwatt_chain::merkle;
use goodwatt_chain::tree::StateTree;
use sha2::{Digest, Sha256};

fn number(n: u64) -> Digest32 {
    Digest32::new(Sha256::digest(n.to_be_bytes()).into())
}

fn transactions(count: u64) -> Digest32 {
    let ids: Vec<TxId> = (0..count).map(|n| TxId(number(n))).collect();
    merkle::root(&ids)
}

fn history(count: u64) -> Digest32 {
    let mut history = History::default();
    (1..=count).for_each(|n| history.push(BlockId(number(n))));
    history.root()
}

fn state(count: u64) -> Digest32 {
    let value = |n: u64| n.to_be_bytes()[7 - (n % 8) as usize..].into();
    let leaves: LeafChanges = (0..count).map(|n| (number(n), Some(value(n)))).collect();
    let mut tree = StateTree::default();
    let update = tree.update(&MemoryLeaves::default(), &leaves).expect("memory is there");
    tree.apply(update);
    tree.root()
}

#[test]
fn roots_are_those_of_another_implementation() {
    let mut lines = 0;
    for line in include_str!("vectors/roots.txt").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let [tree, count, root] = fields[..] else { panic!("{line}: three fields") };
        let count = count.parse().expect("a count");
        let computed = match tree {
            "transactions" => transactions(count),
            "history" => history(count),
            "state" => state(count),
            other => panic!("no tree {other}"),
        };
        assert_eq!(computed.to_string(), root, "{tree} of {count}");
        lines += 1;
    }
    assert_eq!(lines, 23);
}
