//! Versions in paths, and the line between "not built" and "not there".

use api::version::{ApiVersion, MAXIMUM};
use http::Method;

use super::{not_built, split_version};

#[test]
fn a_version_is_taken_off_the_path() {
    assert_eq!(
        split_version("/v1.41/info").unwrap(),
        (ApiVersion::new(1, 41), "/info")
    );
    assert_eq!(split_version("/info").unwrap(), (MAXIMUM, "/info"));
    assert_eq!(split_version("/volumes").unwrap(), (MAXIMUM, "/volumes"));
    let refused = |path: &str| split_version(path).unwrap_err().to_string();
    assert_eq!(
        refused("/v1.52/info"),
        "client version 1.52 is too new. Maximum supported API version is 1.51"
    );
    assert!(
        refused("/v1.39/info")
            .starts_with("client version 1.39 is too old. Minimum supported API version is 1.40")
    );
    assert_eq!(refused("/v1.2.3/info"), "page not found");
}

#[test]
fn what_docker_has_is_refused_by_name_and_the_rest_is_not_there() {
    let check = |method: Method, path: &str, expected: &str| {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        assert_eq!(
            not_built(&method, &segments).to_string(),
            expected,
            "{method} {path}"
        );
    };
    check(
        Method::GET,
        "/containers/x/top",
        "ContainerTop (GET /containers/{id}/top) is not implemented",
    );
    check(
        Method::POST,
        "/build",
        "ImageBuild (POST /build) is not implemented",
    );
    check(
        Method::POST,
        "/images/a/b/c/push",
        "ImagePush (POST /images/{name}/push) is not implemented",
    );
    check(
        Method::GET,
        "/swarm",
        "SwarmInspect (GET /swarm) is not implemented",
    );
    for path in [
        "/containers/x/y/top",
        "/nothing",
        "/containers",
        "/",
        "/images//json",
    ] {
        check(Method::GET, path, "page not found");
    }
    check(Method::PUT, "/info", "page not found");
}
