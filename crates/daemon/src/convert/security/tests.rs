//! Capabilities and security options.

use api::host_config::HostConfig;
use engine::container::spec::{Seccomp, Security};
use serde_json::json;

use super::{capabilities, options};

fn security(list: &[&str]) -> Result<Security, String> {
    let host: HostConfig = api::fold::from_value(json!({ "SecurityOpt": list })).unwrap();
    options(&host).map_err(|error| error.to_string())
}

#[test]
fn capabilities_are_normalised_and_unknown_ones_named() {
    let host = |value| api::fold::from_value::<HostConfig>(json!({ "CapAdd": [value] })).unwrap();
    assert_eq!(
        capabilities(&host("cap_net_admin")).unwrap().add,
        ["NET_ADMIN"]
    );
    assert_eq!(capabilities(&host("all")).unwrap().add, ["ALL"]);
    let unknown = capabilities(&host("wings")).unwrap_err().to_string();
    assert_eq!(unknown, "invalid CapAdd: unknown capability: \"CAP_WINGS\"");
}

#[test]
fn options_are_understood_refused_or_invalid() {
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#;
    assert!(security(&["no-new-privileges"]).unwrap().no_new_privileges);
    assert!(
        !security(&["no-new-privileges:false"])
            .unwrap()
            .no_new_privileges
    );
    assert_eq!(
        security(&["seccomp=unconfined"]).unwrap().seccomp,
        Seccomp::Unconfined
    );
    assert_eq!(
        security(&[&format!("seccomp={profile}")]).unwrap().seccomp,
        Seccomp::Profile(profile.to_owned())
    );
    assert_eq!(
        security(&["label=disable", "apparmor=unconfined"]),
        Ok(Security::default())
    );
    let check = |option: &str, why: &str| assert_eq!(security(&[option]).unwrap_err(), why);
    check(
        "apparmor=x",
        "security option apparmor=x is not implemented",
    );
    check("x", "invalid --security-opt 1: \"x\"");
    check("x=y", "invalid --security-opt 2: \"x=y\"");
    assert!(
        security(&["seccomp={"])
            .unwrap_err()
            .starts_with("decoding seccomp profile failed: ")
    );
}

#[test]
fn both_lists_of_paths_empty_unmask_everything() {
    let host: HostConfig =
        api::fold::from_value(json!({ "MaskedPaths": [], "ReadonlyPaths": [] })).unwrap();
    assert!(options(&host).unwrap().unmasked_paths);
}
