//! Whether a directory is a place for a store: SQLite's locks and shared memory need a local file system.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::StoreError;
use super::error::io_error;

/// Network file systems by the number that statfs(2) gives them.
const NETWORK: [(u32, &str); 10] = [
    (0x6969, "nfs"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb3"),
    (0x517B, "smbfs"),
    (0x5346_414F, "afs"),
    (0x6B41_4653, "afs"),
    (0x0102_1997, "9p"),
    (0x00C3_6400, "ceph"),
    (0x0BD0_0BD0, "lustre"),
    (0x7375_7245, "coda"),
];

/// FUSE's number: behind it is anything, so the mount's own type decides.
const FUSE: u32 = 0x6573_5546;

/// Types of FUSE mounts that are another machine's disk.
const NETWORK_FUSE: [&str; 9] =
    ["sshfs", "rclone", "s3fs", "goofys", "gcsfuse", "glusterfs", "davfs", "curlftpfs", "mount-s3"];

/// Refuses a directory on a network file system.
pub(super) fn check(directory: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| io_error("cannot look at", directory, error);
    let system = rustix::fs::statfs(directory).map_err(|error| failed(error.into()))?;
    // The kernel's numbers have 32 bits, whatever the type that carries them on this architecture.
    let number = (system.f_type as u64 & 0xFFFF_FFFF) as u32;
    let network = match NETWORK.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => Some((*name).to_owned()),
        None if number == FUSE => {
            let device = std::fs::metadata(directory).map_err(failed)?.dev();
            let mounts = File::open("/proc/self/mountinfo").map(|file| BufReader::new(file.take(4 << 20)));
            mounts.ok().and_then(|mounts| fuse_type(mounts, device)).filter(|kind| is_network_fuse(kind))
        }
        None => None,
    };
    match network {
        Some(name) => Err(StoreError::Unsuitable(format!(
            "{} is on a network file system ({name}), where the catalogue's locks do not hold",
            directory.display()
        ))),
        None => Ok(()),
    }
}

fn is_network_fuse(kind: &str) -> bool {
    kind.strip_prefix("fuse.").is_some_and(|name| NETWORK_FUSE.contains(&name))
}

/// The file system type of the mount of that device number, as /proc/self/mountinfo (proc(5)) has it:
/// `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS …] - TYPE SOURCE …`.
fn fuse_type(mounts: impl BufRead, device: u64) -> Option<String> {
    let wanted = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    mounts.lines().map_while(Result::ok).find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        (before.split(' ').nth(2)? == wanted).then(|| after.split(' ').next().unwrap_or_default().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_mount_is_told_by_its_type() {
        let mounts = "29 1 254:0 / / rw - ext4 /dev/vda rw\n\
                      40 29 0:51 / /mnt/far rw,nosuid shared:3 - fuse.sshfs me@there: rw\n\
                      41 29 0:52 / /mnt/usb rw - fuseblk /dev/sdb1 rw\n";
        let device = |minor| rustix::fs::makedev(0, minor);
        assert_eq!(fuse_type(mounts.as_bytes(), device(51)).as_deref(), Some("fuse.sshfs"));
        assert!(is_network_fuse("fuse.sshfs"));
        assert_eq!(fuse_type(mounts.as_bytes(), device(52)).as_deref(), Some("fuseblk"));
        assert!(!is_network_fuse("fuseblk"));
        assert_eq!(fuse_type(mounts.as_bytes(), device(53)), None);
    }

    #[test]
    fn a_local_directory_is_suitable() {
        check(crate::fsx::test_directory().path()).unwrap();
    }
}
