//! `aftk push TARGET`: bring what is held into another registry.

use clap::ValueEnum;
use clap::builder::{FalseyValueParser, PossibleValue};

use super::network::NetworkArguments;
use super::output;
use super::session::Session;
use crate::config::{Product, Rewrite, Site, Target};
use crate::ecosystem::push::{self as push_seam, Outcome, PushOrder};
use crate::ops::gather::{self, TemporaryStore};
use crate::ops::push::{self, PushReport};
use crate::ops::requests;
use crate::ops::select::Selector;
use crate::problem::{Kind, Problem};
use crate::store::Layout;
use crate::units;

/// Push images or npm packages into a registry, Python releases into an index, or archives of packages into a server of files or aptly
///
/// Uploads what is not there: blobs first, tags last; packages first, then indices, and each suite's InRelease last. What
/// was interrupted goes on with what is missing. Accounts are those that docker, podman, twine, npm and apt keep.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The registry, and what all names there begin with: `docker://registry.example.test/mirror`; or where twine uploads
    /// to: `pypi:https://nexus.example.test/repository/pypi/`; or the registry as `.npmrc` has it: `npm:https://nexus.example.test/repository/npm/`; or the server, and the folder where archives go: `apt:https://nexus.example.test/repository/raw`; or, with --product aptly, where `aptly api serve` listens: `apt:https://aptly.example.test`; or the name of a [[target]] in site.toml, which says that and has what follows as keys (keep_host = true)
    #[arg(value_name = "TARGET")]
    target: String,
    /// Only what matches, with all that belongs to it: `docker:redis`, `docker:registry.example.test/team/*:1.*`,
    /// `channel:prod`, `bundle:prod/42`
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Push what REQUEST stands for, read as collect does, in place of what the store has: docker-archive:FILE,
    /// oci-archive:FILE, oci:DIR, docker-daemon:IMAGE, npm-tarball:FILE (a .tgz, or a directory or tar of them); it is staged in TMPDIR. Several are possible
    #[arg(long, value_name = "REQUEST")]
    from: Vec<String>,
    /// What names become: 'docker.io/library/*=base/*'; the first that matches counts
    #[arg(long, value_name = "PATTERN=NAME")]
    map: Vec<String>,
    /// Keep the host of the source in names: docker.io/library/redis; else they begin after it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new(), hide_possible_values = true)]
    keep_host: Option<bool>,
    /// Tag what is pushed with TAG, in place of its own tags; for one image
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Leave tags alone that point at something else there, and end with 6
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new(), hide_possible_values = true)]
    no_move_tags: Option<bool>,
    /// Where an upload goes on: only where the registry says, if that is its own address; or at the same host, whatever
    /// host it names [default: same-host with --product nexus, else never]
    #[arg(long, value_name = "HOW")]
    rewrite_location: Option<Rewrite>,
    /// Ask for tokens at URL, whatever place to sign in at the registry names
    #[arg(long, value_name = "URL")]
    realm_override: Option<String>,
    /// What the target is: harbor looks for the project of each image before; nexus shows the account from the first
    /// request on, and asks the registry itself for tokens, whatever host it names; aptly takes packages by its REST
    /// interface, and publishes them [default: generic]
    #[arg(long, value_name = "NAME")]
    product: Option<Product>,
    /// Make projects that are not there (with --product harbor), for their members alone
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = FalseyValueParser::new(), hide_possible_values = true)]
    create_projects: Option<bool>,
    /// Let aptly sign what it publishes with KEY of its own keyring, a fingerprint or an id (with --product aptly); else it
    /// takes the first one
    #[arg(long, value_name = "KEY")]
    signing_key: Option<String>,
    /// Only look what is there, and say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    network: NetworkArguments,
}

impl ValueEnum for Rewrite {
    fn value_variants<'a>() -> &'a [Rewrite] {
        &[Rewrite::Never, Rewrite::SameHost]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Rewrite::Never => "never",
            Rewrite::SameHost => "same-host",
        }))
    }
}

impl ValueEnum for Product {
    fn value_variants<'a>() -> &'a [Product] {
        &[Product::Generic, Product::Harbor, Product::Nexus, Product::Aptly]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Product::Generic => "generic",
            Product::Harbor => "harbor",
            Product::Nexus => "nexus",
            Product::Aptly => "aptly",
        }))
    }
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let selectors =
        arguments.selectors.iter().map(|text| Selector::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let target = target(&arguments, session)?;
    let network = arguments.network.and(&target.ca_file, &target.insecure_host);
    let url = target.url.clone();
    let order = push::order(&url, order(target, arguments.dry_run))?;
    for request in &arguments.from {
        requests::check(request)?;
    }
    let temporary = if arguments.from.is_empty() { None } else { Some(TemporaryStore::make()?) };
    let store = match &temporary {
        Some(temporary) => temporary.store.clone(),
        None => session.existing_store()?,
    };
    let report = session.block_on(async {
        let outside = network.outside(session, &store, &session.directory)?;
        if temporary.is_some() {
            gather::gather(&arguments.from, &outside, usize::from(network.jobs)).await?;
        }
        push::push(&url, order, selectors, &outside).await
    })?;
    match report.problem() {
        None => session.finish(&report, || show(&report, session)),
        Some(problem) => session.finish_failed(&report, problem, || show(&report, session)),
    }
}

/// The target that is meant, with what the command line says of it in place of what `site.toml` does. What has a colon is
/// an address, and anything else a name.
fn target(arguments: &Arguments, session: &Session) -> Result<Target, Problem> {
    let said = &arguments.target;
    let file = if said.contains(':') {
        Target { url: said.clone(), ..Target::default() }
    } else {
        let path = Layout::new(&session.home).site();
        let mut targets = Site::read(&path)?.targets;
        let known: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
        let found = known.iter().position(|name| name == said);
        found.map(|at| targets.swap_remove(at)).ok_or_else(|| {
            let message = format!("no target is called {said:?} in {}", path.display());
            let problem = Problem::new(Kind::Usage, "push.target", message);
            let problem = match known.is_empty() {
                true => problem,
                false => problem.because(format!("these are: {}", known.join(", "))),
            };
            problem.hint("write docker://HOST/PREFIX, or name it in site.toml: [[target]] with name and url")
        })?
    };
    Ok(Target {
        map: if arguments.map.is_empty() { file.map } else { arguments.map.clone() },
        keep_host: arguments.keep_host.or(file.keep_host),
        tag: arguments.tag.clone().or(file.tag),
        no_move_tags: arguments.no_move_tags.or(file.no_move_tags),
        rewrite_location: arguments.rewrite_location.or(file.rewrite_location),
        realm_override: arguments.realm_override.clone().or(file.realm_override),
        product: arguments.product.or(file.product),
        create_projects: arguments.create_projects.or(file.create_projects),
        signing_key: arguments.signing_key.clone().or(file.signing_key),
        ..file
    })
}

fn order(target: Target, dry_run: bool) -> PushOrder {
    let is_nexus = target.product == Some(Product::Nexus);
    PushOrder {
        target: String::new(),
        map: target.map,
        keep_host: target.keep_host.unwrap_or(false),
        label: target.tag,
        moves_labels: !target.no_move_tags.unwrap_or(false),
        same_host: target.rewrite_location.map_or(is_nexus, |rewrite| rewrite == Rewrite::SameHost),
        realm: target.realm_override,
        product: match target.product {
            None | Some(Product::Generic) => push_seam::Product::Generic,
            Some(Product::Harbor) => push_seam::Product::Harbor,
            Some(Product::Nexus) => push_seam::Product::Nexus,
            Some(Product::Aptly) => push_seam::Product::Aptly,
        },
        creates_projects: target.create_projects.unwrap_or(false),
        signing_key: target.signing_key,
        dry_run,
    }
}

fn show(report: &PushReport, session: &Session) {
    for project in &report.ledger.projects {
        let word = if report.dry_run { "would be made" } else { "made" };
        output::line(&format!("{project}  project {word}"));
    }
    for entry in &report.ledger.refs {
        let word = match (entry.outcome, report.dry_run) {
            (Outcome::Present, _) => "present".to_owned(),
            (Outcome::Uploaded, false) => "pushed".to_owned(),
            (Outcome::Uploaded, true) => "would be pushed".to_owned(),
            (Outcome::Moved, false) => "moved".to_owned(),
            (Outcome::Moved, true) => "would be moved".to_owned(),
            (Outcome::Conflict, _) => "conflict".to_owned(),
            (Outcome::Failed, _) => "failed".to_owned(),
        };
        let was = entry.was.as_ref().map(|was| format!(" (there: {was})")).unwrap_or_default();
        output::line(&format!("{}  {word}{was}", entry.target));
    }
    for failure in &report.ledger.failures {
        output::line(&format!("{}  failed: {}", failure.target, failure.problem.message));
    }
    let parts: Vec<String> = report
        .totals
        .parts
        .iter()
        .map(|(state, total)| {
            let state = if state == "exists" { "there already" } else { state };
            format!("{} {state} ({})", units::count(total.count, "blob"), units::bytes(total.bytes))
        })
        .collect();
    let artifacts = units::count(report.ledger.artifacts.len() as u64, "artifact");
    if report.ledger.artifacts.is_empty() && report.ledger.failures.is_empty() {
        session.say("nothing is here to be pushed");
    } else {
        session.say(&[vec![artifacts], parts].concat().join(", "));
    }
}
