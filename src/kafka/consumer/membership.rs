//! What a member does about the group beyond polling: who has its name, and whether all partitions have a member.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use super::{GroupConsumer, RebalanceHandler};
use crate::kafka::coverage::owned;
use crate::kafka::error::{Class, KafkaError};
use crate::kafka::watch::Watch;

/// How long the group may take to say who its members are, and how long to wait before it is asked again.
const ASK: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// No look at the members takes longer: two requests and the wait before the next.
pub(super) const LONGEST_LOOK: Duration = ASK.saturating_mul(2).saturating_add(ASK_AGAIN);
/// A member that has been dead for a session is gone after so much more.
const GRACE: Duration = Duration::from_secs(2);
/// For how long partitions may be without a member at first: longer than one takes to give them up and join again.
const UNOWNED: Duration = Duration::from_secs(4);

/// What a member knows of itself since it has joined.
#[derive(Default)]
pub(super) struct OurId {
    known: Option<String>,
    looked_at: Option<Instant>,
    /// Partitions without a member, as seen since the last join; `None` when all have had one.
    unowned: Option<Watch>,
    /// How often the member has left because of them.
    left: u32,
}

/// See [`GroupConsumer::cover`].
enum Cover {
    Complete,
    /// Some partitions have no member; the one that has the fewest is to leave and to return.
    Lacking {
        leaver: String,
    },
    /// The group rebalances: what counts is how that ends.
    Unsettled,
}

impl<H: RebalanceHandler + 'static> GroupConsumer<H> {
    /// After each join, asks for our id and then whether all partitions have a member.
    ///
    /// The protocol can leave some without: where a static member ends after it has given partitions up for others and
    /// before it has joined again, its next start gets the rest back without a rebalance, and nothing makes the group
    /// share out what was given up. A member that leaves and returns does.
    pub(super) fn look_after_joining(&self) {
        let joined = &self.inner.context().joined;
        let mut ours = self.our_id.lock().expect("no holder of this lock panics");
        let is_open = joined.load(Ordering::Relaxed) || ours.unowned.is_some();
        if !is_open || ours.looked_at.is_some_and(|at| at.elapsed() < ASK) {
            return;
        }
        ours.looked_at = Some(Instant::now());
        if joined.load(Ordering::Relaxed) {
            match self.member_of_our_name() {
                Ok(Some(id)) => {
                    ours.known = Some(id);
                    ours.unowned = Some(Watch::new(LONGEST_LOOK));
                    joined.store(false, Ordering::Relaxed);
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "our member id is not known yet"),
            }
            return;
        }
        match self.cover() {
            Ok(Cover::Lacking { leaver }) => {
                let patience = UNOWNED * 2_u32.saturating_pow(ours.left.min(10));
                let seen = ours.unowned.as_mut().map(|watch| watch.look(Instant::now()));
                if seen.is_some_and(|seen| seen > patience) && ours.known.as_ref() == Some(&leaver) {
                    tracing::warn!(
                        group = self.group,
                        "partitions are without a member; joining again to share them out"
                    );
                    ours.unowned = None;
                    ours.left += 1;
                    self.inner.unsubscribe();
                    self.returns.store(true, Ordering::Relaxed);
                }
            }
            Ok(Cover::Complete) => {
                ours.unowned = None;
                ours.left = 0;
            }
            Ok(Cover::Unsettled) => ours.unowned = Some(Watch::new(LONGEST_LOOK)),
            Err(error) => tracing::debug!(%error, "whether all partitions have a member is not known yet"),
        }
    }

    /// Joins again where the member has left to do so and has given all its partitions back.
    pub(super) fn return_to_group(&self) -> Result<(), KafkaError> {
        if !self.returns.load(Ordering::Relaxed)
            || self.inner.assignment().map_err(|e| self.error("return", e))?.count() > 0
        {
            return Ok(());
        }
        self.returns.store(false, Ordering::Relaxed);
        let topics = self.subscribed.lock().expect("no holder of this lock panics").clone();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.inner.subscribe(&topics).map_err(|e| self.error("return", e))
    }

    /// Whether each partition of our topics has a member.
    fn cover(&self) -> Result<Cover, KafkaError> {
        let context = "look at the members' partitions";
        let metadata = self.inner.fetch_metadata(None, ASK).map_err(|e| self.error(context, e))?;
        let subscribed = self.subscribed.lock().expect("no holder of this lock panics");
        let ours = metadata.topics().iter().filter(|topic| subscribed.iter().any(|name| name == topic.name()));
        let partitions: usize = ours.map(|topic| topic.partitions().len()).sum();
        let list = self.inner.fetch_group_list(Some(&self.group), ASK).map_err(|e| self.error(context, e))?;
        let group = list.groups().iter().find(|group| group.name() == self.group && group.state() == "Stable");
        let Some(group) = group else { return Ok(Cover::Unsettled) };
        let shares = group.members().iter().map(|member| {
            let owned = owned(member.assignment().unwrap_or_default())?;
            Some((owned, member.id()))
        });
        // Members of another protocol than ours are not understood.
        let Some(shares) = shares.collect::<Option<Vec<_>>>() else { return Ok(Cover::Complete) };
        let owned: usize = shares.iter().map(|(owned, _)| owned).sum();
        Ok(match shares.iter().min() {
            Some((_, leaver)) if owned < partitions => Cover::Lacking { leaver: (*leaver).to_owned() },
            _ => Cover::Complete,
        })
    }

    fn is_ours(&self, id: &str) -> bool {
        self.our_id.lock().expect("no holder of this lock panics").known.as_deref() == Some(id)
    }

    /// Gives lost partitions back, which makes the member join again, unless another process has its name.
    pub(super) fn settle_lost(&self) -> Result<(), KafkaError> {
        let mut waiting = self.inner.context().lost.lock().expect("no holder of this lock panics");
        let Some(mut lost) = waiting.take() else { return Ok(()) };
        let long = lost.watch.look(Instant::now()) > self.session + GRACE;
        let again = match self.member_of_our_name() {
            Ok(None) => None,
            Ok(Some(id)) if self.is_ours(&id) => None,
            Ok(Some(id)) => {
                // Either another process, or this one in a join whose answer was lost: only the first one lives on.
                let lives = long || lost.stranger.as_ref().is_some_and(|known| *known != id);
                if lives {
                    self.leave(&lost.partitions);
                    let context = format!("return to group {}", self.group);
                    return Err(KafkaError::code(context, RDKafkaErrorCode::FencedInstanceId));
                }
                lost.stranger = Some(id);
                let context = format!("return to group {}", self.group);
                Some(KafkaError::other(Class::Transient, context, "a member of this name is there; does it live?"))
            }
            // A cluster in trouble for long must not keep its members out.
            Err(error) if long => {
                tracing::warn!(group = self.group, %error, "returning without knowing who is there");
                None
            }
            Err(error) => Some(error),
        };
        if let Some(error) = again {
            *waiting = Some(lost);
            std::thread::sleep(ASK_AGAIN);
            return Err(error);
        }
        self.inner.incremental_unassign(&lost.partitions).map_err(|e| self.error("give lost partitions back", e))
    }

    /// The id of the group's member that has our instance id, whatever process it is of.
    ///
    /// # Errors
    /// If the group does not answer: a transient error.
    pub fn member_of_our_name(&self) -> Result<Option<String>, KafkaError> {
        // Groups are asked of known brokers only, which a client that has done nothing yet does not have.
        let _ = self.inner.client().fetch_cluster_id(ASK);
        let list =
            self.inner.fetch_group_list(Some(&self.group), ASK).map_err(|e| self.error("look at the members", e))?;
        let Some(group) = list.groups().iter().find(|group| group.name() == self.group) else { return Ok(None) };
        if group.state().is_empty() {
            let context = format!("look at the members of group {}", self.group);
            return Err(KafkaError::other(Class::Transient, context, "the coordinator cannot describe the group now"));
        }
        Ok(group
            .members()
            .iter()
            .map(|member| member.id())
            .find(|id| id.starts_with(&self.our_name))
            .map(str::to_owned))
    }

    /// Whether a fenced member was fenced by its own former self and not by another process: while a broker is away,
    /// the answer to a rejoin can be lost, and the member goes on with an id that the coordinator has replaced. That
    /// one never lives on; to see that can take a session.
    pub fn fenced_by_itself(&self) -> bool {
        let mut watch = Watch::new(LONGEST_LOOK);
        while watch.look(Instant::now()) < self.session + GRACE {
            match self.member_of_our_name() {
                Ok(None) => return true,
                Ok(Some(id)) if self.is_ours(&id) => return true,
                Ok(Some(_)) | Err(_) => std::thread::sleep(ASK_AGAIN),
            }
        }
        false
    }

    /// Gives partitions back without joining again.
    pub(super) fn leave(&self, list: &TopicPartitionList) {
        self.inner.unsubscribe();
        if let Err(error) = self.inner.incremental_unassign(list) {
            tracing::debug!(%error, "lost partitions were not given back");
        }
    }
}
