//! What integration tests share: real servers, the real binary, real events.

pub mod events;
pub mod python;
pub mod site;
