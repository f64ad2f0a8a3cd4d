//! Keys, signatures and their verification, as a developer types them.

use elias_tests::build::{Finish, Project, binary};
use serde_json::Value;
use std::process::{Command, Output};

const SOURCE: (&str, &str) = ("index.js", "export default { call: (n) => n + 1 };\n");

fn elias(project: &Project, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("elias"));
    command.args(arguments).current_dir(project.path("")).finish().expect("elias starts")
}

#[track_caller]
fn succeeds(project: &Project, arguments: &[&str]) -> String {
    let output = elias(project, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The text of a command that fails, on both outputs.
#[track_caller]
fn fails(project: &Project, arguments: &[&str]) -> String {
    let output = elias(project, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?} {}", String::from_utf8_lossy(&output.stderr));
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Makes a key; its verifier key.
fn new_key(project: &Project, name: &str, file: &str) -> String {
    succeeds(project, &["keys", "new", name, "--out", file]).trim().to_owned()
}

#[test]
fn a_component_is_signed_when_built_and_verified_before_use() {
    let project = Project::new(&[SOURCE]);
    let key = new_key(&project, "example.com/team", "team.key");
    assert!(key.starts_with("example.com/team+"), "{key}");
    assert_eq!(succeeds(&project, &["keys", "show", "team.key"]).trim(), key);
    let built = succeeds(&project, &["build", "index.js", "-o", "app.wasm", "--sign", "team.key", "--json"]);
    let built: Value = serde_json::from_str(&built).expect("JSON");
    assert_eq!(built["signature"]["output"], "app.wasm.sig");
    let note = std::fs::read_to_string(project.path("app.wasm.sig")).expect("a signature");
    let digest = built["digest"].as_str().expect("a digest");
    assert!(note.starts_with(&format!("elias-component/v1\nsha256 {digest}\nname ")), "{note}");
    let said = succeeds(&project, &["verify", "app.wasm", "--key", &key]);
    assert!(said.contains("signature    good: signed by example.com/team+"), "{said}");
    let json = succeeds(&project, &["verify", "app.wasm", "--key", &key, "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["ok"], &json["signature"]["digest"]), (&Value::Bool(true), &built["digest"]));
    // elias-build alone writes the same bytes.
    let output = project.elias_build(&["index.js", "-o", "again.wasm", "--sign", "team.key"]);
    assert!(output.status.success());
    assert_eq!(std::fs::read_to_string(project.path("again.wasm.sig")).expect("a signature"), note);

    let other = new_key(&project, "example.com/team", "other.key");
    assert!(fails(&project, &["verify", "app.wasm", "--key", &other]).contains("FAILED [unknown-key]"));
    let mut bytes = std::fs::read(project.path("app.wasm")).expect("the component");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    project.write("app.wasm", bytes);
    assert!(fails(&project, &["verify", "app.wasm", "--key", &key]).contains("FAILED [digest-mismatch]"));
    project.write("app.wasm.sig", note.replacen("name ", "name x", 1));
    assert!(fails(&project, &["verify", "app.wasm", "--key", &key]).contains("FAILED [bad-signature]"));
    std::fs::remove_file(project.path("app.wasm.sig")).expect("it was there");
    assert!(fails(&project, &["verify", "app.wasm", "--key", &key]).contains("FAILED [no-signature]"));
    assert!(fails(&project, &["verify", "app.wasm"]).contains("error[nothing-to-check]"));
}

#[test]
fn while_a_key_is_exchanged_both_sign() {
    let project = Project::new(&[SOURCE]);
    let old = new_key(&project, "team", "old.key");
    let new = new_key(&project, "team", "new.key");
    let signed = ["build", "index.js", "-o", "app.wasm", "--sign", "old.key", "--sign", "new.key"];
    succeeds(&project, &signed);
    for keys in [vec![&old], vec![&new], vec![&old, &new]] {
        let mut arguments = vec!["verify", "app.wasm"];
        keys.iter().for_each(|key| arguments.extend(["--key", key.as_str()]));
        let said = succeeds(&project, &arguments);
        assert_eq!(said.matches("team+").count(), keys.len(), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_signs_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let project = Project::new(&[SOURCE]);
    new_key(&project, "team", "team.key");
    assert!(fails(&project, &["keys", "new", "team", "--out", "team.key"]).contains("never overwritten"));
    std::fs::set_permissions(project.path("team.key"), std::fs::Permissions::from_mode(0o644)).expect("permissions");
    project.write("none.key", "no key\n");
    std::fs::set_permissions(project.path("none.key"), std::fs::Permissions::from_mode(0o600)).expect("permissions");
    for (file, wanted) in
        [("team.key", "exposed-key"), ("team.key", "chmod 600"), ("none.key", "bad-key"), ("missing.key", "io")]
    {
        let said = fails(&project, &["build", "index.js", "-o", "app.wasm", "--sign", file]);
        assert!(said.contains(wanted), "{wanted} is missing in {said}");
        assert!(!project.path("app.wasm").exists() && !project.path("app.wasm.sig").exists(), "something was written");
    }
}
