//! Where certificates lie on disk, and what stands in the way when one cannot be read.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::findings::Problem;

/// The largest chain or key file that is read; a chain of ten RSA-4096 certificates has 25 KB.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Links that are followed in one path, as in Linux' own limit.
const LINKS_MAX: usize = 40;

/// The certificate of one virtual host. Several hosts may name the same files (wildcard or several names).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The virtual host that the certificate is served for.
    pub domain: String,
    /// PEM file with the certificate of the host first, then those that lead to its authority.
    pub chain: PathBuf,
    /// PEM file with the private key (PKCS#8, SEC1 or PKCS#1), without a password.
    pub key: PathBuf,
}

/// The files of `domain` in `directory`, by the customs of certificate tools:
/// `<domain>/fullchain.pem` with `<domain>/privkey.pem` (Let's Encrypt), `<domain>.crt` or `<domain>.pem` with
/// `<domain>.key`. The key may still be missing; [`inspect`](super::inspect) will say so. `None` when there is no
/// chain.
#[must_use]
pub fn find(directory: &Path, domain: &str) -> Option<CertificateFiles> {
    let inner = directory.join(file_name(domain)?);
    let flat = |ending: &str| directory.join(format!("{domain}.{ending}"));
    let layouts = [
        (inner.join("fullchain.pem"), inner.join("privkey.pem")),
        (flat("crt"), flat("key")),
        (flat("pem"), flat("key")),
    ];
    // A link to a file that may not be read is still meant, so existence is asked of the entry and not of its target.
    let (chain, key) = layouts.into_iter().find(|(chain, _)| fs::symlink_metadata(chain).is_ok())?;
    Some(CertificateFiles { domain: domain.to_owned(), chain, key })
}

/// `domain` when it is safe as the name of a file: one plain component.
pub(super) fn file_name(domain: &str) -> Option<&str> {
    let mut components = Path::new(domain).components();
    let plain = matches!(components.next(), Some(Component::Normal(name)) if name == domain);
    (plain && components.next().is_none() && !domain.starts_with('.')).then_some(domain)
}

/// What identifies the content of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of the file that `path` leads to; `None` while there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

/// The content of a file and its permission bits.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, u32), Problem> {
    let content = || -> io::Result<_> {
        let file = File::open(path)?;
        let mode = file.metadata()?.mode() & 0o7777;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok((bytes, mode))
    };
    let (bytes, mode) = content().map_err(|error| {
        let (element, reason) =
            obstacle(path, &probe).unwrap_or_else(|| (path.to_owned(), error.to_string()));
        let missing = error.kind() == io::ErrorKind::NotFound;
        Problem::Unreadable { path: path.to_owned(), element, reason, missing }
    })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Problem::TooBig { path: path.to_owned(), bytes_max: FILE_BYTES_MAX });
    }
    Ok((bytes, mode))
}

/// What one step along a path finds.
enum Step {
    Passable,
    Link(PathBuf),
}

/// The element of `path` that is in the way and why: a directory that this user may not enter, a link into
/// nowhere, a missing file. Goes from the root and follows links, since that is how `/etc/letsencrypt/live`
/// hides that the obstacle is `/etc/letsencrypt/archive`.
fn obstacle(path: &Path, probe: &dyn Fn(&Path) -> io::Result<Step>) -> Option<(PathBuf, String)> {
    let mut rest: Vec<OsString> = parts(path);
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        let parent = at.clone();
        at.push(part);
        match probe(&at) {
            Ok(Step::Passable) => {}
            Ok(Step::Link(_)) if links == LINKS_MAX => return Some((at, "too many links".to_owned())),
            Ok(Step::Link(target)) => {
                links += 1;
                at = parent;
                rest.extend(parts(&target));
            }
            // To look at an entry is refused by the directory that holds it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Some((parent, error.to_string()));
            }
            Err(error) => return Some((at, error.to_string())),
        }
    }
    None
}

/// The components of a path, the first one last.
fn parts(path: &Path) -> Vec<OsString> {
    path.components().rev().filter(|c| *c != Component::CurDir).map(|c| c.as_os_str().to_owned()).collect()
}

fn probe(path: &Path) -> io::Result<Step> {
    let entry = fs::symlink_metadata(path)?;
    if entry.is_symlink() { fs::read_link(path).map(Step::Link) } else { Ok(Step::Passable) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn denied() -> io::Error {
        io::Error::from(io::ErrorKind::PermissionDenied)
    }

    #[test]
    fn a_closed_directory_is_named_and_not_the_file_in_it() {
        let live_is_closed = |path: &Path| match path.starts_with("/etc/letsencrypt/live/example.org") {
            true => Err(denied()),
            false => Ok(Step::Passable),
        };
        let (element, _) =
            obstacle(Path::new("/etc/letsencrypt/live/example.org/privkey.pem"), &live_is_closed).unwrap();
        assert_eq!(element, Path::new("/etc/letsencrypt/live"));
    }

    #[test]
    fn the_obstacle_behind_a_link_is_named() {
        let archive_is_closed = |path: &Path| match path.to_str().unwrap() {
            "/le/live/example.org/privkey.pem" => {
                Ok(Step::Link("../../archive/example.org/privkey1.pem".into()))
            }
            "/le/archive/example.org" => Err(denied()),
            _ => Ok(Step::Passable),
        };
        let (element, _) =
            obstacle(Path::new("/le/live/example.org/privkey.pem"), &archive_is_closed).unwrap();
        assert_eq!(element, Path::new("/le/archive"));
    }

    #[test]
    fn a_link_that_leads_nowhere_or_to_itself_is_named() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        symlink("gone.pem", home.join("link.pem")).unwrap();
        symlink("loop.pem", home.join("loop.pem")).unwrap();
        let unreadable = |name: &str| match read(&home.join(name)) {
            Err(Problem::Unreadable { element, reason, .. }) => (element, reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(unreadable("link.pem").0, home.join("gone.pem"));
        assert_eq!(unreadable("loop.pem").1, "too many links");
        assert_eq!(unreadable("no/such/file.pem").0, home.join("no"));
        assert_eq!(unreadable("").0, home);
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("big.pem");
        fs::write(&path, vec![b'-'; usize::try_from(FILE_BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(matches!(read(&path), Err(Problem::TooBig { .. })));
    }

    #[test]
    fn files_are_found_by_the_customs_of_certificate_tools() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let found = |domain: &str| {
            find(home, domain).map(|f| {
                let tail = |path: &Path| path.strip_prefix(home).unwrap().to_str().unwrap().to_owned();
                (tail(&f.chain), tail(&f.key))
            })
        };
        let pair = |chain: &str, key: &str| Some((chain.to_owned(), key.to_owned()));
        assert_eq!(found("example.org"), None);
        fs::write(home.join("example.org.pem"), "").unwrap();
        assert_eq!(found("example.org"), pair("example.org.pem", "example.org.key"));
        fs::write(home.join("example.org.crt"), "").unwrap();
        assert_eq!(found("example.org"), pair("example.org.crt", "example.org.key"));
        fs::create_dir(home.join("example.org")).unwrap();
        symlink("nowhere", home.join("example.org/fullchain.pem")).unwrap();
        assert_eq!(found("example.org"), pair("example.org/fullchain.pem", "example.org/privkey.pem"));
        for odd in ["", ".", "..", "../example.org", "a/b", "/etc", ".hidden", "a/"] {
            assert_eq!(found(odd), None, "{odd:?}");
        }
    }
}
