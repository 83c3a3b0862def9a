//! `aftk collect`: the journey's first half.

use std::path::PathBuf;
use std::sync::Arc;

use bundle_format::{Mode, Signer};

use super::network::NetworkArguments;
use super::output;
use super::session::Session;
use crate::config::Project;
use crate::events::Happening;
use crate::ops::collect::{self, CollectRequest};
use crate::ops::lock::{self, Order, Place};
use crate::ops::pack::NextMedium;
use crate::problem::Problem;
use crate::units;

/// Resolve, download and pack into a signed bundle
///
/// Without requests, reads aftk.toml, and keeps aftk.lock and aftk.ledger beside it. With requests, lock and ledger are
/// kept in the home. What was collected before is not downloaded again; unchanged content gives the same bundle.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    what: What,
    /// Write the bundle into DIR
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Sign with this key of the home, or this key file; made on first use
    #[arg(long, value_name = "NAME|FILE")]
    key: Option<String>,
    /// Read the passphrase of the key from FILE
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Let COMMAND sign, for keys in tokens: it gets what is to be signed on stdin and prints the raw signature; --key
    /// names the file of the public key
    #[arg(long, value_name = "COMMAND", requires = "key", conflicts_with = "passphrase_file")]
    sign_command: Option<String>,
    /// Take exactly what aftk.lock says, and fail if it answers other requests
    #[arg(long)]
    locked: bool,
    /// Stop before anything but metadata is downloaded
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not read the finished bundle back from the medium
    #[arg(long)]
    no_readback: bool,
    /// Cut the bundle into volumes of at most SIZE: `4GiB`, `700MiB`, or what a medium takes: `fat32`, `dvd`, `bd`, `diode`.
    /// At a terminal, the next medium is asked for when one is full
    #[arg(long, value_name = "SIZE", value_parser = volume_size)]
    volume_size: Option<u64>,
    #[command(flatten)]
    network: NetworkArguments,
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

/// Asks whoever sits at the terminal for the next medium.
fn next_medium(session: &Session) -> Option<Arc<NextMedium>> {
    if !session.can_ask() {
        return None;
    }
    let events = session.events.clone();
    Some(Arc::new(move |number, count, size| {
        let message = format!(
            "volume {number} of {count} needs {}: put the next medium in place and press Enter (Ctrl-D: stop)",
            units::bytes(size)
        );
        events.emit(Happening::Message { message });
        std::io::stdin().read_line(&mut String::new()).is_ok_and(|read| read > 0)
    }))
}

/// What to lock or collect.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct What {
    /// What to collect: `npm:./package-lock.json`, `file:./manual.pdf`, `file:URL#sha256=…`
    #[arg(value_name = "REQUEST")]
    requests: Vec<String>,
    /// Read the requests from this aftk.toml; those of the command line are added, and paths in them begin beside it
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The channel to collect for
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// Only for this platform, for example linux-x64-glibc; several are possible
    #[arg(short, long, value_name = "PLATFORM")]
    platform: Vec<String>,
}

impl What {
    /// The order, and the key that a project names.
    pub(super) fn order(&self, session: &Session) -> Result<(Order, Option<String>), Problem> {
        if self.requests.is_empty() || self.file.is_some() {
            let file = session.path(self.file.as_deref().unwrap_or("aftk.toml".as_ref()));
            let mut project = Project::read(&file)?;
            let key = project.key.take();
            if let Some(channel) = &self.channel {
                project.channel.clone_from(channel);
            }
            if !self.platform.is_empty() {
                project.platforms.clone_from(&self.platform);
            }
            let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = directory.unwrap_or(".".as_ref());
            let mut order = Order::of_project(project, directory);
            if !self.requests.is_empty() {
                let channel =
                    collect::channel_directory(&session.home, lock::must_be_channel(&order.channel)?);
                order.requests.extend_from_slice(&self.requests);
                order.place = Place::Extended { project: directory.to_owned(), channel };
            }
            return Ok((order, key));
        }
        let channel = self.channel.clone().unwrap_or_else(|| "default".to_owned());
        let place =
            Place::Channel(collect::channel_directory(&session.home, lock::must_be_channel(&channel)?));
        let order = Order {
            channel,
            mode: Mode::Add,
            requests: self.requests.clone(),
            platforms: self.platform.clone(),
            gaps: Vec::new(),
            place,
        };
        Ok((order, None))
    }
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let (order, key) = arguments.what.order(session)?;
    let store = session.store()?;
    let key = arguments.key.or(key);
    let signer = || -> Result<Arc<dyn Signer + Send + Sync>, Problem> {
        Ok(match (&arguments.sign_command, &key) {
            (Some(command), Some(public)) => Arc::new(session.command_signer(public.as_ref(), command)?),
            _ => Arc::new(session.signer(key.as_deref(), arguments.passphrase_file.as_deref())?),
        })
    };
    let request = CollectRequest {
        order,
        out: session.writable_directory(&arguments.out)?,
        locked: arguments.locked,
        dry_run: arguments.dry_run,
        read_back: !arguments.no_readback,
        jobs: usize::from(arguments.network.jobs),
        volume_size: arguments.volume_size,
    };
    let asks = arguments.volume_size.and_then(|_| next_medium(session));
    let result = session.block_on(async {
        let outside =
            arguments.network.outside(session, &store, request.order.directory(&session.directory))?;
        collect::collect(&request, &outside, signer, asks).await
    });
    let report = result?;
    session.finish(&report, || {
        session.remark(&report.notes, &report.gaps);
        let Some(bundle) = &report.bundle else { return };
        for file in &bundle.files {
            output::line(&file.display().to_string());
        }
        let again = if bundle.held { "unchanged: " } else { "" };
        session.say(&format!(
            "{again}{} sequence {}: {}, {}",
            bundle.channel,
            bundle.sequence,
            units::count(report.artifacts.len(), "artifact"),
            units::bytes(bundle.bytes)
        ));
    })
}
