//! Codecs: bytes of the sources' formats to typed values and back. Layer 0, pure.

pub mod hms;
