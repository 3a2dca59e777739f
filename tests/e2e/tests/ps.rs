//! `ps`: columns, filters, formats.

use testkit::Context;

#[test]
fn columns_filters_and_formats() {
    let context = Context::busybox();
    let header = "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES";
    assert_eq!(context.corten(&["ps"]).ok(), header);
    context
        .corten(&[
            "run", "-d", "--name", "up", "-l", "a=b", "busybox", "sleep", "1000",
        ])
        .ok();
    context
        .corten(&["run", "--name", "down", "busybox", "sh", "-c", "exit 3"])
        .fails(3);
    context
        .corten(&["create", "--name", "new", "busybox", "true"])
        .ok();
    for (arguments, expected) in [
        (&["--format", "{{.Names}}"][..], "up"),
        (&["-a", "--format", "{{.Names}}"], "new\ndown\nup"),
        (
            &["-a", "--filter", "status=created", "--format", "{{.Names}}"],
            "new",
        ),
        (
            &[
                "-a",
                "--filter",
                "exited=3",
                "--format",
                "{{.Names}} {{.State}}",
            ],
            "down exited",
        ),
        (
            &[
                "--filter",
                "label=a=b",
                "--format",
                "{{.Names}} {{.Image}} {{.Command}}",
            ],
            "up busybox \"sleep 1000\"",
        ),
        (&["-a", "-n", "1", "--format", "{{.Names}}"], "new"),
        (&["--filter", "name=nosuch", "-q"], ""),
        (&["--filter", "name=^/up$", "--format", "{{.Names}}"], "up"),
        (
            &["-a", "--filter", "name=^[du]", "--format", "{{.Names}}"],
            "down\nup",
        ),
        (&["-a", "--filter", "name=(", "-q"], ""),
    ] {
        let mut all = vec!["ps"];
        all.extend(arguments);
        assert_eq!(context.corten(&all).ok(), expected, "{arguments:?}");
    }
    let id = context.inspect("up", "{{.Id}}");
    assert_eq!(context.corten(&["ps", "-q"]).ok(), &id[..12]);
    assert_eq!(context.corten(&["ps", "-q", "--no-trunc"]).ok(), id);
}
