//! Tails of foreign systems' logs into raw topics, exactly once, and listings of what those systems hold. Layer 4.
//!
//! Job: poll a metastore's notification log, decide what is new ([`window`], pure), and produce it in one transaction with
//! the position ([`outbox`]); list a whole metastore ([`listing`]). Reads [`crate::metastore`], writes [`crate::kafka`].
//! Does not know what notifications mean.

pub mod hms;
pub mod listing;
pub mod outbox;
pub mod window;

#[cfg(test)]
mod tests;
