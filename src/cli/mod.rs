//! The command line.

pub mod bench {
    pub mod generator;
    pub mod procstat;
}
