//! The `tributary` binary: parse the command line, dispatch, exit with a documented code.

fn main() {}
