//! Normalizers: decoded source records to facts. Layer 1, pure: no clock, no state, no look at the catalog.

pub mod hms;
