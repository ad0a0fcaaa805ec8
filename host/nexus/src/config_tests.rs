//! The command line as operators, SpinKube and the environment use it.

use super::*;
use crate::settings::Database;
use clap::CommandFactory as _;

const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "app"
version = "1.0.0"
[[trigger.http]]
route = "/one/..."
component = "one"
[[trigger.http]]
route = "/two/..."
component = "two"
[component.one]
source = "one.wasm"
[component.two]
source = "two.wasm"
"#;

fn up(arguments: &[&str]) -> Result<UpOptions> {
    let line = ["nexus", "up"].iter().chain(arguments);
    match CommandLine::read_from(line)?.command {
        Command::Up(options) => Ok(*options),
        other => panic!("{other:?}"),
    }
}

fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.toml");
    std::fs::write(&file, MANIFEST).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (folder, file)
}

#[test]
fn the_command_line_is_consistent_and_every_option_has_help() {
    fn check(command: &clap::Command) {
        for argument in command.get_arguments() {
            let (name, id) = (command.get_name(), argument.get_id());
            assert!(argument.get_help().is_some(), "{name} {id} has no help");
        }
        command.get_subcommands().for_each(check);
    }
    CommandLine::command().debug_assert();
    check(&CommandLine::command());
}

#[test]
fn without_options_the_host_listens_on_loopback_with_stores_of_its_own() {
    let (_folder, file) = folder();
    let settings = up(&["-f", &file]).unwrap().settings().unwrap();
    assert_eq!(settings.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(settings.admin_listen, "127.0.0.1:8081".parse().unwrap());
    assert_eq!(settings.public_url.unwrap(), "http://localhost:8080");
    assert!(matches!(settings.database, Database::Private));
    assert!(settings.tls.is_none() && settings.objects.is_none());
    assert_eq!(settings.manifest.components.len(), 2);
}

#[test]
fn a_log_is_kept_where_there_is_a_key_for_it() {
    let (folder, manifest) = folder();
    let key = folder.path().join("backup.key");
    std::fs::write(&key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let key = key.to_str().unwrap();
    let up = |more: &[&str]| up(&[&["-f", manifest.as_str()], more].concat());
    assert!(up(&[]).unwrap().settings().unwrap().archive.is_none());
    let kept = up(&["--wal-archive", "/log", "--key-file", key]).unwrap();
    let archive = kept.settings().unwrap().archive.unwrap();
    assert_eq!((archive.folder.to_str(), archive.seconds), (Some("/log"), 60));
    let Err(refused) = up(&["--wal-archive", "/log"]).unwrap().settings() else {
        panic!("a log without a key is kept");
    };
    assert!(format!("{refused:#}").contains("--key-file"), "{refused:#}");
    assert!(up(&["--wal-archive-seconds", "0"]).is_err());
    assert!(up(&["--wal-archive-seconds", "86401"]).is_err());
}

#[test]
fn links_name_the_port_that_the_host_listens_on() {
    let (_folder, file) = folder();
    let url = |listen: &str| {
        let settings = up(&["-f", &file, "--listen", listen]).unwrap().settings().unwrap();
        settings.public_url.map(|url| url.to_string())
    };
    assert_eq!(url("127.0.0.1:18080").as_deref(), Some("http://localhost:18080/"));
    assert_eq!(url("127.0.0.1:0"), None);
}

#[test]
fn the_command_line_of_spinkube_is_accepted() {
    let (folder, file) = folder();
    let config = folder.path().join("runtime-config.toml");
    std::fs::write(
        &config,
        "[[variables_provider]]\ntype = \"static\"\nvalues = { colour = \"blue\" }\n",
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let settings = up(&[
        "--listen",
        "0.0.0.0:80",
        "-f",
        &file,
        "--runtime-config-file",
        config,
        "--component-id",
        "two",
    ]);
    let settings = settings.unwrap().settings().unwrap();
    assert_eq!(settings.listen, ["0.0.0.0:80".parse().unwrap()]);
    let ids: Vec<_> = settings.manifest.components.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["two"]);
    assert_eq!(settings.manifest.routes.len(), 1);
    assert_eq!(settings.environment[0], ("SPIN_VARIABLE_COLOUR".into(), "blue".into()));
}

#[test]
fn an_image_name_needs_a_manifest_of_this_machine() {
    let (_folder, file) = folder();
    let image = "registry.example/app:v1";
    let error = up(&["-f", image]).unwrap().settings().err().unwrap();
    assert!(error.to_string().contains("NEXUS_MANIFEST"), "{error}");
    let settings = up(&["-f", image, "--manifest", &file]).unwrap().settings().unwrap();
    assert_eq!(settings.manifest.application, "app");
}

#[test]
fn a_folder_is_a_manifest_when_it_holds_one_and_its_migrations_come_along() {
    let (folder, file) = folder();
    std::fs::rename(&file, folder.path().join("spin.toml")).unwrap();
    std::fs::create_dir(folder.path().join("migrations")).unwrap();
    let settings = up(&["-f", folder.path().to_str().unwrap()]).unwrap().settings().unwrap();
    assert_eq!(settings.migrations, Some(folder.path().join("migrations")));
}

#[test]
fn what_is_wrong_is_named() {
    let (_folder, file) = folder();
    for (arguments, word) in [
        (vec!["--listen", "localhost:8080"], "--listen"),
        (vec!["--unknown"], "--unknown"),
        (vec!["--tls-listen", "127.0.0.1:8443"], "--tls-cert"),
        (vec!["--public-url", "nexus.example"], "https://nexus.example"),
        (vec!["--public-url", "https://nexus.example/path"], "https://nexus.example"),
        (vec!["--s3-endpoint", "http://s3"], "--s3-bucket"),
        (vec!["--trusted-proxies", "10.0.0.0/33"], "--trusted-proxies"),
        (vec!["--log-format", "xml"], "--log-format"),
    ] {
        let error = up(&arguments).err().map(|error| format!("{error:?}")).unwrap_or_default();
        assert!(error.contains(word), "{arguments:?}: {error}");
    }
    let none = up(&["-f", &file, "--component-id", "three"]).unwrap().settings();
    assert!(none.err().unwrap().to_string().contains("three"));
}

#[test]
fn lists_take_commas_and_the_public_url_loses_its_slash() {
    let options = up(&[
        "--listen",
        "127.0.0.1:0,[::1]:0",
        "--ip-deny",
        "10.0.0.0/8,192.0.2.0/24",
        "--public-url",
        "https://nexus.example/",
    ]);
    let options = options.unwrap();
    assert_eq!(options.http.listen.len(), 2);
    assert_eq!(options.http.ip_deny.len(), 2);
    assert_eq!(options.http.public_url.unwrap().authority().unwrap(), "nexus.example");
}
