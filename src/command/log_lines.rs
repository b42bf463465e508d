//! The lines of the log, of which every field is cleaned, whoever logs it.

use std::fmt::{self, Debug};
use std::io::{self, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use crate::text::{CleanText, json};

/// Formats the fields of a line for people.
pub struct CleanFields;

impl<'writer> FormatFields<'writer> for CleanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = FieldsInLine { writer, is_first: true, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct FieldsInLine<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl Visit for FieldsInLine<'_> {
    /// Cleaned before it is quoted, since quoting escapes what is to be removed.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &CleanText::from(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.result.is_err() || field.name().starts_with("log.") {
            return;
        }
        let separator = if std::mem::take(&mut self.is_first) { "" } else { " " };
        let value = CleanText::from(format!("{value:?}"));
        self.result = match field.name() {
            "message" => write!(self.writer, "{separator}{value}"),
            name => write!(self.writer, "{separator}{name}={value}"),
        };
    }
}

/// Writes lines of JSON, each in one piece as the formatter passes them.
pub struct CleanJson<W>(pub W);

impl<W: Write> Write for CleanJson<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
        self.0.write_all(format!("{}{end}", json::cleaned(text)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{debug_span, warn};
    use tracing_subscriber::filter::LevelFilter;

    use super::*;
    use crate::text::hostile::{TEXTS, assert_clean};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Logs a text in every place of a line.
    fn log(text: &str) {
        let _span = debug_span!("request", url = text, error = %text).entered();
        warn!(list = text, reason = %text, names = ?[text], "cannot reconcile: {text}");
        warn!(error = &io::Error::other(text.to_owned()) as &dyn std::error::Error, "failed");
    }

    #[test]
    fn a_line_for_people_has_nothing_hostile_in_any_field() {
        let logged = |text: &str, ansi: bool| {
            let written = Written::default();
            let writer = written.clone();
            let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(ansi);
            let lines = lines.with_writer(move || writer.clone()).with_target(false).fmt_fields(CleanFields);
            tracing::subscriber::with_default(lines.finish(), || log(text));
            written.text()
        };
        let colours = |logged: &str| logged.matches('\u{1b}').count();
        for text in TEXTS {
            assert_clean(&logged(text, false));
            let coloured = logged(text, true);
            assert_eq!(colours(&coloured), colours(&logged("denied", true)), "{coloured:?}");
            assert_clean(&anstream::adapter::strip_str(&coloured).to_string());
            assert_eq!(coloured.lines().count(), 2, "{coloured:?}");
        }
    }

    #[test]
    fn a_line_of_json_has_nothing_hostile_in_any_field() {
        for text in TEXTS {
            let written = Written::default();
            let writer = written.clone();
            let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).json().flatten_event(true);
            let lines = lines.with_writer(move || CleanJson(writer.clone()));
            tracing::subscriber::with_default(lines.finish(), || log(text));
            let logged = written.text();
            assert_eq!(logged.lines().count(), 2, "{logged:?}");
            assert_clean(&logged);
            for line in logged.lines() {
                let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                ["message", "list", "reason"].iter().filter_map(|key| line[key].as_str()).for_each(assert_clean);
                assert_eq!(line["level"], "WARN");
            }
        }
    }

    #[test]
    fn an_ordinary_line_reads_as_before() {
        let written = Written::default();
        let writer = written.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).without_time().with_target(false);
        let lines = lines.with_writer(move || writer.clone()).fmt_fields(CleanFields);
        tracing::subscriber::with_default(lines.finish(), || warn!(list = "tools", reason = %"Refused", "no: {}", 1));
        assert_eq!(written.text(), " WARN no: 1 list=\"tools\" reason=Refused\n");
    }
}
