//! Foreign clients in Python: an environment with pinned packages, made once, and scripts run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const REQUIREMENTS: &str = include_str!("../clients/requirements.txt");

const HELP: &str = "the tests of foreign clients need python3 with venv and pip (Debian: apt-get install python3-venv) and \
                    a Python package index";

fn run(what: &str, command: &mut Command) -> Output {
    super::succeed(what, HELP, command)
}

/// The interpreter of the environment. Made anew when the pinned packages change.
pub fn python() -> PathBuf {
    let target = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target"));
    let environment = target.join("test-venv");
    let (python, installed) = (environment.join("bin/python"), environment.join("installed.txt"));
    fs::create_dir_all(target).unwrap();
    // Test processes that run at the same time wait here for the first; the lock ends with the file handle.
    let lock = fs::File::create(target.join("test-venv.lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
        return python;
    }
    if environment.exists() {
        fs::remove_dir_all(&environment).unwrap();
    }
    run("make a Python environment", Command::new("python3").args(["-m", "venv"]).arg(&environment));
    let requirements = target.join("test-venv.requirements.txt");
    fs::write(&requirements, REQUIREMENTS).unwrap();
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run("install the clients", Command::new(&python).args(pip).arg(&requirements));
    // Written last: an environment without it is not finished.
    fs::write(&installed, REQUIREMENTS).unwrap();
    python
}

/// Standard output of a script of `tests/clients`, which has to succeed.
pub fn script(name: &str, args: &[&str], variables: &[(&str, &str)]) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients")).join(name);
    let mut command = Command::new(python());
    command.arg("-B").arg(path).args(args).envs(variables.iter().copied());
    // Servers are on loopback, whatever proxy this machine goes out by.
    command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    String::from_utf8(run(&format!("run {name}"), &mut command).stdout).unwrap()
}
