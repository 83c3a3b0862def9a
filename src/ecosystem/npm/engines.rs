//! What runs packages: npm prefers versions that the node and npm at hand can run.

use serde::Deserialize;
use serde_json::Value;

use super::range::Range;
use super::version::Version;
use crate::ecosystem::CollectContext;

/// The node and npm that packages are chosen for; whatever is not known runs everything.
#[derive(Debug, Default, Clone)]
pub(crate) struct Engines {
    node: Option<Version>,
    npm: Option<Version>,
}

/// What a version says that decides how gladly it is chosen.
#[derive(Deserialize)]
struct Standing {
    #[serde(default)]
    deprecated: Value,
    #[serde(default)]
    engines: Value,
}

impl Engines {
    /// Those of this machine, as npm itself would look at them.
    pub(crate) async fn of_machine(context: &dyn CollectContext) -> Engines {
        let version = async |program: &str| {
            let answer = context.ask_client(program, &["--version"], false).await?;
            Version::parse(answer.trim())
        };
        Engines { node: version("node").await, npm: version("npm").await }
    }

    /// Certain ones.
    #[cfg(test)]
    pub(crate) fn of(node: &str, npm: &str) -> Engines {
        Engines { node: Version::parse(node), npm: Version::parse(npm) }
    }

    /// What these engines, as an object has them, want that isn't there: its name, and the version that is.
    pub(crate) fn lacking(&self, engines: &Value) -> Option<(&'static str, &Version)> {
        [("node", &self.node), ("npm", &self.npm)].into_iter().find_map(|(engine, version)| {
            let range = engines.get(engine).and_then(Value::as_str).filter(|range| !range.is_empty())?;
            let version = version.as_ref()?;
            let runs = Range::parse(range).is_some_and(|range| range.contains(version));
            (!runs).then_some((engine, version))
        })
    }

    /// How gladly npm chooses a version by its object: more is better.
    pub(crate) fn rank(&self, object: &str) -> u8 {
        let standing: Option<Standing> = serde_json::from_str(object).ok();
        let Some(Standing { deprecated, engines }) = standing else { return 0 };
        let runs = self.lacking(&engines).is_none();
        match (super::version_object::is_true(Some(&deprecated)), runs) {
            (false, true) => BEST,
            (true, true) => 2,
            (false, false) => 1,
            (true, false) => 0,
        }
    }
}

/// What is neither deprecated nor for other engines.
pub(crate) const BEST: u8 = 3;
