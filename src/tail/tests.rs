//! The position of a tail: what is new, what is late, what is missing.

use super::outbox::key;
use super::window::{LOOK_BACK, Position, Sorted, Trouble};
use crate::metastore::Notification;

fn event(id: i64, what: &str) -> Notification {
    let (event_type, message) = ("CREATE_TABLE".to_owned(), what.to_owned());
    Notification { event_id: id, event_time: 100 + id, event_type, message, ..Notification::default() }
}

fn events(ids: impl IntoIterator<Item = i64>) -> Vec<Notification> {
    ids.into_iter().map(|id| event(id, "first")).collect()
}

fn at(ids: impl IntoIterator<Item = i64>) -> Position {
    Position::default().advanced(&events(ids))
}

fn nothing() -> Sorted {
    Sorted { send: Vec::new(), late: 0, trouble: None }
}

#[test]
fn what_follows_is_new_and_what_was_sent_is_not() {
    let sorted = Position::default().sort_out(0, events(1..=3), Some(3));
    assert_eq!(sorted, Sorted { send: events(1..=3), ..nothing() });
    let position = at(1..=3);
    assert_eq!((position.id, position.time), (3, 103));
    assert_eq!(position.sort_out(0, events(1..=3), Some(3)), nothing());
    let sorted = position.sort_out(0, events(1..=5), Some(5));
    assert_eq!(sorted, Sorted { send: events(4..=5), ..nothing() });
}

#[test]
fn a_twin_is_sent_however_late_it_comes() {
    let twin = event(2, "second");
    // Beside its sibling.
    let both = vec![event(1, "first"), event(2, "first"), twin.clone()];
    assert_eq!(Position::default().sort_out(0, both.clone(), Some(2)), Sorted { send: both.clone(), ..nothing() });
    // When its sibling and what follows were sent already.
    let position = at(1..=3);
    let mut answer = both;
    answer.push(event(3, "first"));
    let sorted = position.sort_out(0, answer.clone(), Some(3));
    assert_eq!(sorted, Sorted { send: vec![twin.clone()], late: 1, ..nothing() });
    // And once only.
    let next = position.advanced(&sorted.send);
    assert_eq!(next.id, 3);
    assert_eq!(next.sort_out(0, answer, Some(3)), nothing());
}

#[test]
fn a_hole_holds_back_what_follows() {
    let missing = |from, to| Some(Trouble::Missing { from, to });
    let sorted = at(1..=2).sort_out(0, events([1, 2, 3, 6]), Some(6));
    assert_eq!(sorted, Sorted { send: events([3]), trouble: missing(4, 5), late: 0 });
    // The log was cleaned to its end.
    assert_eq!(at(1..=2).sort_out(0, Vec::new(), Some(9)), Sorted { trouble: missing(3, 9), ..nothing() });
    // The log of a metastore that nobody has tailed begins late.
    assert_eq!(Position::default().sort_out(0, events([7]), Some(7)), Sorted { trouble: missing(1, 6), ..nothing() });
    // An answer that is not the last one does not tell what follows.
    assert_eq!(at(1..=2).sort_out(0, events(1..=4), None), Sorted { send: events(3..=4), ..nothing() });
}

#[test]
fn what_a_listing_stands_in_for_is_not_missing() {
    let position = at(1..=2).repaired(Trouble::Missing { from: 3, to: 5 }, 5, 90);
    assert_eq!((position.id, position.time), (5, 102));
    let sorted = position.sort_out(0, events([1, 2, 6]), Some(6));
    assert_eq!(sorted, Sorted { send: events([6]), ..nothing() });
    // An event that was only late is sent after all.
    let sorted = position.sort_out(0, events([1, 2, 4]), Some(5));
    assert_eq!(sorted, Sorted { send: events([4]), late: 1, ..nothing() });
}

#[test]
fn a_log_that_began_again_is_another_one() {
    let position = at(1..=9);
    let rebuilt = Sorted { trouble: Some(Trouble::Rebuilt), ..nothing() };
    assert_eq!(position.sort_out(0, Vec::new(), Some(4)), rebuilt);
    let others: Vec<_> = (1..=12).map(|id| event(id, "another")).collect();
    assert_eq!(position.sort_out(0, others.clone(), Some(12)), rebuilt);
    assert_eq!(position.sort_out(0, others[..9].to_vec(), Some(9)), rebuilt);
    let next = position.repaired(Trouble::Rebuilt, 0, 50);
    assert_eq!((next.id, next.time), (0, 109));
    assert_eq!(next.sort_out(0, others.clone(), Some(12)).send, others);
    // A cleaned log is the same one.
    assert_eq!(position.sort_out(8, Vec::new(), Some(9)), nothing());
    assert_eq!(position.sort_out(0, events(5..=10), Some(10)).send, events([10]));
}

#[test]
fn a_position_is_bounded_and_read_as_it_is_written() {
    let position = at(1..=3 * LOOK_BACK);
    let text = serde_json::to_string(&position).unwrap();
    assert!(text.len() < 40 * LOOK_BACK as usize, "{}", text.len());
    assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
    // Of what lies further back nobody knows whether it was sent.
    assert_eq!(position.sort_out(0, events(1..=3 * LOOK_BACK), Some(3 * LOOK_BACK)), nothing());
}

#[test]
fn keys_are_those_of_other_producers() {
    assert_eq!(key(Some("d"), Some("t")).as_deref(), Some("d.t"));
    assert_eq!(key(Some("d"), None).as_deref(), Some("d"));
    assert_eq!(key(Some(""), None), None);
}
