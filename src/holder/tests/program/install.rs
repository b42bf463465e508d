use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use rustix::process::Signal;
use tempfile::{TempDir, tempdir};

use crate::{
    holder::Holder,
    process::{Outcome, Process, files, send, unshare, until_waiting},
};

on_every_architecture![
    the_copy_is_whole_and_everybody_may_run_it,
    installing_twice_is_installing_once,
    a_copy_that_is_being_run_is_replaced,
    what_a_killed_installer_left_is_cleared_away,
    a_destination_in_a_missing_folder_is_explained,
    a_destination_that_is_a_folder_is_explained,
    a_destination_that_is_too_long_is_explained,
    a_destination_without_permission_is_explained,
    a_read_only_destination_is_explained,
    a_full_destination_is_explained_and_left_clean,
    a_destination_from_which_nothing_can_be_run_gets_its_copy_all_the_same,
];

/// The arguments for a start delay that ended long ago.
fn arguments(destination: &Path) -> [OsString; 6] {
    let [install, version, epoch, spread, node] = ["install", "v1", "1", "3600", "node-1"].map(OsString::from);
    [install, version, destination.into(), epoch, spread, node]
}

fn install(holder: &Holder, destination: &Path) -> Outcome {
    Process::run(&mut holder.command(arguments(destination)))
}

fn assert_installed(holder: &Holder, folder: &TempDir) {
    assert_eq!(files(folder.path()), ["holder"], "nothing but the copy");
    let copy = folder.path().join("holder");
    assert!(fs::read(&copy).expect("the copy") == fs::read(&holder.path).expect("the program"), "the same bytes");
    let mode = copy.metadata().expect("the copy").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

fn assert_refused(outcome: Outcome, destination: &Path, reason: &str) {
    let error = format!("holder: cannot install {}: {reason}\n", destination.display());
    assert_eq!(outcome, Outcome { code: Some(1), output: String::new(), error });
}

/// Mounts a new file system with these options on `$folder`, in a mount namespace, and runs `script` in a shell. There,
/// `"$@"` installs the program into the folder.
fn mounted(holder: &Holder, folder: &Path, options: &str, script: &str) -> Outcome {
    let mount = format!(r#"folder=$1; shift; mount -t tmpfs -o {options} none "$folder""#);
    let mut command = unshare(&["--mount", "sh", "-uc", &format!("{mount} || exit\n{script}"), "sh"]);
    command.arg(folder).args(holder.words(&holder.path)).args(arguments(&folder.join("holder")));
    Process::run(&mut command)
}

fn the_copy_is_whole_and_everybody_may_run_it(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    let mut command = Command::new("sh");
    command.args(["-c", r#"umask 077; exec "$@""#, "sh"]);
    command.args(holder.words(&holder.path)).args(arguments(&folder.path().join("holder")));
    Process::run(&mut command).assert_good();
    assert_installed(holder, &folder);
}

fn installing_twice_is_installing_once(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    for _ in 0..2 {
        install(holder, &folder.path().join("holder")).assert_good();
        assert_installed(holder, &folder);
    }
}

fn a_copy_that_is_being_run_is_replaced(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    let copy = folder.path().join("holder");
    install(holder, &copy).assert_good();
    let inode = || copy.metadata().expect("the copy").ino();
    let old = inode();
    let running = Process::start(&mut holder.command_of(&copy, ["hold", "v1"]));
    until_waiting(running.id());

    install(holder, &copy).assert_good();

    assert_installed(holder, &folder);
    assert_ne!(inode(), old, "another file, so that the running one stays what it is");
    send(Signal::TERM, running.id());
    running.outcome().assert_good();
}

fn what_a_killed_installer_left_is_cleared_away(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("holder.new"), "half a prog").expect("a file");
    install(holder, &folder.path().join("holder")).assert_good();
    assert_installed(holder, &folder);
}

fn a_destination_in_a_missing_folder_is_explained(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    let destination = folder.path().join("missing/holder");
    let reason = "no such file or folder; mount a volume at its folder";
    assert_refused(install(holder, &destination), &destination, reason);
}

fn a_destination_that_is_a_folder_is_explained(holder: &Holder) {
    let parent = tempdir().expect("a folder");
    let destination = parent.path().join("holder");
    fs::create_dir(&destination).expect("a folder");
    let reason = "a folder is in its place; give the path of a file";
    assert_refused(install(holder, &destination), &destination, reason);
    assert_eq!(files(parent.path()), ["holder"], "no temporary file is left");
}

fn a_destination_that_is_too_long_is_explained(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    for length in [255, 5000] {
        let destination = folder.path().join("h".repeat(length));
        assert_refused(install(holder, &destination), &destination, "the path is too long");
    }
}

fn a_destination_without_permission_is_explained(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    let destination = folder.path().join("holder");
    // Without capabilities, root too can only do what a folder's mode allows.
    let script = r#"chmod 555 "$1"; shift; exec setpriv --bounding-set=-all "$@""#;
    let mut command = unshare(&["sh", "-euc", script, "sh"]);
    command.arg(folder.path()).args(holder.words(&holder.path)).args(arguments(&destination));
    let reason = "permission denied; let this container's user write there";
    assert_refused(Process::run(&mut command), &destination, reason);
}

fn a_read_only_destination_is_explained(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    let outcome = mounted(holder, folder.path(), "ro", r#""$@""#);
    let reason = "read-only file system; mount a writable volume at its folder";
    assert_refused(outcome, &folder.path().join("holder"), reason);
}

fn a_full_destination_is_explained_and_left_clean(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    let script = r#"cat /dev/zero 2>/dev/null >"$folder/filler"; "$@"; code=$?; ls "$folder"; exit $code"#;
    let mut outcome = mounted(holder, folder.path(), "size=64k", script);
    assert_eq!(std::mem::take(&mut outcome.output), "filler\n", "no temporary file is left");
    assert_refused(outcome, &folder.path().join("holder"), "no space left; give the volume or the node more");
}

/// A volume that is mounted `noexec` cannot serve. It shows where the copy is to be run, not before.
fn a_destination_from_which_nothing_can_be_run_gets_its_copy_all_the_same(holder: &Holder) {
    let folder = tempdir().expect("a folder");
    let outcome = mounted(holder, folder.path(), "noexec", r#""$@" && "$folder/holder" hold v1"#);
    assert_eq!(outcome.code, Some(126), "found, but not run");
    assert!(outcome.error.ends_with("holder: Permission denied\n"), "{}", outcome.error);
}
