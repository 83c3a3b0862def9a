//! Bundles that come through a pipe, and those that appear in a directory.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::sides::{Ran, Sides, bundles, sound};

/// A bundle in two volumes, and a small one after it that relies on it.
fn collected() -> (Sides, Vec<PathBuf>, PathBuf) {
    let sides = Sides::new();
    sides.write("large.bin", (0..1_800_000_u32).map(|at| (at % 251) as u8).collect::<Vec<_>>());
    for (out, more) in [("../stick", &["--volume-size", "1200KiB"][..]), ("../delta", &["--since", "1"])] {
        sides.write("small.txt", out);
        let words = ["collect", "--channel", "prod", "--out", out, "file:./large.bin", "file:./small.txt"];
        sides.run("out", &[&words, more].concat()).done();
    }
    sides.trust();
    let (volumes, delta) = (sides.medium(), bundles(&sides.path("delta")).remove(0));
    assert_eq!(volumes.len(), 2);
    (sides, volumes, delta)
}

/// Imports what comes through a pipe.
fn pipe(sides: &Sides, bytes: &[u8]) -> Ran {
    let mut command = sides.command("in");
    command.args(["import", "-", "--json"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Of a damaged one not all is read.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_volume_comes_through_a_pipe() {
    let (sides, volumes, delta) = collected();
    let first = fs::read(&volumes[0]).unwrap();
    let mut damaged = first.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    for bad in [&damaged[..], &first[..middle], &first[..100], b""] {
        let ran = pipe(&sides, bad);
        assert_eq!((ran.code, &ran.json()["failed"][0]["file"]), (Some(3), &"-".into()), "{ran:?}");
    }
    let ran = pipe(&sides, &fs::read(&delta).unwrap());
    assert_eq!(
        (ran.code, &ran.json()["failed"][0]["problem"]["code"]),
        (Some(4), &"bundle.incomplete".into())
    );
    let ran = pipe(&sides, &first);
    assert_eq!(ran.json()["failed"][0]["problem"]["message"], "prod 1: volume 2 of 2 is missing");
    assert!(sound(&sides.path("in")).is_empty());
    let ran = pipe(&sides, &fs::read(&volumes[1]).unwrap());
    assert_eq!((ran.code, &ran.json()["bundles"][0]["outcome"]), (Some(0), &"imported".into()), "{ran:?}");
    assert_eq!(pipe(&sides, &fs::read(&delta).unwrap()).code, Some(0));
    assert_eq!(sound(&sides.path("in")).len(), 2);
    for misused in [&["import", "-", "-n"][..], &["import", "-", "../stick"]] {
        assert_eq!(sides.run("in", misused).code, Some(2));
    }
}

/// A running `import --watch`, whose lines are heard.
struct Watching {
    child: Child,
    said: Receiver<String>,
    complained: Receiver<String>,
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

impl Watching {
    fn start(sides: &Sides, directory: &Path) -> Watching {
        let mut command = sides.command("in");
        command.args(["import", "--progress", "plain", "--watch"]).arg(directory);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (said, complained) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Watching { child, said, complained }
    }

    /// Waits for a line that has all of these in it.
    #[track_caller]
    fn hears(receiver: &Receiver<String>, parts: &[&str]) {
        loop {
            let line = receiver.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("{parts:?}"));
            if parts.iter().all(|part| line.contains(part)) {
                return;
            }
        }
    }

    /// Ends it as a person does; what it said since.
    fn end(mut self) -> (Vec<String>, Vec<String>) {
        let pid = self.child.id().to_string();
        assert!(Command::new("/bin/kill").args(["-INT", &pid]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        (self.said.iter().collect(), self.complained.iter().collect())
    }
}

#[test]
fn an_inbox_takes_what_is_whole_and_is_never_written_to() {
    let (sides, volumes, delta) = collected();
    let inbox = sides.path("inbox");
    assert_eq!(sides.run("in", &["import", "--watch", "../inbox"]).code, Some(2), "there is none yet");
    fs::create_dir(&inbox).unwrap();
    let watching = Watching::start(&sides, &inbox);
    // The digest beside it says that it is whole; what it relies on is not there yet, though.
    let put = |from: &Path, bytes: &[u8]| {
        let name = from.file_name().unwrap();
        fs::write(inbox.join(name), bytes).unwrap();
        fs::write(inbox.join(format!("{}.sha256", name.to_str().unwrap())), "").unwrap();
    };
    put(&delta, &fs::read(&delta).unwrap());
    Watching::hears(&watching.complained, &["neither in the bundle nor here"]);
    // What is damaged is refused once; in the place of it comes a sound one.
    let sound_one = fs::read(&volumes[1]).unwrap();
    let mut damaged = sound_one.clone();
    damaged[sound_one.len() / 2] ^= 1;
    put(&volumes[1], &damaged);
    Watching::hears(&watching.complained, &["not a sound bundle"]);
    put(&volumes[1], &[&sound_one[..], b"and more"].concat());
    Watching::hears(&watching.complained, &["not a sound bundle"]);
    put(&volumes[1], &sound_one);
    Watching::hears(&watching.complained, &["volume 1 of 2 is missing"]);
    // Without a digest it is whole when it does not grow any more.
    fs::write(inbox.join("part.aftk.tar"), fs::read(&volumes[0]).unwrap()).unwrap();
    Watching::hears(&watching.said, &["imported", "prod sequence 1"]);
    Watching::hears(&watching.said, &["imported", "prod sequence 2"]);
    let names = || -> Vec<PathBuf> {
        let mut names: Vec<_> = fs::read_dir(&inbox).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    let before = names();
    std::thread::sleep(Duration::from_millis(2500));
    let (said, complained) = watching.end();
    assert_eq!((said, names()), (Vec::new(), before));
    assert!(complained.iter().all(|line| !line.contains("sound bundle")), "{complained:?}");
    assert_eq!(sound(&sides.path("in")).len(), 2);
    // What was refused is in the log once for each time that it came.
    let store = aftk::store::Store::open(&sides.path("in")).unwrap();
    let log = store.catalogue.audit(0, 1000).unwrap();
    assert_eq!(log.iter().filter(|(entry, _)| entry.action == "refused").count(), 2);
}

#[test]
fn an_inbox_looks_again_when_other_keys_are_trusted() {
    let (sides, volumes, _) = collected();
    let home = sides.path("in");
    fs::remove_dir_all(&home).unwrap();
    let watching = Watching::start(&sides, &sides.path("stick"));
    for _ in &volumes {
        Watching::hears(&watching.complained, &["is trusted here"]);
    }
    sides.run("in", &["key", "trust", "collector.pem"]).done();
    Watching::hears(&watching.said, &["imported", "prod sequence 1"]);
    watching.end();
}
