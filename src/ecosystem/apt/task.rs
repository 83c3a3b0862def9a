//! What is to be done: which packages, for which systems, from which sources, and how it is decided.

use bundle_format::BlobKey;

use super::choose::{self, Choice, Chosen, Outcome, Rules};
use super::machine::Machine;
use super::options::Options;
use super::request::{Asked, read_list};
use super::suites::Suites;
use super::systems::{System, systems};
use super::unpacked::Texts;
use crate::ecosystem::{CollectContext, Request, RequestBody};
use crate::problem::{Kind, Problem};

/// The largest list of packages that is read, in bytes.
const LARGEST_LIST: u64 = 16 << 20;
/// The largest preferences file that is read, in bytes.
const LARGEST_PREFERENCES: u64 = 1 << 20;

/// All of it, as requests, project and captures say it.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) machine: Machine,
    pub(super) options: Options,
    /// What is asked for, each with what a person wrote.
    pub(super) asked: Vec<(String, Asked)>,
    pub(super) systems: Vec<System>,
    pub(super) rules: Rules,
}

impl Task {
    /// Reads it.
    ///
    /// # Errors
    /// Usage, with the place of what cannot be understood.
    pub(super) async fn load(
        requests: &[Request],
        platforms: &[String],
        context: &dyn CollectContext,
    ) -> Result<Task, Problem> {
        let machine = Machine::ask(context).await;
        let options = Options::load(&machine, context).await?;
        let asked = asked(requests, context).await?;
        let systems = systems(&options, platforms, &machine, context).await?;
        let rules = rules(&options, context).await?;
        Ok(Task { machine, options, asked, systems, rules })
    }

    /// Of all systems.
    pub(super) fn architectures(&self) -> Vec<String> {
        let mut architectures: Vec<String> = Vec::new();
        for one in self.systems.iter().flat_map(|system| &system.architectures) {
            if !architectures.contains(one) {
                architectures.push(one.clone());
            }
        }
        architectures
    }

    /// Whether all that there is was asked for.
    pub(super) fn is_all_wanted(&self) -> bool {
        self.asked.iter().any(|(_, asked)| *asked == Asked::All)
    }

    /// Systems of the same architectures, by their places in the list, choose from the same packages, which are read once
    /// for all of them.
    pub(super) fn of_same_architectures(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (number, system) in self.systems.iter().enumerate() {
            let same = |group: &&mut Vec<usize>| {
                group.first().is_some_and(|one| self.systems[*one].architectures == system.architectures)
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(number),
                None => groups.push(vec![number]),
            }
        }
        groups
    }

    /// Adds what such systems need for what was asked for, of what there is, and says what apt would do on each.
    ///
    /// # Errors
    /// Incomplete, if something cannot be had, with apt's reasons; if an index cannot be read.
    pub(super) fn choose(
        &self,
        systems: &[usize],
        rules: &Rules,
        (suites, texts): (&Suites, &mut Texts),
        chosen: &mut Chosen,
    ) -> Result<Vec<Outcome>, Problem> {
        let systems = || systems.iter().filter_map(|number| self.systems.get(*number));
        let architectures = systems().next().map_or(&[][..], |first| &first.architectures);
        let choice = Choice::read(suites, architectures, texts, chosen)?;
        choice.bootstrap(&self.asked, suites, chosen)?;
        systems().map(|system| choice.add(&self.asked, system, rules, chosen)).collect()
    }
}

/// What the requests ask for, each with what a person wrote.
async fn asked(requests: &[Request], context: &dyn CollectContext) -> Result<Vec<(String, Asked)>, Problem> {
    let mut asked = Vec::new();
    for request in requests {
        match &request.body {
            RequestBody::Words(words) => asked.push((request.text.clone(), Asked::read(words)?)),
            RequestBody::Document { path, digest } => {
                let place = path.display().to_string();
                let bytes = context.read(path, LARGEST_LIST).await?.unwrap_or_default();
                if BlobKey::of(&bytes) != *digest {
                    let message = "the list of packages changed while it was read";
                    return Err(Problem::new(Kind::Failed, "apt.list", message).at(place).hint("try again"));
                }
                let text = String::from_utf8_lossy(&bytes);
                asked.extend(read_list(&text, &place)?.into_iter().map(|one| (request.text.clone(), one)));
            }
            RequestBody::Blob { .. } => {
                let message = "packages are collected from archives";
                return Err(Problem::new(Kind::Usage, "apt.request", message).at(&request.text));
            }
        }
    }
    Ok(asked)
}

async fn rules(options: &Options, context: &dyn CollectContext) -> Result<Rules, Problem> {
    let mut files = Vec::new();
    for path in &options.preferences {
        let path = context.directory().join(path);
        let place = path.display().to_string();
        let bytes = context.read(&path, LARGEST_PREFERENCES).await?.ok_or_else(|| {
            Problem::new(Kind::Usage, "apt.preferences", "there is no such preferences file").at(&place)
        })?;
        files.push((place, String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(Rules {
        engine: options.engine,
        recommends: !options.without_recommends,
        suggests: options.suggests,
        pins: choose::pins(&files)?,
        target_release: options.target_release.clone(),
    })
}
