//! Whole networks on loopback, with real sockets, and strangers who do not keep to the rules.

mod conduct;
mod finding;
mod footprint;
mod meeting;
mod nodes;
mod strangers;
