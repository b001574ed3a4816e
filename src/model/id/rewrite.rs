//! Configured rewrites of ids: the same table seen through another engine gets the id of its home.

use serde::Deserialize;

use super::{EntityId, IdError};

/// One rewrite as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewriteConfig {
    /// An id, or a prefix `scheme://authority/a/**`.
    pub from: String,
    /// An id, or a prefix, as `from` is.
    pub to: String,
    /// Only for names reported by jobs of this namespace.
    #[serde(default)]
    pub job_namespace: Option<String>,
    /// Only for names reported in this raw topic.
    #[serde(default)]
    pub topic: Option<String>,
}

/// Rewrites in the order in which they are tried: longest left side first, restricted ones before general ones.
#[derive(Clone, Debug, Default)]
pub struct Rewrites {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    from: String,
    to: String,
    prefix: bool,
    config: RewriteConfig,
}

impl Rewrites {
    /// Fails on sides of unequal shape, on duplicates, and on cycles.
    pub fn new(configs: Vec<RewriteConfig>) -> Result<Self, IdError> {
        let mut rules = configs.into_iter().map(Rule::new).collect::<Result<Vec<_>, _>>()?;
        let restrictions = |rule: &Rule| rule.config.job_namespace.iter().chain(&rule.config.topic).count();
        rules.sort_by(|a, b| {
            (b.from.len(), !b.prefix, restrictions(b), &a.from, &a.config.to).cmp(&(
                a.from.len(),
                !a.prefix,
                restrictions(a),
                &b.from,
                &b.config.to,
            ))
        });
        for (index, rule) in rules.iter().enumerate() {
            let is_twin = |other: &Rule| {
                other.config.from == rule.config.from
                    && other.config.topic == rule.config.topic
                    && other.config.job_namespace == rule.config.job_namespace
            };
            if rules.iter().skip(index + 1).any(is_twin) {
                return Err(IdError::RewriteTwice { from: rule.config.from.clone() });
            }
        }
        match find_cycle(&rules) {
            Some(cycle) => Err(IdError::RewriteCycle { cycle }),
            None => Ok(Self { rules }),
        }
    }

    /// The id that takes the place of `id`, by the first rule that fits; `None` if none does. Applied once.
    pub fn apply(&self, id: &EntityId, job_namespace: Option<&str>, topic: &str) -> Option<EntityId> {
        self.rules.iter().filter(|rule| rule.admits(job_namespace, topic)).find_map(|rule| rule.apply(id))
    }
}

impl Rule {
    fn new(config: RewriteConfig) -> Result<Self, IdError> {
        let (from, to) = (config.from.strip_suffix("/**"), config.to.strip_suffix("/**"));
        let (from, to, prefix) = match (from, to) {
            (Some(from), Some(to)) => (from, to, true),
            (None, None) => (config.from.as_str(), config.to.as_str(), false),
            _ => return Err(IdError::RewriteShape { from: config.from, to: config.to }),
        };
        super::Canon::parse(from)?;
        super::Canon::parse(to)?;
        Ok(Self { from: from.to_owned(), to: to.to_owned(), prefix, config })
    }

    fn admits(&self, job_namespace: Option<&str>, topic: &str) -> bool {
        let job_fits = self.config.job_namespace.as_deref().is_none_or(|wanted| Some(wanted) == job_namespace);
        job_fits && self.config.topic.as_deref().is_none_or(|wanted| wanted == topic)
    }

    fn apply(&self, id: &EntityId) -> Option<EntityId> {
        let rest = id.as_str().strip_prefix(&self.from)?;
        let fits = if self.prefix { rest.starts_with('/') } else { rest.is_empty() };
        fits.then(|| EntityId::from_canonical(format!("{}{rest}", self.to)))
    }

    /// Whether a name that this rule made may be taken up by `next`.
    fn may_feed(&self, next: &Self) -> bool {
        let meets = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
        let together = meets(&self.config.topic, &next.config.topic)
            && meets(&self.config.job_namespace, &next.config.job_namespace);
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let itself = self.from == next.from && self.to == next.to;
        let reaches = match (self.prefix, next.prefix) {
            (_, true) if within(&self.to, &next.from) => true,
            (true, _) => !itself && within(&next.from, &self.to),
            (false, false) => self.to == next.from,
            (false, true) => false,
        };
        together && reaches
    }
}

/// The rules of a cycle as text, if there is one. Depth-first over at most a few hundred rules, without recursion.
fn find_cycle(rules: &[Rule]) -> Option<String> {
    for start in 0..rules.len() {
        let mut came_from = vec![None; rules.len()];
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            let current = rules.get(at)?;
            for (next, _) in rules.iter().enumerate().filter(|(_, rule)| current.may_feed(rule)) {
                if next == start {
                    return Some(describe(rules, &came_from, start, at));
                }
                if let Some(slot @ None) = came_from.get_mut(next) {
                    *slot = Some(at);
                    open.push(next);
                }
            }
        }
    }
    None
}

fn describe(rules: &[Rule], came_from: &[Option<usize>], start: usize, last: usize) -> String {
    let mut way = vec![last];
    while let Some(&at) = way.last().filter(|&&at| at != start && way.len() <= rules.len()) {
        match came_from.get(at).copied().flatten() {
            Some(previous) => way.push(previous),
            None => break,
        }
    }
    let name = |&at: &usize| rules.get(at).map(|rule| format!("{} -> {}", rule.config.from, rule.config.to));
    way.iter().rev().filter_map(name).collect::<Vec<_>>().join(", ")
}
