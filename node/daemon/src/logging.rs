//! What the daemon tells its operator, on standard error.
//!
//! Under systemd each line starts with its priority (`<4>`) and carries no time, because the
//! journal keeps both. Elsewhere it starts with the time of day in UTC and the level.
//!
//! Few lines on purpose, since they end on an SD card: `info` is for what happens a few times a
//! day, and whatever happens with each block is `debug`. What a peer sent cannot forge a line:
//! control characters are escaped. Spans are not shown.

use std::fmt::{self, Write};
use std::io;
use std::os::fd::AsFd;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, reload};

/// From which level on lines are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what may fail soon.
    Warn,
    /// And what happens a few times a day.
    #[default]
    Info,
    /// And what happens with each block.
    Debug,
    /// And what happens with each message.
    Trace,
}

impl LogLevel {
    /// All levels, the quietest first.
    const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Its name in the config file.
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The filter that lets it and all quieter levels through.
    const fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no level.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a log level: write error, warn, info, debug or trace")]
pub struct UnknownLevel;

impl FromStr for LogLevel {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        Self::ALL.into_iter().find(|level| level.name() == text).ok_or(UnknownLevel)
    }
}

/// Changes the level while the daemon runs.
#[derive(Clone, Debug)]
pub struct LogHandle(reload::Handle<LevelFilter, Registry>);

impl LogHandle {
    /// Writes lines from `level` on from now on.
    pub fn set_level(&self, level: LogLevel) {
        if let Err(error) = self.0.reload(level.filter()) {
            tracing::warn!(%error, "the log level stays as it was");
        }
    }
}

/// Starts logging to standard error, once for the process.
///
/// # Errors
/// Where the process logs already.
pub fn start(level: LogLevel) -> Result<LogHandle, TryInitError> {
    let style = if leads_to_journal(io::stderr()) { Style::Journal } else { Style::Terminal };
    let (subscriber, handle) = subscriber(level, style, io::stderr);
    subscriber.try_init()?;
    Ok(handle)
}

/// Everything behind `tracing`'s macros, writing to `writer`.
fn subscriber<W>(level: LogLevel, style: Style, writer: W) -> (impl Subscriber, LogHandle)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(level.filter());
    let lines = tracing_subscriber::fmt::layer()
        .event_format(style)
        .with_writer(writer)
        // Where standard error is closed there is nobody to tell, and trying to would panic.
        .log_internal_errors(false);
    (tracing_subscriber::registry().with(filter).with(lines), LogHandle(handle))
}

/// Whether systemd connected this very stream to the journal, and no child process was given
/// another one since.
fn leads_to_journal(stream: impl AsFd) -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|named| is_stream(&named, stream))
}

/// Whether `named`, a device and an inode with a colon between, is this stream.
fn is_stream(named: &str, stream: impl AsFd) -> bool {
    let stat = rustix::fs::fstat(stream);
    stat.is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// How a line looks.
#[derive(Clone, Copy, Debug)]
enum Style {
    Journal,
    Terminal,
}

impl<S, N> FormatEvent<S, N> for Style
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        match self {
            Self::Journal => write!(line, "<{}>", priority(level))?,
            Self::Terminal => write!(line, "{} {level:<5} ", time_of_day(SystemTime::now()))?,
        }
        let mut fields = Fields { line: Escaped(line), first: true, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        fields.line.0.write_char('\n')
    }
}

/// The level as a priority of syslog, as sd-daemon(3) numbers them.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// Hours, minutes and seconds in UTC; a clock before 1970 reads midnight.
fn time_of_day(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Writes the message, then each field as `name=value`.
struct Fields<'w> {
    line: Escaped<'w>,
    first: bool,
    result: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let gap = if std::mem::take(&mut self.first) { "" } else { " " };
        self.result = self.result.and_then(|()| match field.name() {
            "message" => write!(self.line, "{gap}{value}"),
            name => write!(self.line, "{gap}{name}={value}"),
        });
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, format_args!("{value:?}"));
    }
}

/// Escapes what could end the line or steer a terminal.
struct Escaped<'w>(Writer<'w>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let mut letters = part.chars();
            match letters.next_back() {
                Some(last) if last.is_control() => {
                    write!(self.0, "{}{}", letters.as_str(), last.escape_default())?;
                }
                _ => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `events` writes at `level`.
    fn written(level: LogLevel, style: Style, events: impl FnOnce(&LogHandle)) -> String {
        let paper = Paper::default();
        let pen = paper.clone();
        let (subscriber, handle) = subscriber(level, style, move || pen.clone());
        tracing::subscriber::with_default(subscriber, || events(&handle));
        let bytes = paper.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("lines are text")
    }

    #[test]
    fn the_journal_gets_priorities_and_no_time() {
        let lines = written(LogLevel::Trace, Style::Journal, |_| {
            tracing::error!("failed");
            tracing::warn!(height = 7, "slow");
            tracing::info!("ready");
            tracing::debug!(peer = %"10.0.0.1", name = "x y", "hello");
            tracing::trace!("bytes");
        });
        let want = "<3>failed\n<4>slow height=7\n<6>ready\n\
                    <7>hello peer=10.0.0.1 name=\"x y\"\n<7>bytes\n";
        assert_eq!(lines, want);
    }

    #[test]
    fn a_terminal_gets_time_and_level() {
        let line = written(LogLevel::Info, Style::Terminal, |_| tracing::info!("ready"));
        let (time, rest) = line.split_at(9);
        assert_eq!(rest, " INFO  ready\n");
        assert!(time.ends_with('Z') && time.matches(':').count() == 2, "{time}");
        let day = UNIX_EPOCH + Duration::from_secs(2 * 86_400 + 3_600 + 2 * 60 + 3);
        assert_eq!(time_of_day(day), "01:02:03Z");
        assert_eq!(time_of_day(UNIX_EPOCH - Duration::from_secs(1)), "00:00:00Z");
    }

    #[test]
    fn nobody_can_forge_a_line() {
        let lines = written(LogLevel::Info, Style::Journal, |_| {
            let name = "x\n<0>panic \u{1b}[2J\u{9b}é";
            tracing::info!(%name, "peer {name}");
        });
        let escaped = "x\\n<0>panic \\u{1b}[2J\\u{9b}é";
        assert_eq!(lines, format!("<6>peer {escaped} name={escaped}\n"));
    }

    #[test]
    fn the_level_can_change_while_running() {
        let lines = written(LogLevel::Warn, Style::Journal, |handle| {
            tracing::info!("one");
            handle.set_level(LogLevel::Debug);
            tracing::debug!("two");
            handle.set_level(LogLevel::Error);
            tracing::warn!("three");
        });
        assert_eq!(lines, "<7>two\n");
    }

    #[test]
    fn levels_are_read_by_name() {
        for level in LogLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!("INFO".parse::<LogLevel>(), Err(UnknownLevel));
    }

    #[test]
    fn a_stream_is_known_by_device_and_inode() {
        let stream = File::open("/dev/null").expect("a device");
        let metadata = stream.metadata().expect("it is open");
        let named = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(is_stream(&named, &stream));
        assert!(!is_stream(&format!("{named}1"), &stream));
        assert!(!is_stream("", &stream));
    }
}
