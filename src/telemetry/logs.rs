//! Logs: what is written, in which shape, to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Filter in the syntax of `RUST_LOG`.
    pub filter: String,
    /// Shape of a line.
    pub shape: LogShape,
    /// Whether lines are coloured.
    pub color: Color,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { filter: "info".to_owned(), shape: LogShape::Text, color: Color::Auto }
    }
}

/// Shape of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogShape {
    /// For people.
    Text,
    /// One JSON object a line, fields at its top level.
    Json,
}

/// Whether lines are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// If standard error is a terminal.
    Auto,
    /// Always.
    Always,
    /// Never; what `NO_COLOR` asks for.
    Never,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("log filter {filter:?} cannot be read; write it as RUST_LOG, such as info,tributary::stage=debug")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// A logger is there.
    #[error("this process has a logger already; start logging once")]
    Twice {
        /// The library's words.
        source: tracing_subscriber::util::TryInitError,
    },
}

/// Starts logging for the whole process. Once.
///
/// # Errors
/// If the filter is wrong or there is a logger.
pub fn start_logging(options: &LogOptions) -> Result<(), LogError> {
    let subscriber = subscriber(options, std::io::stderr, std::io::stderr().is_terminal())?;
    subscriber.try_init().map_err(|source| LogError::Twice { source })
}

fn subscriber<W>(
    options: &LogOptions,
    writer: W,
    terminal: bool,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&options.filter)
        .map_err(|source| LogError::Filter { filter: options.filter.clone(), source })?;
    let colored = match options.color {
        Color::Auto => terminal,
        Color::Always => true,
        Color::Never => false,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colored);
    Ok(match options.shape {
        LogShape::Text => Box::new(registry.with(lines)),
        LogShape::Json => Box::new(registry.with(lines.json().flatten_event(true).with_ansi(false))),
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(options: &LogOptions) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber(options, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("not seen");
            tracing::warn!(topic = "a", "seen");
        });
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_have_the_shape_and_colour_that_are_asked_for() {
        let text = logged(&LogOptions::default());
        assert!(text.contains("WARN") && text.contains("seen") && !text.contains("not seen") && !text.contains('\x1b'));
        assert!(logged(&LogOptions { color: Color::Always, ..LogOptions::default() }).contains('\x1b'));
        let json = logged(&LogOptions { shape: LogShape::Json, color: Color::Always, ..LogOptions::default() });
        let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&parsed["level"], &parsed["topic"], &parsed["message"]),
            (&"WARN".into(), &"a".into(), &"seen".into())
        );
    }

    #[test]
    fn a_wrong_filter_is_named() {
        let options = LogOptions { filter: "tributary=loud".to_owned(), ..LogOptions::default() };
        assert!(start_logging(&options).unwrap_err().to_string().contains("\"tributary=loud\""));
    }
}
