//! How a command asks the process that holds the data directory to rebuild a view that lives in it, and hears of it: files
//! in the data directory, each replaced in one step. Whoever may write there may ask.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::topology::rebuild::Report;

/// A view that lives in an API node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LiveView {
    Search,
    Lineage,
}

impl LiveView {
    pub(super) const ALL: [Self; 2] = [Self::Search, Self::Lineage];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Lineage => "lineage",
        }
    }
}

/// Somebody wants a view rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) verify: bool,
}

/// What has become of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) id: String,
    pub(super) state: State,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Running { step: String, done: u64, total: u64, trouble: Option<String> },
    Done(Told),
    Failed(String),
}

/// A report as it is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) records: u64,
    pub(super) seconds: f64,
    pub(super) shares: Vec<(String, f64)>,
    /// Next offsets by topic, in order of the partitions.
    pub(super) position: BTreeMap<String, Vec<i64>>,
    pub(super) verified: Option<String>,
    pub(super) notes: Vec<String>,
}

impl From<Report> for Told {
    fn from(report: Report) -> Self {
        let mut position: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (partition, next) in report.position {
            position.entry(partition.topic.to_string()).or_default().push(next);
        }
        Self {
            records: report.records,
            seconds: report.seconds,
            shares: report.shares.into_iter().map(|(share, seconds)| (share.to_owned(), seconds)).collect(),
            position,
            verified: report.verified,
            notes: report.notes,
        }
    }
}

/// The files.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    folder: PathBuf,
}

impl Requests {
    pub(super) fn in_data_dir(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("rebuild") }
    }

    /// Asks.
    pub(super) fn ask(&self, view: LiveView, request: &Request) -> io::Result<()> {
        self.write(&self.request(view), request)
    }

    /// Takes a request, so that nobody else does.
    pub(super) fn take(&self, view: LiveView) -> io::Result<Option<Request>> {
        let file = self.request(view);
        let request = read(&file)?;
        if request.is_some() {
            fs::remove_file(&file)?;
        }
        Ok(request)
    }

    /// Withdraws a request that nobody took, and forgets what was said about it.
    pub(super) fn forget(&self, view: LiveView) {
        for file in [self.request(view), self.status(view)] {
            if let Err(error) = fs::remove_file(&file)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(file = %file.display(), %error, "could not be removed");
            }
        }
    }

    /// Says what has become of a request.
    pub(super) fn tell(&self, view: LiveView, status: &Status) -> io::Result<()> {
        self.write(&self.status(view), status)
    }

    /// What was said last about the request `id`.
    pub(super) fn told(&self, view: LiveView, id: &str) -> io::Result<Option<State>> {
        let status: Option<Status> = read(&self.status(view))?;
        Ok(status.filter(|status| status.id == id).map(|status| status.state))
    }

    fn request(&self, view: LiveView) -> PathBuf {
        self.folder.join(format!("{}.request", view.as_str()))
    }

    fn status(&self, view: LiveView) -> PathBuf {
        self.folder.join(format!("{}.status", view.as_str()))
    }

    fn write(&self, file: &Path, value: &impl Serialize) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let beside = file.with_extension("new");
        let mut new = File::create(&beside)?;
        new.write_all(&serde_json::to_vec(value)?)?;
        fs::rename(&beside, file)
    }
}

/// The file's value; `None` if it is not there, or is not one of ours.
fn read<T: DeserializeOwned>(file: &Path) -> io::Result<Option<T>> {
    match fs::read(file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_once_and_answered_to_its_id() {
        let dir = tempfile::tempdir().unwrap();
        let requests = Requests::in_data_dir(dir.path());
        assert_eq!(requests.take(LiveView::Search).unwrap(), None);
        let request = Request { id: "a".into(), verify: true };
        requests.ask(LiveView::Search, &request).unwrap();
        assert_eq!(requests.take(LiveView::Lineage).unwrap(), None);
        assert_eq!(requests.take(LiveView::Search).unwrap(), Some(request));
        assert_eq!(requests.take(LiveView::Search).unwrap(), None);
        let failed = Status { id: "a".into(), state: State::Failed("why".into()) };
        requests.tell(LiveView::Search, &failed).unwrap();
        assert_eq!(requests.told(LiveView::Search, "b").unwrap(), None);
        assert_eq!(requests.told(LiveView::Search, "a").unwrap(), Some(failed.state));
        requests.forget(LiveView::Search);
        assert_eq!(requests.told(LiveView::Search, "a").unwrap(), None);
    }
}
