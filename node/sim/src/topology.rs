//! Who is connected to whom.

use std::collections::BTreeSet;

/// The most validators a chain has.
const NODES_MAX: usize = 100;
/// The most validators that are all connected to each other unless asked for.
const FULL_MAX: usize = 16;

/// Connections between numbered validators.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Topology {
    nodes: usize,
    edges: Vec<(usize, usize)>,
}

/// Why a list of edges is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A line is not `A-B`.
    #[error("line {line}: `{text}` is not an edge: write two numbers as 0-1")]
    NotAnEdge {
        /// Its number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A validator is connected to itself.
    #[error("line {line}: {node} is connected to itself")]
    Loop {
        /// Its number, from 1.
        line: usize,
        /// The validator.
        node: usize,
    },
    /// More validators than a chain has.
    #[error("line {line}: validators are numbered from 0 to {max}", max = NODES_MAX - 1)]
    TooMany {
        /// Its number, from 1.
        line: usize,
    },
    /// Somebody cannot be reached.
    #[error("the graph is not connected: {0} cannot be reached from 0, add an edge to it")]
    NotConnected(usize),
    /// No edge at all.
    #[error("there is no edge: write one as 0-1")]
    Empty,
}

impl Topology {
    /// Everybody connected to everybody.
    #[must_use]
    pub fn full(nodes: usize) -> Self {
        let pairs = (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b)));
        Self { nodes, edges: pairs.collect() }
    }

    /// Rows and columns: validators stand in a square, and each is connected to all in its row and
    /// all in its column. So any two are at most two hops apart, with two roots of the number as
    /// connections of each: of a hundred each has 18.
    #[must_use]
    pub fn rows_and_columns(nodes: usize) -> Self {
        let width = (1..=nodes).find(|width| width * width >= nodes).unwrap_or(1);
        let beside = |a: usize, b: usize| a / width == b / width || a % width == b % width;
        let pairs = (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b)));
        Self { nodes, edges: pairs.filter(|(a, b)| beside(*a, *b)).collect() }
    }

    /// Everybody connected to everybody up to 16 validators, from there on rows and columns.
    #[must_use]
    pub fn usual(nodes: usize) -> Self {
        if nodes <= FULL_MAX { Self::full(nodes) } else { Self::rows_and_columns(nodes) }
    }

    /// Reads edges, such as `0-1`, one a line or with commas between; `#` begins a remark.
    ///
    /// # Errors
    /// See [`TopologyError`].
    pub fn parse(text: &str) -> Result<Self, TopologyError> {
        let mut edges = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            let line_number = number + 1;
            let content = line.split('#').next().unwrap_or_default();
            for edge in content.split(',').map(str::trim).filter(|edge| !edge.is_empty()) {
                edges.insert(parse_edge(line_number, edge)?);
            }
        }
        let nodes = edges.iter().map(|(_, b)| b + 1).max().ok_or(TopologyError::Empty)?;
        let topology = Self { nodes, edges: edges.into_iter().collect() };
        match topology.unreachable() {
            None => Ok(topology),
            Some(node) => Err(TopologyError::NotConnected(node)),
        }
    }

    /// How many validators there are.
    #[must_use]
    pub const fn nodes(&self) -> usize {
        self.nodes
    }

    /// The connections, the lower number first.
    #[must_use]
    pub fn edges(&self) -> &[(usize, usize)] {
        &self.edges
    }

    /// The first one that cannot be reached from 0.
    fn unreachable(&self) -> Option<usize> {
        let mut reached = BTreeSet::from([0]);
        let mut grown = true;
        while grown {
            let before = reached.len();
            for (a, b) in &self.edges {
                if reached.contains(a) || reached.contains(b) {
                    reached.extend([*a, *b]);
                }
            }
            grown = reached.len() > before;
        }
        (0..self.nodes).find(|node| !reached.contains(node))
    }
}

fn parse_edge(line: usize, text: &str) -> Result<(usize, usize), TopologyError> {
    let not_an_edge = || TopologyError::NotAnEdge { line, text: text.to_owned() };
    let (a, b) = text.split_once('-').ok_or_else(not_an_edge)?;
    let number = |part: &str| part.trim().parse::<usize>().map_err(|_| not_an_edge());
    let (a, b) = (number(a)?, number(b)?);
    if a == b {
        return Err(TopologyError::Loop { line, node: a });
    }
    if a.max(b) >= NODES_MAX {
        return Err(TopologyError::TooMany { line });
    }
    Ok((a.min(b), a.max(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_read_once_each() {
        let read = Topology::parse("# a line\n0-1, 2 - 1\n1-0 # again\n");
        assert_eq!(read, Ok(Topology { nodes: 3, edges: vec![(0, 1), (1, 2)] }));
        assert_eq!(Topology::full(3).edges(), [(0, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn in_rows_and_columns_any_two_are_two_hops_apart() {
        for nodes in 1..=100 {
            let topology = Topology::rows_and_columns(nodes);
            let beside = |a: usize, b: usize| topology.edges.contains(&(a.min(b), a.max(b)));
            for (a, b) in Topology::full(nodes).edges {
                let over = |c: usize| beside(a, c) && beside(c, b);
                assert!(beside(a, b) || (0..nodes).any(over), "{a} and {b} of {nodes}");
            }
        }
        assert_eq!(Topology::rows_and_columns(100).edges.len(), 100 * 18 / 2);
        assert_eq!(Topology::usual(16), Topology::full(16));
        assert_eq!(Topology::usual(17), Topology::rows_and_columns(17));
    }

    #[test]
    fn what_is_no_connected_graph_is_refused() {
        let check = |text: &str, want: TopologyError| {
            assert_eq!(Topology::parse(text), Err(want), "{text}");
        };
        check("", TopologyError::Empty);
        check("# only a remark", TopologyError::Empty);
        check("0-1\n2-3", TopologyError::NotConnected(2));
        check("1-2", TopologyError::NotConnected(1));
        check("0-1\n1-1", TopologyError::Loop { line: 2, node: 1 });
        check("0-100", TopologyError::TooMany { line: 1 });
        let not_an_edge = |text: &str| TopologyError::NotAnEdge { line: 1, text: text.to_owned() };
        check("0-1-2", not_an_edge("0-1-2"));
        check("0 1", not_an_edge("0 1"));
        check("0--1", not_an_edge("0--1"));
    }
}
