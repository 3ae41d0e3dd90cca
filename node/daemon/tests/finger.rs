//! `goodwatt finger` as a person runs it, without a sensor.
#![cfg(feature = "finger")]

mod common;

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use goodwatt_fingerprint::image::Image;
use goodwatt_fingerprint::synthetic::{Finger, Placement};

fn goodwatt(arguments: &[&str], folder: &Path) -> Output {
    let tool =
        Command::new(env!("CARGO_BIN_EXE_goodwatt")).args(arguments).current_dir(folder).output();
    tool.expect("the tool starts")
}

fn write(image: &Image, path: &Path) {
    image.write_png(File::create(path).expect("a new file")).expect("written");
}

#[test]
fn an_image_is_read_in_the_locked_process_and_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = Finger::grow(2_000).place(1, &Placement::usual());
    write(&image, &folder.path().join("print.png"));
    // One that was there, for all to read, is its owner's alone from then on.
    let picture = folder.path().join("print.svg");
    std::fs::write(&picture, "").expect("written");
    std::fs::set_permissions(&picture, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let shown = goodwatt(&["finger", "show", "print.png", "print.svg"], folder.path());
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(text.starts_with("print.svg: ") && text.contains(" minutiae, quality "), "{text}");
    let mode = std::fs::metadata(&picture).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let picture = std::fs::read_to_string(&picture).expect("a picture");
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert!(picture.matches("<circle ").count() > 20);
}

#[test]
fn what_is_no_image_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |arguments: &[&str], code: i32, says: &str| {
        let done = goodwatt(arguments, folder.path());
        let text = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
    };
    std::fs::write(folder.path().join("no.png"), b"no image").expect("written");
    check(&["finger", "show", "no.png", "x.svg"], 1, "no PNG image");
    check(&["finger", "show", "missing.png", "x.svg"], 1, "missing.png");
    check(&["finger", "bench", "."], 1, "no two fingers");
    check(&["finger", "bench", ".", "--crop", "7x9"], 2, "48 to 1024");
    check(&["finger", "probe", "--port", "/dev/no-such"], 1, "no serial port /dev/no-such");
}

#[test]
fn who_reads_images_is_locked_in_before_the_first_byte() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_goodwatt"))
        .args(["finger", "extract"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the tool starts");
    let path = format!("/proc/{}/status", child.id());
    // The kernel's own word: 2 is a filter of system calls, and no program gives rights back.
    let is_locked = || {
        let status = std::fs::read_to_string(&path).expect("it waits for an image");
        ["Seccomp:\t2", "NoNewPrivs:\t1"].iter().all(|line| status.contains(line)).then_some(())
    };
    common::until("the process is locked in", is_locked);
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
}
