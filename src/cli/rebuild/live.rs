//! The other end of a request: rebuilds the views of this process while it serves the old ones.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::request::{LiveView, Request, Requests, State, Status, Told};
use crate::cli::exit::Failure;
use crate::cli::processes::Shutdown;
use crate::cli::readers::LiveReaders;
use crate::topology::node::Node;
use crate::topology::quiet::Offsets;
use crate::topology::rebuild::{self, Progress, RebuildError, Report};

/// How often requests are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often progress is written.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Looks for requests until the process ends.
pub(in crate::cli) fn answer_requests(
    data_dir: &Path,
    readers: &Arc<LiveReaders>,
    node: &Arc<Node>,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let requests = Requests::in_data_dir(data_dir);
    // What was asked of an earlier process was told to have failed there.
    LiveView::ALL.into_iter().for_each(|view| requests.forget(view));
    // Held while a request is answered only: the data directory is free as soon as the process has stopped.
    let (readers, node) = (Arc::downgrade(readers), Arc::downgrade(node));
    std::thread::Builder::new().name("rebuild".to_owned()).spawn(move || {
        while !shutdown.is_asked() {
            for view in LiveView::ALL {
                match requests.take(view) {
                    Ok(Some(request)) => {
                        let (Some(readers), Some(node)) = (readers.upgrade(), node.upgrade()) else { return };
                        answer(&requests, view, &request, &readers, &node);
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(view = view.as_str(), %error, "a request cannot be read"),
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
    })?;
    Ok(())
}

fn answer(requests: &Requests, view: LiveView, request: &Request, readers: &LiveReaders, node: &Node) {
    let tell = |state: State| {
        if let Err(error) = requests.tell(view, &Status { id: request.id.clone(), state }) {
            tracing::warn!(view = view.as_str(), %error, "progress cannot be told");
        }
    };
    tracing::info!(view = view.as_str(), verify = request.verify, "rebuild begins");
    let mut told: Option<Instant> = None;
    let mut watch = |progress: &Progress| {
        if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            told = Some(Instant::now());
            let Progress { step, done, total, trouble } = progress.clone();
            tell(State::Running { step: step.as_str().to_owned(), done, total, trouble });
        }
    };
    let outcome = match view {
        LiveView::Search => search(readers, node, request.verify, &mut watch),
        LiveView::Lineage => lineage(readers, node, request.verify, &mut watch),
    };
    match outcome {
        Ok(report) => {
            tracing::info!(view = view.as_str(), seconds = report.seconds, "rebuilt");
            tell(State::Done(Told::from(report)));
        }
        Err(error) => {
            tracing::warn!(view = view.as_str(), %error, "rebuild failed; the old view goes on");
            tell(State::Failed(error.to_string()));
        }
    }
}

fn search(readers: &LiveReaders, node: &Node, verify: bool, watch: rebuild::Watch<'_>) -> Result<Report, RebuildError> {
    let built = rebuild::search_beside(&node.source(), &readers.home, &|| readers.searched(), verify, watch)?;
    readers.replace_index(built.searcher, built.visible);
    node.replace("search", built.task);
    readers.home.clean()?;
    Ok(built.report)
}

fn lineage(
    readers: &LiveReaders,
    node: &Node,
    verify: bool,
    watch: rebuild::Watch<'_>,
) -> Result<Report, RebuildError> {
    let walked = || -> Offsets {
        let follower = node.statuses().into_iter().find(|status| status.stage == "lineage");
        follower.map(|status| status.positions).unwrap_or_default()
    };
    let built = rebuild::lineage(&node.source(), &walked, verify, watch)?;
    readers.replace_graph(built.graph);
    node.replace("lineage", built.task);
    Ok(built.report)
}
