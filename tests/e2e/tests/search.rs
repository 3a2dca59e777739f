//! `search`: a scripted registry that speaks the first version of the protocol, asked by both command lines.

use testkit::registry::{Answer, Scripted};
use testkit::{Context, fixtures};

use crate::registry::clis;

const RESULTS: &str = r#"{"num_pages":1,"num_results":3,"page_size":25,"query":"box","results":[
    {"name":"someone/box","description":"A box\nof many words, whose description is longer than forty-five columns","star_count":3,"is_official":false,"is_automated":true},
    {"name":"busybox","description":"Busybox base image.","star_count":3000,"is_official":true,"is_automated":false},
    {"name":"nobody/box","description":"","star_count":0,"is_official":false,"is_automated":false}]}"#;

fn hub() -> Scripted {
    Scripted::start(|request| match request.path.split('?').next() {
        Some("/v1/_ping") => Answer::ok("{}"),
        Some("/v1/search") if request.path.contains("q=teapot") => Answer::new(418),
        Some("/v1/search") if request.path.contains("q=nonsense") => Answer::ok("{\"results\":7}"),
        Some("/v1/search") => Answer::ok(RESULTS),
        _ => Answer::new(404),
    })
}

#[test]
fn what_is_found_is_listed_as_docker_lists_it() {
    let (hub, context) = (hub(), Context::new());
    let term = format!("{}/box", hub.host());
    for cli in clis() {
        assert_eq!(
            cli(&context, &["search", &term]).ok(),
            "NAME          DESCRIPTION                                     STARS     OFFICIAL\n\
             someone/box   A box of many words, whose description is lo…   3         \n\
             busybox       Busybox base image.                             3000      [OK]\n\
             nobody/box                                                    0         "
        );
        let whole = cli(
            &context,
            &[
                "search",
                "--no-trunc",
                "--format",
                "{{.Description}}",
                &term,
            ],
        );
        assert!(whole.ok().contains("forty-five columns"), "{whole:?}");
        let names = |filter: &str| {
            let arguments = ["search", "-f", filter, "--format", "{{.Name}}", &term];
            cli(&context, &arguments).ok().replace('\n', " ")
        };
        assert_eq!(names("stars=3"), "someone/box busybox");
        assert_eq!(names("is-official=true"), "busybox");
        assert_eq!(names("is-official=false"), "someone/box nobody/box");
        assert_eq!(names("is-automated=true"), "");
        assert_eq!(
            cli(
                &context,
                &[
                    "search",
                    "-f",
                    "is-official=true",
                    "--format",
                    "json",
                    &term
                ]
            )
            .ok(),
            r#"{"Description":"Busybox base image.","IsOfficial":"true","Name":"busybox","StarCount":"3000"}"#
        );
        cli(&context, &["search", "--limit", "7", &term]).ok();
        let asked = hub.requests();
        let last = asked.last().expect("it was asked");
        assert_eq!(last.path, "/v1/search?q=box&n=7");
        assert_eq!(last.header("authorization"), None);
    }
    if fixtures::docker().is_some() {
        let table = [
            "search",
            "--format",
            "table {{.Name}}\t{{.IsOfficial}}",
            &term,
        ];
        assert_eq!(context.corten(&table).ok(), context.docker(&table).ok());
    }
}

#[test]
fn a_search_that_cannot_be_is_refused_in_dockers_words() {
    let (hub, context) = (hub(), Context::new());
    let term = |word: &str| format!("{}/{word}", hub.host());
    for cli in clis() {
        for (arguments, said) in [
            (
                vec!["--limit", "101", "box"],
                "limit 101 is outside the range of [1, 100]",
            ),
            (vec!["-f", "x=y", "box"], "invalid filter 'x'"),
            (
                vec!["-f", "is-official=perhaps", "box"],
                "invalid filter 'is-official=[perhaps]'",
            ),
            (
                vec!["-f", "stars=many", "box"],
                "invalid filter 'stars=many': strconv.Atoi: parsing \"many\": invalid syntax",
            ),
            (
                vec!["https://registry.example/box"],
                "invalid repository name: repository name (https://registry.example/box) should not have a scheme",
            ),
            (vec![&term("teapot")], "Unexpected status code 418"),
        ] {
            let arguments: Vec<&str> = ["search"].into_iter().chain(arguments).collect();
            assert_eq!(
                cli(&context, &arguments).fails(1).trim(),
                format!("Error response from daemon: {said}")
            );
        }
        let nonsense = cli(&context, &["search", &term("nonsense")]);
        assert!(
            nonsense
                .fails(1)
                .contains("error decoding registry search results: "),
            "{nonsense:?}"
        );
        let nobody = cli(&context, &["search", "127.0.0.1:1/box"]);
        let said = nobody.fails(1);
        assert!(
            said.starts_with(
                "Error response from daemon: invalid registry endpoint \"http://127.0.0.1:1/v1/\". HTTPS attempt: Get \
                 \"https://127.0.0.1:1/v1/_ping\": dial tcp 127.0.0.1:1"
            ) && said.contains(". HTTP attempt: Get \"http://127.0.0.1:1/v1/_ping\": dial tcp 127.0.0.1:1"),
            "{said}"
        );
    }
}

#[test]
fn a_search_shows_the_registry_who_asks() {
    let (hub, context) = (hub(), Context::new());
    let config = context.directory().join("docker/config.json");
    // user:secret
    let auths = format!(
        r#"{{"auths":{{"{}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#,
        hub.host()
    );
    std::fs::write(config, auths).expect("write the client's configuration");
    for cli in clis() {
        cli(&context, &["search", &format!("{}/box", hub.host())]).ok();
        let asked = hub.requests();
        let last = asked.last().expect("it was asked");
        assert_eq!(last.header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    }
}
