//! `aftk pack`: a bundle of what a store shows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bundle_format::Signer;

use super::carry::{self, CarryArguments, carried};
use super::output;
use super::session::Session;
use super::signing::SigningArguments;
use crate::ops::pack_store::{self, PackForecast, PackStoreRequest};
use crate::ops::select::Selector;
use crate::problem::{Kind, Problem};
use crate::units;

/// Pack what the store shows into a signed bundle, without any network
///
/// For the next network, another ship, or the high side of a diode. It becomes a snapshot of a channel of this side's own,
/// signed by this side; the snapshots that brought it here travel along as they were signed. Unchanged content gives the same
/// bundle.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only what matches: `npm:@org/*`, `docker:redis:7`, `channel:prod`, `bundle:prod/42`; without: all that is visible
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Write the bundle into DIR
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// The channel to pack for, which nobody but this side fills
    #[arg(long, value_name = "NAME", default_value = "packed")]
    channel: String,
    /// Pack what was pushed into the hosted repository NAME as if it were from REGISTRY: `team=registry.example`
    #[arg(long = "as", value_name = "NAME=REGISTRY")]
    hosted_as: Vec<String>,
    #[command(flatten)]
    signing: SigningArguments,
    /// Only say what would be packed, and how large it would be
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not read the finished bundle back from the medium
    #[arg(long)]
    no_readback: bool,
    #[command(flatten)]
    carry: CarryArguments,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let selectors =
        arguments.selectors.iter().map(|text| Selector::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let request = PackStoreRequest {
        channel: arguments.channel,
        hosted_as: names(&arguments.hosted_as)?,
        out: session.writable_directory(&arguments.out)?,
        read_back: !arguments.no_readback,
        volumes: arguments.carry.volumes(),
        basis: arguments.carry.basis(session),
        full_every: arguments.carry.full_every,
    };
    let store = session.existing_store()?;
    if arguments.dry_run {
        let (events, cancel) = (session.events.clone(), session.cancel.clone());
        let report =
            session.block(move || pack_store::forecast(&request, &selectors, &store, &*events, &cancel))?;
        return session.finish(&report, || show(&report));
    }
    let asks = arguments.carry.next_medium(session);
    let signer = arguments.signing.signer(None, session)?;
    let (events, cancel) = (session.events.clone(), session.cancel.clone());
    let report = session.block(move || {
        let side = (&store, &*signer as &dyn Signer);
        pack_store::pack_store(&request, &selectors, side, asks.as_deref(), &*events, &cancel)
    })?;
    session.finish(&report, || {
        report.bundle.files.iter().for_each(|file| output::line(&file.display().to_string()));
        let artifacts = units::count(report.artifacts, "artifact");
        let evidence = units::count(report.evidence, "snapshot");
        session.say(&format!("{}, {artifacts}, with {evidence} as evidence", carried(&report.bundle)));
    })
}

/// Prints a line for each volume, and one for all.
fn show(PackForecast { would, artifacts, evidence }: &PackForecast) {
    let count = would.volumes;
    for (size, number) in would.media.iter().zip(1..).filter(|_| would.media.len() > 1) {
        let what = match number > count {
            false => format!("volume {number} of {count}"),
            true => format!("spare volume {}", number - count),
        };
        output::line(&format!("{what}: {}", units::bytes(*size)));
    }
    let word = if would.held { "unchanged:" } else { "would be" };
    let of = format!("{word} {} sequence {}", would.channel, would.sequence);
    let size = carry::size(would.bytes(), count, (would.left_out, would.left_out_bytes));
    let artifacts = units::count(*artifacts, "artifact");
    let evidence = units::count(*evidence, "snapshot");
    output::line(&format!("{of}: {size}, {artifacts}, with {evidence} as evidence"));
}

/// Reads `NAME=REGISTRY`.
fn names(texts: &[String]) -> Result<BTreeMap<String, String>, Problem> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, registry)) if !name.is_empty() && !registry.is_empty() => {
            Ok((name.to_owned(), registry.to_owned()))
        }
        _ => Err(Problem::new(Kind::Usage, "usage.as", "--as wants a name and a registry")
            .at(text)
            .hint("write --as team=registry.example")),
    };
    texts.iter().map(pair).collect()
}
