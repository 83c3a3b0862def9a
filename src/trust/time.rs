//! Time inside an air gap, where no clock can be believed alone: signed times hold it up from below.
//!
//! All times are seconds since 1970, as [`crate::clock::seconds`] reads them.

use bundle_format::Snapshot;

use super::error::TrustError;
use super::root::Root;
use crate::clock;

/// How far one snapshot may raise the floor: 400 days. One that is signed for 2099 does not expire all others.
pub const MAX_STEP: i64 = 400 * 24 * 60 * 60;

/// The floor after a snapshot of `created` was accepted above `floor`: at most [`MAX_STEP`] higher and never past
/// the expiry of the root document.
pub fn raise(floor: i64, created: i64, root_expires: Option<i64>) -> i64 {
    let step = created.min(floor.saturating_add(MAX_STEP)).min(root_expires.unwrap_or(i64::MAX));
    floor.max(step)
}

/// The floor of a site: from when its root document was made, raised by the `created` of every snapshot in the
/// order in which they were accepted.
pub fn floor<'a>(root: &Root, created: impl IntoIterator<Item = &'a str>) -> i64 {
    let expires = root.expires.as_deref().and_then(clock::seconds);
    let start = clock::seconds(&root.created).unwrap_or(0);
    created
        .into_iter()
        .filter_map(clock::seconds)
        .fold(start, |floor, created| raise(floor, created, expires))
}

/// The time that counts: the clock's, but never before the floor.
pub fn effective(clock: i64, floor: i64) -> i64 {
    clock.max(floor)
}

/// Whether the root document and the snapshot may still be imported at `now`. Serving never asks this.
///
/// # Errors
/// [`TrustError::Expired`] (exit 7), which names what has expired.
pub fn check_expiry(root: Option<&Root>, snapshot: &Snapshot, now: i64) -> Result<(), TrustError> {
    let what = format!("sequence {} of channel {}", snapshot.sequence, snapshot.channel);
    check(&what, snapshot.expires.as_deref(), now)?;
    check("the root document of this home", root.and_then(|root| root.expires.as_deref()), now)
}

fn check(what: &str, expires: Option<&str>, now: i64) -> Result<(), TrustError> {
    match expires {
        // A time that cannot be read has passed: this fails closed.
        Some(at) if clock::seconds(at).is_none_or(|at| at <= now) => {
            Err(TrustError::Expired { what: what.to_owned(), at: at.to_owned() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Kind, Problem};
    use crate::trust::root::Role;
    use crate::trust::testing;

    #[test]
    fn the_floor_rises_in_bounded_steps_and_never_falls() {
        let cases = [
            // Floor, created, expiry of the root, floor after.
            (100, 200, None, 200),
            (100, 50, None, 100),
            (100, MAX_STEP + 100, None, MAX_STEP + 100),
            (100, MAX_STEP + 101, None, MAX_STEP + 100),
            (100, i64::MAX, None, MAX_STEP + 100),
            (100, 200, Some(150), 150),
            (200, 300, Some(150), 200),
            (i64::MAX - 1, i64::MAX, None, i64::MAX),
        ];
        for (floor, created, expires, after) in cases {
            assert_eq!(raise(floor, created, expires), after, "{floor} {created} {expires:?}");
        }
    }

    #[test]
    fn what_has_expired_or_cannot_be_read_is_refused() {
        assert!(check("x", None, i64::MAX).is_ok());
        assert!(check("x", Some("1970-01-01T00:01:40Z"), 99).is_ok());
        assert!(check("x", Some("1970-01-01T00:01:40Z"), 100).is_err());
        assert!(check("x", Some("whenever"), 0).is_err());
    }

    #[test]
    fn a_clock_that_fell_back_is_held_up() {
        assert_eq!(effective(10, 500), 500);
        assert_eq!(effective(900, 500), 900);
    }

    #[test]
    fn a_site_starts_when_its_root_document_was_made() {
        let site = testing::ed25519();
        let site = testing::principal("site", &[&site], &[(Role::Root, &["*"])]);
        let mut root = testing::root(vec![site]);
        let day = |day: &str| clock::seconds(&format!("{day}T00:00:00Z")).unwrap();
        let accepted = ["2026-12-01T00:00:00Z", "2026-11-25T00:00:00Z", "2099-01-01T00:00:00Z"];
        assert_eq!(floor(&root, []), clock::seconds(&root.created).unwrap());
        assert_eq!(floor(&root, accepted[..2].iter().copied()), day("2026-12-01"));
        assert_eq!(floor(&root, accepted), day("2026-12-01") + MAX_STEP);
        root.expires = Some("2027-01-01T00:00:00Z".to_owned());
        assert_eq!(floor(&root, accepted), day("2027-01-01"));

        let mut snapshot = testing::snapshot("prod", 1, 1);
        assert!(check_expiry(Some(&root), &snapshot, day("2026-12-31")).is_ok());
        assert!(check_expiry(Some(&root), &snapshot, day("2027-01-01")).is_err());
        assert!(check_expiry(None, &snapshot, day("2027-01-01")).is_ok());
        snapshot.expires = Some("2026-12-24T00:00:00Z".to_owned());
        let expired = Problem::from(check_expiry(Some(&root), &snapshot, day("2026-12-24")).unwrap_err());
        assert_eq!(expired.kind, Kind::Stale);
    }
}
