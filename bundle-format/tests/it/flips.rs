//! Every bit of the documents and every byte elsewhere flipped, every truncation, and one byte more: all refused.

use std::cell::RefCell;
use std::collections::HashMap;

use bundle_format::*;

use crate::sample::Sample;
use crate::support::TestVerifier;

/// Remembers its answers: most flips leave the documents alone, and a signature is dear.
struct Remembering {
    verifier: TestVerifier,
    answers: RefCell<HashMap<Question, Result<Vec<String>, Untrusted>>>,
}

type Question = (PayloadType, Vec<u8>, Vec<(String, Vec<u8>)>);

impl Remembering {
    fn new() -> Remembering {
        Remembering { verifier: TestVerifier::new(), answers: RefCell::default() }
    }
}

impl Verifier for Remembering {
    fn verify(
        &self,
        kind: PayloadType,
        payload: &[u8],
        lines: &[SignatureLine],
    ) -> Result<Vec<String>, Untrusted> {
        let lines_key = lines.iter().map(|line| (line.key_id.clone(), line.signature.clone())).collect();
        let question = (kind, payload.to_vec(), lines_key);
        if let Some(answer) = self.answers.borrow().get(&question) {
            return answer.clone();
        }
        let answer = self.verifier.verify(kind, payload, lines);
        self.answers.borrow_mut().insert(question, answer.clone());
        answer
    }

    fn authorise(&self, kind: PayloadType, snapshot: &Snapshot, signers: &[String]) -> Result<(), Untrusted> {
        self.verifier.authorise(kind, snapshot, signers)
    }
}

/// A volume of at least 64 KiB, and where its first blob's header begins.
fn volume() -> (Vec<u8>, usize) {
    let file = |n: u8| (0..6050 + usize::from(n) * 7).map(|i| (i as u8).wrapping_mul(n | 1)).collect();
    let files: Vec<Vec<u8>> = (0..9).map(file).collect();
    let sample = Sample::of(&files);
    let index = br#"{"manifests":[],"schemaVersion":2}"#.to_vec();
    let volume = sample.volume_of(sample.plan().with_index(index).unwrap());
    assert!(volume.len() >= 64 << 10, "{} bytes", volume.len());
    let blobs = volume.chunks(512).position(|block| block.starts_with(b"blobs/sha256/")).unwrap() * 512;
    (volume, blobs)
}

fn refused(volume: &[u8], verifier: &Remembering) -> bool {
    verify_volume(volume, verifier, &mut |_| {}).is_err()
}

#[test]
fn every_bit_of_the_documents_and_every_byte_elsewhere_counts() {
    let (good, blobs) = volume();
    assert!(!refused(&good, &Remembering::new()));
    let flips: Vec<(usize, u8)> = (0..good.len())
        .flat_map(|at| {
            let masks: &[u8] = if at < blobs { &[1, 2, 4, 8, 16, 32, 64, 128] } else { &[0xff] };
            masks.iter().map(move |mask| (at, *mask))
        })
        .collect();
    let count: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = flips
            .chunks(flips.len().div_ceil(2))
            .map(|flips| {
                let mut volume = good.clone();
                scope.spawn(move || {
                    let verifier = Remembering::new();
                    for (at, mask) in flips {
                        volume[*at] ^= mask;
                        assert!(refused(&volume, &verifier), "byte {at} xor {mask:#04x} was accepted");
                        volume[*at] ^= mask;
                    }
                    flips.len()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(count, blobs * 8 + good.len() - blobs);
    println!("{count} flips of a volume of {} bytes, all refused", good.len());
}

#[test]
fn every_truncation_and_one_byte_more_is_refused() {
    let (good, _) = volume();
    let verifier = Remembering::new();
    let mut refusals = 0;
    for length in 0..good.len() {
        let error = verify_volume(&good[..length], &verifier, &mut |_| {}).unwrap_err();
        assert_eq!(error.code(), "bundle.truncated", "{length} bytes: {error}");
        refusals += 1;
    }
    for byte in 0..=255 {
        let longer = [&good[..], &[byte]].concat();
        let error = verify_volume(longer.as_slice(), &verifier, &mut |_| {}).unwrap_err();
        assert_eq!(error.code(), "bundle.trailing");
    }
    assert_eq!(refusals, good.len());
    println!("{refusals} truncations, all refused");
}
