//! Named points before and after each step of a commit, where a test can end or stop the process. Layer 0.
//!
//! With the cargo feature `failpoints` the environment says what happens: `TRIBUTARY_FAILPOINTS="name=kill@3,…"` ends
//! the process, as kill -9 would, at the third hit of `name`; `name=stop@1` holds the thread for ever, so that a test
//! can play the zombie. Without the feature a hit costs nothing and the variable is not read.

/// Every failpoint there is; a test goes through all of them. The part before the first dot says whose step it is.
pub const NAMES: &[&str] = &[
    "stage.poll.after",
    "stage.begin.before",
    "stage.begin.after",
    "stage.apply.after",
    "stage.produce.before",
    "stage.produce.after",
    "stage.changelog.after",
    "stage.drain.after",
    "stage.send_offsets.before",
    "stage.send_offsets.after",
    "stage.commit.before",
    "stage.commit.after",
    "stage.store.before",
    "stage.store.after",
    "stage.revoke.before",
    "stage.revoke.after",
    "stage.restore.after",
    "sink.poll.after",
    "sink.write.before",
    "sink.write.after",
    "sink.hint.after",
    "postgres.commit.before",
    "postgres.commit.after",
    "search.commit.before",
    "search.commit.after",
    "graph.apply.after",
    "registry.commit.before",
    "registry.commit.after",
    "dlq.commit.before",
    "dlq.commit.after",
    "tail.commit.before",
    "tail.commit.after",
    "rebuild.postgres.swap.before",
    "rebuild.postgres.swap.after",
    "rebuild.search.swap.before",
    "rebuild.search.swap.after",
    "rebuild.state.swap.before",
    "rebuild.state.swap.after",
    "rebuild.changelog.after",
];

/// Passes the failpoint `name`, which must be one of [`NAMES`].
#[inline]
pub fn hit(name: &'static str) {
    #[cfg(feature = "failpoints")]
    active::hit(name);
    #[cfg(not(feature = "failpoints"))]
    let _ = name;
}

#[cfg(feature = "failpoints")]
mod active {
    use std::collections::HashMap;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Which variable is read, once.
    const VARIABLE: &str = "TRIBUTARY_FAILPOINTS";

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Action {
        Kill,
        Stop,
    }

    #[derive(Debug)]
    pub(super) struct Point {
        pub(super) action: Action,
        pub(super) at: u64,
        hits: AtomicU64,
    }

    pub(super) fn hit(name: &'static str) {
        static POINTS: OnceLock<HashMap<String, Point>> = OnceLock::new();
        debug_assert!(super::NAMES.contains(&name), "failpoint {name} is not listed");
        let points = POINTS.get_or_init(|| match parse(&std::env::var(VARIABLE).unwrap_or_default()) {
            Ok(points) => points,
            Err(message) => {
                // A test that believes to kill and does not would prove nothing.
                tracing::error!("{VARIABLE}: {message}");
                std::process::abort();
            }
        });
        let Some(point) = points.get(name) else { return };
        if point.hits.fetch_add(1, Ordering::SeqCst) + 1 != point.at {
            return;
        }
        match point.action {
            Action::Kill => std::process::abort(),
            Action::Stop => loop {
                std::thread::park();
            },
        }
    }

    pub(super) fn parse(text: &str) -> Result<HashMap<String, Point>, String> {
        let mut points = HashMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, what) = entry.split_once('=').ok_or_else(|| format!("{entry}: expected name=action@hit"))?;
            if !super::NAMES.contains(&name) {
                return Err(format!("{name}: no such failpoint"));
            }
            let (action, at) = what.split_once('@').unwrap_or((what, "1"));
            let action = match action {
                "kill" => Action::Kill,
                "stop" => Action::Stop,
                other => return Err(format!("{other}: expected kill or stop")),
            };
            let at = at.parse().map_err(|_| format!("{at}: expected the number of a hit"))?;
            points.insert(name.to_owned(), Point { action, at, hits: AtomicU64::new(0) });
        }
        Ok(points)
    }
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::active::{Action, parse};

    #[test]
    fn entries_name_point_action_and_hit() {
        let points = parse("stage.commit.before=kill@3, sink.write.after=stop").expect("well formed");
        assert_eq!((points["stage.commit.before"].action, points["stage.commit.before"].at), (Action::Kill, 3));
        assert_eq!((points["sink.write.after"].action, points["sink.write.after"].at), (Action::Stop, 1));
    }

    #[test]
    fn a_misspelt_point_is_an_error() {
        for text in
            ["stage.comit.before=kill", "stage.commit.before", "stage.commit.before=die@1", "sink.write.after=kill@x"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
