//! A suite's Release as we sign it: what upstream says that the suite is, and what is here of it.
//!
//! Clients refuse a suite that suddenly calls itself otherwise, and pass over one that is older than the last one they saw.
//! So it keeps upstream's words, and its date only ever goes forward. It is never of today where nothing demands that:
//! clocks of clients run late where there is no network.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::super::deb822::Stanza;
use super::super::release::{Release, instant};
use super::index::Index;

/// What is dated without need is dated so long ago.
pub(super) const BACKDATED: SignedDuration = SignedDuration::from_hours(24);

/// A suite, as it is here.
#[derive(Debug, Default)]
pub(super) struct Suite {
    /// What upstream said; none, if nothing proves that here.
    pub(super) upstream: Option<Release>,
    /// As sources name it.
    pub(super) name: String,
    /// Who its packages say they are from; only used where upstream's Release is not here.
    pub(super) origin: String,
    /// Empty in a flat repository.
    pub(super) components: BTreeSet<String>,
    /// Without `all` and `source`.
    pub(super) architectures: BTreeSet<String>,
}

impl Suite {
    /// The text of its Release. `before` is that of the edition before. What is valid for a time only says so anew when half
    /// of that is over.
    pub(super) fn text(
        &self,
        indices: &[(String, &Index)],
        before: Option<&str>,
        now: Timestamp,
        valid_for: Option<SignedDuration>,
    ) -> String {
        let until = valid_for.map(|span| now + span);
        let text = self.dated(indices, Timestamp::UNIX_EPOCH, None);
        let time =
            |name: &str| before.and_then(|before| instant(Stanza::only(before.as_bytes()).text(name)?));
        let (Some(before), Some(last)) = (before, time(DATE)) else {
            let date = self.upstream.as_ref().map(|release| release.date);
            let date = date.into_iter().chain([now - BACKDATED]).max().unwrap_or(now);
            return self.dated(indices, date, until);
        };
        let is_valid = match (time(VALID_UNTIL), until, valid_for) {
            (Some(before), Some(until), Some(span)) => before <= until && before >= now + span / 2,
            (before, until, _) => before.is_none() && until.is_none(),
        };
        if is_valid && without_times(before) == without_times(&text) {
            return before.to_owned();
        }
        let next = last + SignedDuration::from_secs(1);
        let date = self.upstream.as_ref().map_or(next, |release| release.date.max(next));
        self.dated(indices, date, until)
    }

    fn dated(&self, indices: &[(String, &Index)], date: Timestamp, until: Option<Timestamp>) -> String {
        let mut text = String::new();
        let mut field = |name: &str, value: &str| {
            // A line must not end in white space, and a value be one line.
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            if !value.is_empty() {
                let _ = writeln!(text, "{name}: {value}");
            }
        };
        match &self.upstream {
            Some(release) => {
                field("Origin", &release.origin);
                field("Label", &release.label);
                field("Suite", &release.suite);
                field("Version", &release.version);
                field("Codename", &release.codename);
                field("NotAutomatic", if release.not_automatic { "yes" } else { "" });
                field("ButAutomaticUpgrades", if release.but_automatic_upgrades { "yes" } else { "" });
            }
            None => {
                field("Origin", &self.origin);
                field("Suite", &self.name);
                field("Codename", &self.name);
            }
        }
        let time = |time: Timestamp| time.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string();
        field(DATE, &time(date));
        field(VALID_UNTIL, &until.map(time).unwrap_or_default());
        field("Acquire-By-Hash", "yes");
        let joined =
            |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        field("Architectures", &joined(&self.architectures));
        field("Components", &joined(&self.components));
        text.push_str("SHA256:\n");
        for (path, index) in indices {
            for (ending, (key, size)) in [("", index.plain), (".gz", index.gz), (".xz", index.xz)] {
                let _ = writeln!(text, " {} {size:>8} {path}{ending}", key.hex());
            }
        }
        text
    }
}

const DATE: &str = "Date";
const VALID_UNTIL: &str = "Valid-Until";

fn without_times(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with("Date: ") && !line.starts_with("Valid-Until: ")).collect()
}

#[cfg(test)]
mod tests {
    use bundle_format::BlobKey;

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn index(what: &str) -> Index {
        let written = (BlobKey::of(what.as_bytes()), 7);
        Index { plain: written, xz: written, gz: written, parts: written }
    }

    fn date(text: &str) -> String {
        Stanza::only(text.as_bytes()).text("Date").unwrap().to_owned()
    }

    #[test]
    fn its_date_goes_forward_and_only_when_it_changes() {
        let suite = Suite { name: "stable".to_owned(), ..Suite::default() };
        let (one, two) = (index("one"), index("two"));
        let path = || "main/binary-amd64/Packages".to_owned();
        let now = time("2026-05-17T09:12:00Z");
        let first = suite.text(&[(path(), &one)], None, now, None);
        assert_eq!(date(&first), "Sat, 16 May 2026 09:12:00 UTC");
        let later = time("2026-06-01T00:00:00Z");
        assert_eq!(suite.text(&[(path(), &one)], Some(&first), later, None), first);
        // Even where the clock went back.
        let second = suite.text(&[(path(), &two)], Some(&first), time("2020-01-01T00:00:00Z"), None);
        assert_eq!(date(&second), "Sat, 16 May 2026 09:12:01 UTC");
        assert!(second.contains(&format!(" {}        7 {}.xz\n", two.xz.0.hex(), path())), "{second}");
    }

    #[test]
    fn what_is_valid_for_a_time_is_dated_anew_when_half_of_it_is_over() {
        let suite = Suite { name: "stable".to_owned(), ..Suite::default() };
        let one = index("one");
        let listed = [("main/binary-amd64/Packages".to_owned(), &one)];
        let text = |before: Option<&str>, now: &str, days: Option<i64>| {
            let span = days.map(|days| SignedDuration::from_hours(24 * days));
            suite.text(&listed, before, time(now), span)
        };
        let until = |text: &str| Stanza::only(text.as_bytes()).text("Valid-Until").map(str::to_owned);
        let first = text(None, "2026-05-17T09:12:00Z", Some(10));
        assert_eq!(until(&first).as_deref(), Some("Wed, 27 May 2026 09:12:00 UTC"));
        assert_eq!(text(Some(&first), "2026-05-22T09:12:00Z", Some(10)), first);
        let second = text(Some(&first), "2026-05-22T09:12:01Z", Some(10));
        assert_eq!(until(&second).as_deref(), Some("Mon, 01 Jun 2026 09:12:01 UTC"));
        assert_eq!(date(&second), "Sat, 16 May 2026 09:12:01 UTC");
        // Another span, none, and one again.
        let shorter = text(Some(&second), "2026-05-22T09:12:01Z", Some(5));
        assert_eq!(until(&shorter).as_deref(), Some("Wed, 27 May 2026 09:12:01 UTC"));
        let endless = text(Some(&shorter), "2026-05-22T09:12:01Z", None);
        assert_eq!(until(&endless), None);
        assert!(until(&text(Some(&endless), "2026-05-22T09:12:01Z", Some(5))).is_some());
    }
}
