//! What happens in a campaign, and in which order: a pure function of the seed.

use std::fmt;

use crate::cli::draw::Dice;
use crate::dev::proxy::Leg;
use crate::failpoint;

/// One of the two processes that share the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// Runs everything, with a schema registry of its own process over REST.
    A,
    /// Runs stages and the Postgres sink, with the schema registry in it.
    B,
}

/// What is done to the message of a commit. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Lost at once, with its connection.
    Lost,
    /// Held for so long, then lost with its connection.
    HeldAndLost(u64),
    /// Held for so long, then let go.
    Late(u64),
}

/// When Postgres crashes, seen from a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The commit has not reached it.
    Before,
    /// The commit has just been sent.
    During,
    /// It has committed, and the client does not know.
    After,
}

/// How a store is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The files are gone.
    Deleted,
    /// The files end in the middle.
    CutOff,
    /// Bytes in the middle of the files are not what they were.
    Overwritten,
}

/// How a disk refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Full, while the process works.
    Full,
    /// No byte can be written, to open files neither, while the process works.
    Unwritable,
    /// Mounted read-only, or without permission, before the process starts.
    ReadOnly,
}

/// One misfortune. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9 so long after records began to flow.
    Kill {
        /// Whose end.
        who: Who,
        /// Milliseconds of work.
        after: u64,
    },
    /// Killed, started again, and killed so long after that start.
    KillStarting {
        /// Whose end.
        who: Who,
        /// Milliseconds after its start.
        after: u64,
    },
    /// Killed so long after records began to flow, started again, and killed where it passes a failpoint.
    KillAt {
        /// Whose end.
        who: Who,
        /// Milliseconds of work.
        after: u64,
        /// Failpoint.
        point: &'static str,
        /// The how manieth passing.
        hit: u64,
    },
    /// Stopped beyond all time-outs while another process takes its name, then continued.
    Zombie {
        /// Whose.
        who: Who,
        /// Milliseconds stopped.
        millis: u64,
    },
    /// Stopped beyond all time-outs, then continued.
    Pause {
        /// Whose.
        who: Who,
        /// Milliseconds stopped.
        millis: u64,
    },
    /// The second process comes and goes.
    Members {
        /// Milliseconds that it works, each time.
        stays: [u64; 3],
    },
    /// The broker ends and starts again.
    Broker {
        /// `TERM` or `KILL`.
        signal: &'static str,
        /// Milliseconds that it is away.
        away: u64,
    },
    /// Postgres crashes around a commit and starts again.
    Database {
        /// When.
        crash: Crash,
        /// Milliseconds that it is away.
        away: u64,
    },
    /// Something happens to the commit of a Kafka transaction.
    EndTxn {
        /// To which half.
        leg: Leg,
        /// What.
        fate: Fate,
    },
    /// Something happens to the commit of an SQL transaction.
    SqlCommit {
        /// To which half.
        leg: Leg,
        /// What.
        fate: Fate,
    },
    /// Local state and index are lost while the process is down.
    Store {
        /// How.
        damage: Damage,
        /// Whether the process ended in order before, or was killed.
        clean: bool,
    },
    /// The disk refuses.
    Disk {
        /// How.
        refusal: Refusal,
        /// Milliseconds for which it refuses.
        millis: u64,
    },
    /// The schema registry is away while records come under a schema that nobody has seen.
    Registry {
        /// Milliseconds that it is away.
        away: u64,
    },
    /// A process starts while the schema registry is away.
    RegistryAtStart,
}

/// A fault and its circumstances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What happens.
    pub fault: Fault,
    /// Whether both processes are there.
    pub together: bool,
}

/// Failpoints of the registry: passed when the topology is applied, before the campaign.
pub fn registry_points() -> impl Iterator<Item = &'static str> {
    failpoint::NAMES.iter().copied().filter(|name| name.starts_with("registry."))
}

/// Failpoints that the killed processes pass; the others belong to commands that are not running then.
fn process_points() -> impl Iterator<Item = &'static str> {
    let parts = ["stage.", "sink.", "postgres.", "search.", "graph."];
    failpoint::NAMES.iter().copied().filter(move |name| parts.iter().any(|part| name.starts_with(part)))
}

/// What a schedule is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Chooses everything.
    pub seed: u64,
    /// Kills of our processes, at least.
    pub kills: u64,
    /// Whether processes can be killed at failpoints: each is passed once in a round.
    pub failpoints: bool,
    /// Only faults whose kind contains this text; then there are as many faults as there were to be kills.
    pub only: Option<String>,
    /// Only faults that are over in seconds: nothing waits for a time-out to pass.
    pub brief: bool,
}

/// The steps of a campaign.
pub fn schedule(plan: &Plan) -> Vec<Step> {
    let mut dice = Dice::new(plan.seed);
    let mut steps: Vec<Step> = Vec::new();
    let weight = |fault: &Fault| if plan.only.is_some() { 1 } else { kills_in(fault) };
    let mut planned = if plan.failpoints && plan.only.is_none() { registry_points().count() as u64 } else { 0 };
    let mut round = 0;
    while planned < plan.kills || round == 0 {
        let mut faults = kills_of_a_round(&mut dice, plan.failpoints);
        // What takes long comes in every other round only.
        let mut others = if round % 2 == 0 { misfortunes(&mut dice) } else { Vec::new() };
        if plan.brief {
            others.retain(is_brief);
        }
        if let Some(only) = &plan.only {
            faults.retain(|fault| fault.kind().contains(only));
            others.retain(|fault| fault.kind().contains(only));
            if round == 0 && faults.is_empty() && others.is_empty() {
                break;
            }
        }
        planned += others.iter().map(weight).sum::<u64>();
        let needed = faults.iter().scan(planned, |sum, fault| {
            let before = *sum;
            *sum += weight(fault);
            Some(before)
        });
        let needed = needed.take_while(|before| *before < plan.kills).count();
        faults.truncate(needed);
        planned += faults.iter().map(weight).sum::<u64>();
        faults.extend(others);
        dice.shuffle(&mut faults);
        // Both processes in one half of a round: each coming and going costs a rebalance.
        let half = faults.len() / 2;
        let first_together = round % 2 == 1;
        let placed = faults.into_iter().enumerate().map(|(place, fault)| {
            let together = (place < half) == first_together;
            Step { fault: at_home(fault, together), together }
        });
        steps.extend(placed);
        round += 1;
    }
    steps
}

/// Kills of our processes that a fault holds for certain.
pub fn kills_in(fault: &Fault) -> u64 {
    match fault {
        Fault::KillAt { .. } | Fault::KillStarting { .. } => 2,
        Fault::Kill { .. } | Fault::Store { clean: false, .. } | Fault::Registry { .. } | Fault::RegistryAtStart => 1,
        _ => 0,
    }
}

/// Whether a misfortune is over in seconds; one of those that are alike.
fn is_brief(fault: &Fault) -> bool {
    match fault {
        Fault::EndTxn { leg: Leg::Answer, fate } | Fault::SqlCommit { leg: Leg::Answer, fate } => *fate == Fate::Lost,
        Fault::Store { damage, clean } => *clean == (*damage == Damage::Overwritten) && *damage != Damage::CutOff,
        Fault::Broker { signal, .. } => *signal == "KILL",
        Fault::Database { crash, .. } => *crash == Crash::During,
        Fault::RegistryAtStart => true,
        _ => false,
    }
}

/// Where the second process is not there, it is the first that suffers.
fn at_home(fault: Fault, together: bool) -> Fault {
    let here = |who| if together { who } else { Who::A };
    match fault {
        Fault::Kill { who, after } => Fault::Kill { who: here(who), after },
        Fault::KillStarting { who, after } => Fault::KillStarting { who: here(who), after },
        Fault::KillAt { who, after, point, hit } => Fault::KillAt { who: here(who), after, point, hit },
        Fault::Zombie { who, millis } => Fault::Zombie { who: here(who), millis },
        Fault::Pause { who, millis } => Fault::Pause { who: here(who), millis },
        other => other,
    }
}

fn kills_of_a_round(dice: &mut Dice, failpoints: bool) -> Vec<Fault> {
    let who = |dice: &mut Dice| dice.pick(&[Who::A, Who::B]);
    let mut faults = Vec::new();
    for name in process_points().filter(|_| failpoints) {
        // Only the first process has readers.
        let readers = name.starts_with("search.") || name.starts_with("graph.");
        let who = if readers { Who::A } else { who(dice) };
        faults.push(Fault::KillAt {
            who,
            after: dice.below(1_500),
            point: name,
            hit: dice.between(1, most_hits(name)),
        });
    }
    // Failpoints first: where only a part of the round is needed, it is theirs.
    dice.shuffle(&mut faults);
    for _ in 0..if failpoints { 6 } else { 24 } {
        faults.push(Fault::Kill { who: who(dice), after: dice.below(2_500) });
        faults.push(Fault::KillStarting { who: who(dice), after: dice.below(4_000) });
    }
    faults
}

/// How often a failpoint is passed for certain while there is work.
fn most_hits(point: &str) -> u64 {
    match point {
        "stage.poll.after" | "stage.apply.after" => 60,
        "sink.poll.after" => 40,
        "stage.revoke.before" | "stage.revoke.after" | "stage.restore.after" => 1,
        "search.commit.before" | "search.commit.after" | "sink.hint.after" => 2,
        _ => 4,
    }
}

/// Everything else, once.
fn misfortunes(dice: &mut Dice) -> Vec<Fault> {
    let who = |dice: &mut Dice| dice.pick(&[Who::A, Who::B]);
    let mut faults = vec![
        Fault::Zombie { who: who(dice), millis: dice.between(11_000, 13_000) },
        Fault::Pause { who: who(dice), millis: dice.between(11_000, 13_000) },
        Fault::Members { stays: [dice.below(2_000), dice.below(2_000), dice.below(2_000)] },
        Fault::Registry { away: dice.between(1_000, 3_000) },
        Fault::RegistryAtStart,
    ];
    faults.extend(["TERM", "KILL"].map(|signal| Fault::Broker { signal, away: dice.below(3_000) }));
    faults.extend(
        [Crash::Before, Crash::During, Crash::After].map(|crash| Fault::Database { crash, away: dice.below(2_000) }),
    );
    // Longer than a transaction may be open, so that its owner has given up on it when the message arrives.
    faults.push(Fault::EndTxn { leg: Leg::Request, fate: Fate::Late(dice.between(11_000, 13_000)) });
    faults.push(Fault::EndTxn { leg: Leg::Answer, fate: Fate::Late(dice.between(11_000, 13_000)) });
    for leg in [Leg::Request, Leg::Answer] {
        faults.push(Fault::EndTxn { leg, fate: Fate::Lost });
        faults.push(Fault::EndTxn { leg, fate: Fate::HeldAndLost(dice.between(1_000, 4_000)) });
        faults.push(Fault::SqlCommit { leg, fate: Fate::Lost });
        faults.push(Fault::SqlCommit { leg, fate: Fate::Late(dice.between(1_000, 4_000)) });
        faults.push(Fault::SqlCommit { leg, fate: Fate::HeldAndLost(dice.between(1_000, 4_000)) });
    }
    faults.push(Fault::Store { damage: Damage::Deleted, clean: false });
    for damage in [Damage::CutOff, Damage::Overwritten] {
        faults.extend([true, false].map(|clean| Fault::Store { damage, clean }));
    }
    faults.extend(
        [Refusal::Full, Refusal::Unwritable, Refusal::ReadOnly]
            .map(|refusal| Fault::Disk { refusal, millis: dice.between(1_000, 4_000) }),
    );
    faults
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("lost"),
            Self::HeldAndLost(millis) => write!(f, "held {millis} ms and lost"),
            Self::Late(millis) => write!(f, "{millis} ms late"),
        }
    }
}

impl Fault {
    /// What kind of fault it is, in a few words; its times and places left out.
    pub fn kind(&self) -> String {
        match self {
            Self::Kill { .. } => "kill -9 at work".to_owned(),
            Self::KillStarting { .. } => "kill -9 while starting".to_owned(),
            Self::KillAt { point, .. } => format!("kill at {point}"),
            Self::Zombie { .. } => "zombie".to_owned(),
            Self::Pause { .. } => "pause".to_owned(),
            Self::Members { .. } => "second process comes and goes".to_owned(),
            Self::Broker { signal, .. } => format!("broker SIG{signal}"),
            Self::Database { crash, .. } => match crash {
                Crash::Before => "postgres crash before a commit".to_owned(),
                Crash::During => "postgres crash in a commit".to_owned(),
                Crash::After => "postgres crash after a commit".to_owned(),
            },
            Self::EndTxn { leg, fate } => half("EndTxn", *leg, *fate),
            Self::SqlCommit { leg, fate } => half("COMMIT", *leg, *fate),
            Self::Store { damage, clean } => {
                let damage = match damage {
                    Damage::Deleted => "deleted",
                    Damage::CutOff => "cut off",
                    Damage::Overwritten => "overwritten",
                };
                let after = if *clean { "an end in order" } else { "kill -9" };
                format!("local store {damage} after {after}")
            }
            Self::Disk { refusal, .. } => match refusal {
                Refusal::Full => "disk full".to_owned(),
                Refusal::Unwritable => "disk unwritable".to_owned(),
                Refusal::ReadOnly => "disk read-only at start".to_owned(),
            },
            Self::Registry { .. } => "registry down".to_owned(),
            Self::RegistryAtStart => "registry down at start".to_owned(),
        }
    }
}

fn half(commit: &str, leg: Leg, fate: Fate) -> String {
    let leg = match leg {
        Leg::Request => "request",
        Leg::Answer => "reply",
    };
    let fate = match fate {
        Fate::Lost => "lost",
        Fate::HeldAndLost(_) => "held and lost",
        Fate::Late(_) => "late",
    };
    format!("{commit} {leg} {fate}")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault.kind())?;
        match self.fault {
            Fault::Kill { who, after } | Fault::KillStarting { who, after } => {
                write!(f, " of {who}, after {after} ms")?
            }
            Fault::KillAt { who, after, hit, .. } => write!(f, "@{hit} of {who}, killed after {after} ms before")?,
            Fault::Zombie { who, millis } | Fault::Pause { who, millis } => write!(f, " {who}, {millis} ms")?,
            Fault::Members { stays } => write!(f, ", {stays:?} ms")?,
            Fault::Broker { away, .. } | Fault::Database { away, .. } | Fault::Registry { away } => {
                write!(f, ", {away} ms")?;
            }
            Fault::EndTxn { fate, .. } | Fault::SqlCommit { fate, .. } => match fate {
                Fate::Lost => {}
                Fate::HeldAndLost(millis) | Fate::Late(millis) => write!(f, ", {millis} ms")?,
            },
            Fault::Disk { millis, .. } => write!(f, ", {millis} ms")?,
            Fault::Store { .. } | Fault::RegistryAtStart => {}
        }
        f.write_str(if self.together { ", two processes" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn schedule(seed: u64, kills: u64, failpoints: bool) -> Vec<Step> {
        super::schedule(&Plan { seed, kills, failpoints, only: None, brief: false })
    }

    #[test]
    fn a_part_of_the_faults_can_be_chosen() {
        let only = |text: &str| {
            super::schedule(&Plan { seed: 1, kills: 5, failpoints: true, only: Some(text.into()), brief: false })
        };
        assert!(only("zombie").len() >= 5 && only("zombie").iter().all(|step| step.fault.kind() == "zombie"));
        assert!(only("no such fault").is_empty());
    }

    #[test]
    fn a_seed_says_everything() {
        assert_eq!(schedule(1, 200, true), schedule(1, 200, true));
        assert_ne!(schedule(1, 200, true), schedule(2, 200, true));
    }

    #[test]
    fn every_failpoint_and_every_kind_of_fault_is_there() {
        // A kill at a failpoint counts as two, see `kills_in`.
        let steps = schedule(3, 70, true);
        let kinds: BTreeSet<String> = steps.iter().map(|step| step.fault.kind()).collect();
        let missing: Vec<_> = process_points().filter(|name| !kinds.contains(&format!("kill at {name}"))).collect();
        assert!(missing.is_empty(), "70 kills are enough for all: {missing:?}");
        assert!(misfortunes(&mut Dice::new(9)).iter().all(|fault| kinds.contains(&fault.kind())));
        let long: BTreeSet<String> = schedule(3, 120, true).iter().map(|step| step.fault.kind()).collect();
        assert!(process_points().all(|name| long.contains(&format!("kill at {name}"))));
        assert!(schedule(3, 50, false).iter().all(|step| !matches!(step.fault, Fault::KillAt { .. })));
    }

    #[test]
    fn in_brief_every_failpoint_is_there_and_one_misfortune_of_each_kind() {
        let steps = super::schedule(&Plan { seed: 7, kills: 56, failpoints: true, only: None, brief: true });
        let kinds: BTreeSet<String> = steps.iter().map(|step| step.fault.kind()).collect();
        assert!(process_points().all(|name| kinds.contains(&format!("kill at {name}"))), "{kinds:?}");
        let others: Vec<_> = kinds.iter().filter(|kind| !kind.starts_with("kill")).map(String::as_str).collect();
        let expected = [
            "COMMIT reply lost",
            "EndTxn reply lost",
            "broker SIGKILL",
            "local store deleted after kill -9",
            "local store overwritten after an end in order",
            "postgres crash in a commit",
            "registry down at start",
        ];
        assert_eq!(others, expected);
    }

    #[test]
    fn there_are_as_many_kills_as_asked_for_and_hardly_more() {
        for (kills, failpoints) in [(1, true), (50, true), (500, true), (50, false), (500, false)] {
            let steps = schedule(5, kills, failpoints);
            let before = if failpoints { registry_points().count() as u64 } else { 0 };
            let planned = before + steps.iter().map(|step| kills_in(&step.fault)).sum::<u64>();
            assert!(planned >= kills && planned < kills + 16, "{planned} for {kills}");
        }
    }

    #[test]
    fn alone_the_first_process_suffers() {
        for step in schedule(7, 300, true).iter().filter(|step| !step.together) {
            match step.fault {
                Fault::Kill { who, .. } | Fault::KillAt { who, .. } | Fault::Zombie { who, .. } => {
                    assert_eq!(who, Who::A)
                }
                _ => {}
            }
        }
    }
}
