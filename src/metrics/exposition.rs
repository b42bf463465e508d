//! The two text formats, and which one a scraper wants.
//!
//! The library writes OpenMetrics. As far as it is used here, the older text format of Prometheus differs in three ways only: its
//! descriptions name counters and infos like their samples, it has no units, and it has no end mark.

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// The text format of Prometheus, 0.0.4, which every scraper understands.
    Prometheus,
}

impl Format {
    /// The preferred format of a header `Accept` (RFC 9110, section 12.5.1). If it names neither, the older one.
    pub fn wanted(accept: &str) -> Self {
        let quality = |of: &str| {
            let ranges = accept.split(',').filter_map(Range::parse).filter(|range| range.admits(of));
            ranges.map(|range| range.quality).fold(0.0, f64::max)
        };
        let openmetrics = quality("application/openmetrics-text");
        match openmetrics > 0.0 && openmetrics >= quality("text/plain") {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// The value of the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// One of the ranges in a header `Accept`.
struct Range<'a> {
    media_type: &'a str,
    version: Option<&'a str>,
    quality: f64,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().filter(|it| !it.is_empty())?;
        let mut range = Self { media_type, version: None, quality: 1.0 };
        for (key, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => range.quality = value.trim().parse().ok()?,
                "version" => range.version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        Some(range)
    }

    /// Wildcards mean the format that every scraper understands.
    fn admits(&self, media_type: &str) -> bool {
        match self.media_type.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => {
                media_type == "application/openmetrics-text" && matches!(self.version, None | Some("1.0.0"))
            }
            named => media_type == "text/plain" && named == media_type && matches!(self.version, None | Some("0.0.4")),
        }
    }
}

/// Rewrites OpenMetrics as the older format.
pub fn prometheus(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        match line.splitn(4, ' ').collect::<Vec<_>>().as_slice() {
            ["#", "HELP", _, words] => help = Some(*words),
            ["#", "TYPE", name, kind] => {
                let (suffix, kind) = match *kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    kind => ("", kind),
                };
                if let Some(help) = help.take() {
                    text.push_str(&format!("# HELP {name}{suffix} {help}\n"));
                }
                text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
            }
            ["#", ..] => {}
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn openmetrics_goes_only_to_those_who_ask_for_it(accept in "[a-z/*;,=.0-9 \"-]{0,60}") {
            let wanted = Format::wanted(&accept);
            prop_assert!(wanted == Format::Prometheus || accept.contains("application/openmetrics-text"), "{accept}");
            let refused = format!("application/openmetrics-text;q=0,{}", accept.replace("openmetrics", ""));
            prop_assert_eq!(Format::wanted(&refused), Format::Prometheus);
        }
    }

    #[test]
    fn scrapers_get_what_they_want_most_and_whoever_says_nothing_the_older_format() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, wanted) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; q=1", Format::OpenMetrics),
            ("text/plain;q=0.5, application/openmetrics-text;q=0.5", Format::OpenMetrics),
            ("text/plain;q=0.6, application/openmetrics-text;q=0.5", Format::Prometheus),
            ("application/openmetrics-text;version=2.0.0", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text;q=soon", Format::Prometheus),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Prometheus),
            ("*/*", Format::Prometheus),
            (", ;,", Format::Prometheus),
            ("", Format::Prometheus),
        ] {
            assert_eq!(Format::wanted(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn the_older_format_names_counters_and_infos_as_their_samples_are_called() {
        let openmetrics = "# HELP a_b Some words.\n# TYPE a_b counter\na_b_total{x=\"# TYPE y\"} 1\n# HELP c_seconds C.\n\
                           # TYPE c_seconds gauge\n# UNIT c_seconds seconds\nc_seconds 0.5\n# HELP d D.\n# TYPE d info\n\
                           d_info{v=\"1\"} 1\n# EOF\n";
        let text = "# HELP a_b_total Some words.\n# TYPE a_b_total counter\na_b_total{x=\"# TYPE y\"} 1\n\
                    # HELP c_seconds C.\n# TYPE c_seconds gauge\nc_seconds 0.5\n# HELP d_info D.\n# TYPE d_info gauge\n\
                    d_info{v=\"1\"} 1\n";
        assert_eq!(prometheus(openmetrics), text);
    }
}
