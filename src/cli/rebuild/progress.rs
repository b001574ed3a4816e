//! Tells of progress: a bar on a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often progress is told where there is no terminal.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(5);

const TEMPLATE: &str =
    "{prefix:<9} {msg:<12} [{bar:30}] {percent:>3} %  {human_pos} of {human_len}, {per_sec}, {eta} to go";
const WITHOUT_END: &str = "{prefix:<9} {msg} {spinner}";

/// The teller of one view's rebuild.
pub(super) struct Teller {
    view: &'static str,
    bar: ProgressBar,
    step: String,
    /// When the step began, and how much of it was done then.
    began: (Instant, u64),
    told: Instant,
}

impl Teller {
    pub(super) fn new(view: &'static str) -> Self {
        let bar = ProgressBar::new(0);
        bar.set_prefix(view);
        let now = Instant::now();
        Self { view, bar, step: String::new(), began: (now, 0), told: now }
    }

    /// What it is doing, and how much of how much is done; a `total` of 0 is unknown.
    pub(super) fn tell(&mut self, step: &str, done: u64, total: u64, trouble: Option<&str>) {
        let now = Instant::now();
        let new_step = self.step != step;
        if new_step {
            step.clone_into(&mut self.step);
            self.began = (now, done);
            let style = ProgressStyle::with_template(if total > 0 { TEMPLATE } else { WITHOUT_END });
            self.bar.set_style(style.expect("the templates are sound, a test says so").progress_chars("=> "));
            self.bar.reset();
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(trouble.map_or_else(|| step.to_owned(), |trouble| format!("waits: {trouble}")));
        if self.bar.is_hidden() && (new_step || self.told.elapsed() >= PLAIN_LINE_EVERY) {
            self.told = now;
            eprintln!("{}", self.line(done, total, trouble));
        }
    }

    fn line(&self, done: u64, total: u64, trouble: Option<&str>) -> String {
        let waits = trouble.map(|trouble| format!("; waits: {trouble}")).unwrap_or_default();
        if total == 0 {
            return format!("{}: {}{waits}", self.view, self.step);
        }
        let (began, before) = self.began;
        let rate = done.saturating_sub(before) as f64 / began.elapsed().as_secs_f64().max(1e-3);
        let left = if rate > 0.0 {
            format!(", {:.0}/s, {:.0} s to go", rate, total.saturating_sub(done) as f64 / rate)
        } else {
            String::new()
        };
        let percent = done * 100 / total;
        format!("{}: {} {done} of {total} ({percent} %){left}{waits}", self.view, self.step)
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_sound() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok() && ProgressStyle::with_template(WITHOUT_END).is_ok());
    }

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        let mut teller = Teller::new("postgres");
        teller.step = "filling".to_owned();
        teller.began = (Instant::now() - Duration::from_secs(10), 0);
        let line = teller.line(5_000, 20_000, None);
        assert!(line.starts_with("postgres: filling 5000 of 20000 (25 %), "), "{line}");
        assert!(line.ends_with(" s to go"), "{line}");
        assert_eq!(teller.line(0, 0, Some("no Kafka")), "postgres: filling; waits: no Kafka");
    }
}
