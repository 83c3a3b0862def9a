//! How a bundle is carried: in which volumes, and without what the site has.

use std::path::PathBuf;
use std::sync::Arc;

use bundle_format::Recovery;
use bundle_format::recovery::MAX_ACROSS;

use super::session::Session;
use crate::events::Happening;
use crate::ops::Basis;
use crate::ops::issue::NextMedium;
use crate::ops::pack::Packed;
use crate::ops::volumes::Volumes;
use crate::units;

/// How a bundle is carried.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct CarryArguments {
    /// Cut the bundle into volumes of at most SIZE: `4GiB`, `700MiB`, or what a medium takes: `fat32`, `dvd`, `bd`, `diode`.
    /// At a terminal, the next medium is asked for when one is full
    #[arg(long, value_name = "SIZE", value_parser = volume_size)]
    volume_size: Option<u64>,
    /// Write beside each file what mends it when up to PERCENT of it are damaged: `10%`
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    recovery: Option<u64>,
    /// Write N spare volumes, each of which stands in for any volume that is lost
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..MAX_ACROSS))]
    survive: Option<u64>,
    /// Leave out what the sites have by these receipts (`aftk receipt`); of several, what all have
    #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "assume_held", "missing"])]
    receipt: Vec<PathBuf>,
    /// Leave out what sequence SEQ of the channel lists
    #[arg(long, value_name = "SEQ", conflicts_with_all = ["assume_held", "missing"])]
    since: Option<u64>,
    /// Leave out what any sequence of the channel up to SEQ lists: for sites that nothing comes back from
    #[arg(long, value_name = "SEQ", conflicts_with = "missing")]
    assume_held: Option<u64>,
    /// Leave out everything but what FILE names, which `aftk import --missing FILE` wrote
    #[arg(long, value_name = "FILE")]
    missing: Option<PathBuf>,
    /// Leave nothing out at every Nth sequence
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) full_every: Option<u64>,
}

impl CarryArguments {
    /// What the site has.
    pub(super) fn basis(&self, session: &Session) -> Option<Basis> {
        let path = |path: &PathBuf| session.path(path);
        match self {
            CarryArguments { since: Some(sequence), .. } => Some(Basis::Snapshot(*sequence)),
            CarryArguments { assume_held: Some(sequence), .. } => Some(Basis::UpTo(*sequence)),
            CarryArguments { missing: Some(file), .. } => Some(Basis::AllBut(path(file))),
            CarryArguments { receipt, .. } if receipt.is_empty() => None,
            CarryArguments { receipt, .. } => Some(Basis::Receipts(receipt.iter().map(path).collect())),
        }
    }

    /// Into what the bundle is cut.
    pub(super) fn volumes(&self) -> Volumes {
        let recovery = Recovery { percent: self.recovery, spares: self.survive };
        let is_any = recovery != Recovery::default();
        Volumes { size: self.volume_size, recovery: is_any.then_some(recovery) }
    }

    /// Asks whoever sits at the terminal for the next medium.
    pub(super) fn next_medium(&self, session: &Session) -> Option<Arc<NextMedium>> {
        if self.volume_size.is_none() || !session.can_ask() {
            return None;
        }
        let events = session.events.clone();
        Some(Arc::new(move |name, size| {
            let message = format!(
                "{name} needs {}: put the next medium in place and press Enter (Ctrl-D: stop)",
                units::bytes(size)
            );
            events.emit(Happening::Message { message });
            std::io::stdin().read_line(&mut String::new()).is_ok_and(|read| read > 0)
        }))
    }
}

/// Reads the size of volumes. Media hold a little less than they are called by: their file systems need some.
fn volume_size(text: &str) -> Result<u64, String> {
    const MIB: u64 = 1024 * 1024;
    match text {
        "fat32" => Ok(4096 * MIB - 1),
        "dvd" => Ok(4_700_000_000 - 16 * MIB),
        "bd" => Ok(25_025_314_816 - 64 * MIB),
        "diode" => Ok(1024 * MIB),
        _ => units::parse_bytes(text)
            .ok_or_else(|| "write a number with its unit, as in 4GiB, or fat32, dvd, bd, diode".to_owned()),
    }
}

/// Reads hundredths.
fn percent(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|percent| (1..=100).contains(percent)).ok_or_else(|| "write 1% to 100%".to_owned())
}

/// What a bundle carries, in a line.
pub(super) fn carried(bundle: &Packed) -> String {
    let again = if bundle.held { "unchanged: " } else { "" };
    let size = size(bundle.bytes, bundle.volumes, (bundle.left_out, bundle.left_out_bytes));
    let spares = match bundle.spares {
        0 => String::new(),
        count => format!(", {} included", units::count(count, "spare volume")),
    };
    format!("{again}{} sequence {}: {size}{spares}", bundle.channel, bundle.sequence)
}

/// How large a bundle is, in how many volumes, and how many blobs and bytes are left out of it.
pub(super) fn size(bytes: u64, volumes: u64, (left_out, left_out_bytes): (u64, u64)) -> String {
    let volumes = match volumes {
        1 => String::new(),
        count => format!(" in {count} volumes"),
    };
    let left_out = match left_out {
        0 => String::new(),
        count => format!(
            ", without {} ({}) that the site has",
            units::count(count, "blob"),
            units::bytes(left_out_bytes)
        ),
    };
    format!("{}{volumes}{left_out}", units::bytes(bytes))
}
