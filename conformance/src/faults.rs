//! What a server's disk can be made to suffer: a file system of its own that fills up, and syncs that take their time.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long strace may take to hold a program.
const ATTACH_MAX: Duration = Duration::from_secs(10);

/// A file system in memory, gone when dropped.
pub(crate) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts it on a folder.
    ///
    /// # Errors
    /// We may not.
    pub(crate) fn mount(folder: &Path, size_mb: u32) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let options = format!("size={size_mb}m,mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder);
        succeed(&mut mount)?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Leaves no room for anything.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut filler = File::options().create(true).append(true).open(self.filler())?;
        // large pieces first, then whatever still fits
        let mut piece = vec![0_u8; 64 << 10];
        while !piece.is_empty() {
            match filler.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    piece.truncate(piece.len() / 2)
                }
                Err(error) => return Err(error).context("cannot fill the disk"),
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub(crate) fn empty(&self) -> Result<()> {
        std::fs::remove_file(self.filler()).context("the disk was not full")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = succeed(Command::new("umount").arg(&self.folder)) {
            eprintln!("could not unmount {}: {error:#}", self.folder.display());
        }
    }
}

/// Makes a program's syncs take longer, until dropped: those under way then come to their end.
pub(crate) struct SlowSync {
    strace: Child,
}

impl SlowSync {
    /// Holds every `fsync` and `fdatasync` of a process for a while before it begins.
    ///
    /// # Errors
    /// strace is not there or may not.
    pub(crate) fn of(pid: u32, delay: Duration) -> Result<Self> {
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"])
            .args(["-e", &format!("inject=fsync,fdatasync:delay_enter={}", delay.as_micros())])
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run strace")?;
        let mut slow = Self { strace };
        let deadline = Instant::now() + ATTACH_MAX;
        while !is_traced(pid)? {
            if let Some(status) = slow.strace.try_wait()? {
                bail!("strace cannot hold process {pid}: {status}");
            }
            if Instant::now() > deadline {
                bail!("strace does not hold process {pid}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(slow)
    }
}

impl Drop for SlowSync {
    fn drop(&mut self) {
        // the system lets go of what a dead tracer held
        if let Err(error) = self.strace.kill().and_then(|()| self.strace.wait()) {
            eprintln!("could not end strace: {error}");
        }
    }
}

/// Whether every thread of a process is held by a tracer.
fn is_traced(pid: u32) -> Result<bool> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).context("the process is gone")?;
    for thread in threads {
        // a thread that ended meanwhile syncs nothing
        let Ok(status) = std::fs::read_to_string(thread?.path().join("status")) else { continue };
        if status.lines().any(|line| line == "TracerPid:\t0") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Why the disk's faults cannot be brought about here; `Ok` when they can.
///
/// # Errors
/// What is missing.
pub(crate) fn can_fill() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("hearth-mount-{}", std::process::id()));
    let mounted = Disk::mount(&folder, 1).map(drop);
    std::fs::remove_dir(&folder)?;
    mounted.context("no file system can be mounted (it takes root)")
}

/// As [`can_fill`], for slow syncs.
///
/// # Errors
/// What is missing.
pub(crate) fn can_slow_down() -> Result<()> {
    let mut other = Command::new("sleep").arg("60").spawn()?;
    let held = SlowSync::of(other.id(), Duration::from_millis(1)).map(drop);
    other.kill()?;
    other.wait()?;
    held.context("no process can be held (it takes the program strace and the right to trace)")
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
