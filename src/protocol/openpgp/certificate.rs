//! Certificates (RFC 9580, section 10.1): a primary key, what its owner says of it, and subkeys.

use jiff::{SignedDuration, Timestamp};

use super::key::PublicKey;
use super::packet::{Packet, packets, tag, write};
use super::signature::{About, SIGNS, Signature, kind};
use super::{Fault, malformed};

/// A signature may be made so much later than it is now: clocks differ.
pub(super) const FUTURE: SignedDuration = SignedDuration::from_mins(10);

/// The reasons after which what was signed before still counts (RFC 9580, section 5.2.3.31).
const SUPERSEDED: u8 = 1;
const RETIRED: u8 = 3;

/// The keys of one owner.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    /// All of it as it came, for whoever is to believe it too.
    pub(super) packets: Vec<u8>,
    pub(super) primary: PublicKey,
    /// Signatures of the primary key alone.
    direct: Vec<Signature>,
    /// What the owner is called, each with signatures.
    users: Vec<(Vec<u8>, Vec<Signature>)>,
    pub(super) subkeys: Vec<Subkey>,
}

/// A key beside the primary one, with the signatures that bind it or revoke it.
#[derive(Debug, Clone)]
pub(super) struct Subkey {
    pub(super) key: PublicKey,
    signatures: Vec<Signature>,
}

/// What the signatures that come next belong to.
#[derive(Clone, Copy)]
enum Place {
    Primary,
    User,
    Subkey,
    /// Something that is not read, such as a picture.
    Nowhere,
}

/// Reads certificates that follow one another. Those that use what this version does not know are left out.
///
/// # Errors
/// If there is none.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Certificate>, Fault> {
    let mut certificates = Vec::new();
    let mut current: Option<Certificate> = None;
    let mut place = Place::Primary;
    let mut first_fault = None;
    for packet in packets(bytes) {
        match packet {
            Ok(packet) if packet.tag == tag::PUBLIC_KEY => {
                certificates.extend(current.take());
                place = Place::Primary;
                current = PublicKey::read(packet.body).map(Certificate::new);
                if current.is_none() && first_fault.is_none() {
                    first_fault = Some(malformed("its key is of an unknown form"));
                }
            }
            Ok(packet) => {
                if let Some(certificate) = &mut current {
                    place = certificate.add(packet, place);
                }
            }
            Err(fault) => first_fault = first_fault.or(Some(fault)),
        }
    }
    certificates.extend(current);
    if certificates.is_empty() {
        let why = first_fault.map(|fault| format!(": {fault}")).unwrap_or_default();
        return Err(malformed(format!("there is no OpenPGP certificate in it{why}")));
    }
    Ok(certificates)
}

impl Certificate {
    fn new(primary: PublicKey) -> Certificate {
        let mut packets = Vec::new();
        write(tag::PUBLIC_KEY, primary.body(), &mut packets);
        Certificate { packets, primary, direct: Vec::new(), users: Vec::new(), subkeys: Vec::new() }
    }

    /// Takes the next packet, and says to what signatures after it belong.
    fn add(&mut self, packet: Packet<'_>, place: Place) -> Place {
        write(packet.tag, packet.body, &mut self.packets);
        match packet.tag {
            tag::USER_ID => {
                self.users.push((packet.body.to_vec(), Vec::new()));
                Place::User
            }
            tag::PUBLIC_SUBKEY => match PublicKey::read(packet.body) {
                Some(key) => {
                    self.subkeys.push(Subkey { key, signatures: Vec::new() });
                    Place::Subkey
                }
                None => Place::Nowhere,
            },
            tag::USER_ATTRIBUTE => Place::Nowhere,
            tag::SIGNATURE => {
                let signatures = match place {
                    Place::Primary => Some(&mut self.direct),
                    Place::User => self.users.last_mut().map(|(_, signatures)| signatures),
                    Place::Subkey => self.subkeys.last_mut().map(|subkey| &mut subkey.signatures),
                    Place::Nowhere => None,
                };
                if let Some(signatures) = signatures {
                    signatures.extend(Signature::read(packet.body));
                }
                place
            }
            _ => place,
        }
    }

    /// Its keys, the primary one first.
    pub(super) fn keys(&self) -> impl Iterator<Item = &PublicKey> + Clone {
        std::iter::once(&self.primary).chain(self.subkeys.iter().map(|subkey| &subkey.key))
    }

    /// Whether one of its keys was one that signs documents when something was signed, by what its owner says as of `now`.
    /// None of its subkeys means the primary key.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn may_sign(
        &self,
        subkey: Option<&Subkey>,
        signed: Timestamp,
        now: Timestamp,
    ) -> Result<(), String> {
        let says = self.primary_must_be_good(signed, now)?;
        match subkey {
            None if says.flags().is_some_and(|flags| flags & SIGNS == 0) => {
                Err("is by a key that is not for signing".to_owned())
            }
            None => Ok(()),
            Some(subkey) => self.subkey_must_be_good(subkey, signed, now),
        }
    }

    /// Whether the primary key was one to rely on, and what its owner says of it.
    fn primary_must_be_good(&self, signed: Timestamp, now: Timestamp) -> Result<&Signature, String> {
        let key = &self.primary;
        key.is_strong()?;
        let revocations = self.direct.iter().filter(|one| one.kind == kind::KEY_REVOCATION);
        must_not_be_revoked(revocations.filter(|one| one.is_about(key, About::Key, key)), signed)?;
        let says = self.newest_self_signature(now)?;
        must_be_in_time(key, says, signed)?;
        Ok(says)
    }

    /// What the owner last said of the primary key.
    fn newest_self_signature(&self, now: Timestamp) -> Result<&Signature, String> {
        let key = &self.primary;
        let direct = self.direct.iter().filter(|one| one.kind == kind::DIRECT_KEY);
        let direct = direct.filter(|one| one.is_about(key, About::Key, key));
        let of_users = self.users.iter().flat_map(|(user, signatures)| {
            let own =
                signatures.iter().filter(|one| kind::CERTIFICATION.contains(&one.kind) && one.is_by(key));
            own.filter(|one| one.is_about(key, About::User(user), key))
        });
        newest(direct.chain(of_users), now)
            .ok_or_else(|| "is by a certificate that has no sound signature of its own".to_owned())
    }

    fn subkey_must_be_good(&self, subkey: &Subkey, signed: Timestamp, now: Timestamp) -> Result<(), String> {
        let (primary, key) = (&self.primary, &subkey.key);
        key.is_strong()?;
        let by_owner = |kind: u8| {
            let of_kind = subkey.signatures.iter().filter(move |one| one.kind == kind);
            of_kind.filter(|one| one.is_about(primary, About::Subkey(key), primary))
        };
        must_not_be_revoked(by_owner(kind::SUBKEY_REVOCATION), signed)?;
        let binding = newest(by_owner(kind::SUBKEY_BINDING), now)
            .ok_or_else(|| "is by a subkey that nothing sound binds to its certificate".to_owned())?;
        if binding.flags().is_none_or(|flags| flags & SIGNS == 0) {
            return Err("is by a subkey that is not for signing".to_owned());
        }
        // Else anybody could take another one's subkey into a certificate of his own.
        let back = binding.embedded().filter(|back| {
            back.kind == kind::PRIMARY_KEY_BINDING
                && back.is_sound().is_ok()
                && back.is_about(primary, About::Subkey(key), key)
        });
        if back.is_none() {
            return Err("is by a subkey that does not say whose it is".to_owned());
        }
        must_be_in_time(key, binding, signed)
    }
}

/// The newest sound signature of some that verified; one that has expired says nothing any more.
fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>, now: Timestamp) -> Option<&'a Signature> {
    let said = signatures.filter(|one| one.is_sound().is_ok()).filter_map(|one| Some((one.created()?, one)));
    let holds = said.filter(|(made, one)| *made <= now + FUTURE && !one.is_over(*made, now));
    holds.max_by_key(|(made, _)| *made).map(|(_, one)| one)
}

/// Revocations that verified. One that says that the key was given up, or replaced, leaves what was signed before; any
/// other one leaves nothing. How weakly it is made does not matter: nobody but the owner gains by it.
fn must_not_be_revoked<'a>(
    mut revocations: impl Iterator<Item = &'a Signature>,
    signed: Timestamp,
) -> Result<(), String> {
    let counts = |one: &Signature| match one.reason() {
        Some(RETIRED | SUPERSEDED) => one.created().is_none_or(|revoked| revoked <= signed),
        _ => true,
    };
    if revocations.any(counts) {
        return Err("is by a key that its owner revoked".to_owned());
    }
    Ok(())
}

/// Whether a key was there already, and not expired, when something was signed.
fn must_be_in_time(key: &PublicKey, says: &Signature, signed: Timestamp) -> Result<(), String> {
    if key.created > signed {
        return Err("is older than its key".to_owned());
    }
    if says.key_is_over(key, signed) {
        return Err("was made after its key had expired".to_owned());
    }
    Ok(())
}
