//! Whom a source is believed from: the keyrings that it names, or those of this machine's apt.

use std::path::Path;

use super::machine::Machine;
use super::source::{Key, Source, Trust};
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};
use crate::protocol::openpgp::Keyring;

/// How the names of keyrings end.
pub(super) const ENDINGS: &[&str] = &["asc", "gpg"];
/// The largest keyring that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// The keys that a source's Release has to be signed with; `None`, if somebody wrote that it need not be.
///
/// # Errors
/// Usage, if a keyring is not there or holds no key, or if nobody would be believed.
pub(super) async fn keys_of(
    source: &Source,
    machine: &Machine,
    context: &dyn CollectContext,
) -> Result<Option<Keyring>, Problem> {
    let keys = match &source.trust {
        Trust::Anybody => return Ok(None),
        Trust::Machine => {
            let keyring = of_machine(machine, context).await?;
            if keyring.is_empty() {
                let message = "it is not said with which keys this source is signed";
                return Err(Problem::new(Kind::Usage, "apt.keys", message).at(&source.place).hint(
                    "name the archive's keyring with `signed-by` (Signed-By in apt's own sources): a file or a fingerprint",
                ));
            }
            return Ok(Some(keyring));
        }
        Trust::Keys(keys) => keys,
    };
    let mut keyring = Keyring::default();
    let mut fingerprints = Vec::new();
    for key in keys {
        match key {
            Key::File(path) => {
                let path = context.directory().join(path);
                let bytes = context.read(&path, LARGEST).await?;
                let bytes = bytes.ok_or_else(|| {
                    let message = "the keyring of a source is not there";
                    Problem::new(Kind::Usage, "apt.keys", message)
                        .at(path.display())
                        .because(format!("{} names it", source.place))
                })?;
                keyring.extend(read(&bytes, &path)?);
            }
            Key::Embedded(text) => keyring.extend(read(text.as_bytes(), Path::new(&source.place))?),
            Key::Fingerprint(fingerprint) => fingerprints.push(fingerprint.clone()),
        }
    }
    if !fingerprints.is_empty() {
        let only_named = keyring.is_empty();
        let all = if only_named { of_machine(machine, context).await? } else { keyring };
        keyring = all.only(&fingerprints);
        if keyring.is_empty() {
            let message = format!("no key is known with the fingerprint {}", fingerprints.join(" or "));
            return Err(Problem::new(Kind::Usage, "apt.keys", message)
                .at(&source.place)
                .hint("name the file that has it as well"));
        }
    }
    Ok(Some(keyring))
}

/// All keys that this machine's apt trusts for any source. A keyring among them that cannot be read is passed over, as
/// apt does.
async fn of_machine(machine: &Machine, context: &dyn CollectContext) -> Result<Keyring, Problem> {
    let mut keyring = Keyring::default();
    let places = ("Dir::Etc::trusted", "Dir::Etc::trustedparts");
    for (path, bytes) in machine.files(places, &["gpg", "asc"], context).await? {
        match read(&bytes, &path) {
            Ok(more) => keyring.extend(more),
            Err(problem) => context.events().warn("apt.keys", problem.to_string()),
        }
    }
    Ok(keyring)
}

pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Keyring, Problem> {
    Keyring::read(bytes).map_err(|fault| {
        Problem::new(Kind::Usage, "apt.keys", "a keyring cannot be used").at(path.display()).caused_by(&fault)
    })
}
