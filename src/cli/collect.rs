//! `aftk collect`: the journey's first half.

use std::path::PathBuf;

use bundle_format::Mode;
use serde_json::{Map, Value};

use super::carry::{CarryArguments, carried};
use super::network::NetworkArguments;
use super::output;
use super::session::Session;
use super::signing::SigningArguments;
use crate::config::Project;
use crate::ops::collect::{self, CollectRequest, ReissueRequest};
use crate::ops::lock::{self, Order, Place};
use crate::problem::Problem;
use crate::settings::Settings;
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
    #[command(flatten)]
    signing: SigningArguments,
    /// Take exactly what aftk.lock says, and fail if it answers other requests
    #[arg(long)]
    locked: bool,
    /// Stop before anything but metadata is downloaded
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Prove more than by resolving once more: `install` has this machine's clients (pip, npm) install from the finished
    /// bundle alone, in a network namespace
    #[arg(long, value_name = "HOW", conflicts_with = "dry_run")]
    prove: Option<Prove>,
    /// Do not read the finished bundle back from the medium
    #[arg(long)]
    no_readback: bool,
    /// Issue sequence SEQ of the channel once more, from what is held: nothing is resolved or downloaded
    #[arg(long, value_name = "SEQ", conflicts_with_all = ["locked", "dry_run", "prove", "full_every", "requests"])]
    reissue: Option<u64>,
    #[command(flatten)]
    carry: CarryArguments,
    #[command(flatten)]
    network: NetworkArguments,
}

/// How more is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Prove {
    Install,
}

/// What to lock or collect.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct What {
    /// What to collect: `npm:./package-lock.json`, `apt:nginx`, `pypi:flask>=3`, `file:./manual.pdf`, `file:URL#sha256=…`
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
    /// Without the packages that others merely recommend
    #[arg(long, help_heading = "Options for apt")]
    no_recommends: bool,
    /// With the source packages that the packages were made from
    #[arg(long, help_heading = "Options for apt")]
    with_sources: bool,
    /// For this Python, for example 3.12, cp313t or pp310, on each platform (manylinux_2_28_x86_64); several are possible
    #[arg(long, value_name = "PYTHON", help_heading = "Options for Python packages")]
    python: Vec<String>,
    /// Build wheels of source distributions that have none for this machine's Pythons, without network and with what is
    /// carried alone
    #[arg(long, help_heading = "Options for Python packages")]
    build_wheels: bool,
}

impl What {
    /// What the options say to one ecosystem alone.
    fn settings(&self) -> Vec<Settings> {
        let said = [("recommends", self.no_recommends, false), ("with-sources", self.with_sources, true)];
        let said = said.into_iter().filter(|(_, is_said, _)| *is_said);
        let to_apt: Map<String, Value> =
            said.map(|(name, _, value)| (name.to_owned(), value.into())).collect();
        let pythons = (!self.python.is_empty()).then(|| ("python".to_owned(), self.python.clone().into()));
        let builds = self.build_wheels.then(|| ("build-wheels".to_owned(), true.into()));
        let to_python = pythons.into_iter().chain(builds).collect();
        [("apt", to_apt), ("pypi", to_python)]
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(ecosystem, values)| Settings {
                ecosystem: ecosystem.to_owned(),
                place: "the command line".to_owned(),
                values,
            })
            .collect()
    }

    /// The channel alone: as it is named, else the project's, else `default`.
    fn channel(&self, session: &Session) -> Result<String, Problem> {
        let file = session.path(self.file.as_deref().unwrap_or("aftk.toml".as_ref()));
        match &self.channel {
            Some(channel) => Ok(lock::must_be_channel(channel)?.to_owned()),
            None if self.file.is_some() || file.exists() => Ok(Project::read(&file)?.channel),
            None => Ok("default".to_owned()),
        }
    }

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
            order.settings.extend(self.settings());
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
            settings: self.settings(),
            place,
        };
        Ok((order, None))
    }
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let (order, key) = match arguments.reissue {
        Some(_) => (None, None),
        None => arguments.what.order(session).map(|(order, key)| (Some(order), key))?,
    };
    let store = session.store()?;
    let (basis, asks) = (arguments.carry.basis(session), arguments.carry.next_medium(session));
    let signer = || arguments.signing.signer(key.as_deref(), session);
    let out = session.writable_directory(&arguments.out)?;
    let Some(order) = order else {
        let request = ReissueRequest {
            channel: arguments.what.channel(session)?,
            sequence: arguments.reissue.unwrap_or_default(),
            out,
            read_back: !arguments.no_readback,
            volumes: arguments.carry.volumes(),
            basis,
        };
        let (signer, events, cancel) = (signer()?, session.events.clone(), session.cancel.clone());
        let packed = session.block(move || {
            collect::reissue(&request, &store, &*signer, asks.as_deref(), &*events, &cancel)
        })?;
        return session.finish(&packed, || {
            packed.files.iter().for_each(|file| output::line(&file.display().to_string()));
            session.say(&carried(&packed));
        });
    };
    let request = CollectRequest {
        order,
        out,
        locked: arguments.locked,
        dry_run: arguments.dry_run,
        read_back: !arguments.no_readback,
        jobs: usize::from(arguments.network.jobs),
        volumes: arguments.carry.volumes(),
        basis,
        full_every: arguments.carry.full_every,
        must_install: arguments.prove == Some(Prove::Install),
    };
    let result = session.block_on(async {
        let outside =
            arguments.network.outside(session, &store, request.order.directory(&session.directory))?;
        collect::collect(&request, &outside, signer, asks).await
    });
    let report = result?;
    session.finish(&report, || {
        session.remark(&report.notes, &report.told, &report.gaps);
        let Some(bundle) = &report.bundle else { return };
        for file in &bundle.files {
            output::line(&file.display().to_string());
        }
        let artifacts = units::count(report.artifacts.len(), "artifact");
        session.say(&format!("{}, {artifacts}", carried(bundle)));
        for one in &report.installed {
            session.say(&format!("installed from it alone: {} ({:.1} s)", one.what, one.seconds));
        }
    })
}
