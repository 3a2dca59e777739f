//! Templates and what Go makes of them.

use super::*;

const DATA: &str = r#"{"Name":"/web","Id":"abcdef","State":{"Status":"running","Running":true,"Pid":42,"ExitCode":0},
"Config":{"Env":["A=1","B=2"],"Cmd":null,"Labels":{"b":"2","a":"1"},"Healthcheck":null},
"NetworkSettings":{"Networks":{"bridge":{"IPAddress":"1.2.3.4"}},"Ports":{}},"Mounts":[],"Load":1.5}"#;

fn render(template: &str) -> Result<String, String> {
    Template::parse(template)?.render(&Value::from_json(DATA.as_bytes()).unwrap(), Mode::Values)
}

#[test]
fn templates_render_as_in_go() {
    for (template, expect) in [
        ("", ""),
        ("text", "text"),
        ("{{.Name}}", "/web"),
        ("{{ .State.Pid }}", "42"),
        ("{{.State.Running}}", "true"),
        ("{{.State}}", "{running true 42 0}"),
        ("{{.Config.Labels}}", "map[a:1 b:2]"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{.Config.Cmd}}", "[]"),
        ("{{json .Config.Cmd}} {{len .Config.Cmd}}", "null 0"),
        ("{{.Config.Healthcheck}} {{.State.Health}}", "<nil> <nil>"),
        ("{{.ID}}", "abcdef"),
        ("{{.Config.Labels.missing}}", "<no value>"),
        ("{{index .Config.Labels \"missing\"}}", ""),
        ("{{index .Config.Labels \"a\"}}", "1"),
        ("{{index .Config.Env 1}}", "B=2"),
        ("{{json .Config.Labels}}", "{\"b\":\"2\",\"a\":\"1\"}"),
        (
            "{{json .State}}",
            "{\"Status\":\"running\",\"Running\":true,\"Pid\":42,\"ExitCode\":0}",
        ),
        ("{{json .Mounts}}", "[]"),
        ("{{.Load}}", "1.5"),
        ("{{len .Config.Env}}", "2"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        (
            "{{if not .State.Running}}a{{else if eq .State.Pid 42}}b{{else}}c{{end}}",
            "b",
        ),
        ("{{range .Config.Env}}{{.}};{{end}}", "A=1;B=2;"),
        (
            "{{range $i, $e := .Config.Env}}{{$i}}={{$e}} {{end}}",
            "0=A=1 1=B=2 ",
        ),
        (
            "{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.IPAddress}}{{end}}",
            "bridge 1.2.3.4",
        ),
        (
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
            "1.2.3.4",
        ),
        ("{{range .Mounts}}x{{else}}none{{end}}", "none"),
        (
            "{{range .Config.Env}}{{if eq . \"B=2\"}}{{break}}{{end}}{{.}}{{end}}",
            "A=1",
        ),
        (
            "{{range .Config.Env}}{{if eq . \"A=1\"}}{{continue}}{{end}}{{.}}{{end}}",
            "B=2",
        ),
        (
            "{{with .State}}{{.Status}} {{$.Name}}{{end}}",
            "running /web",
        ),
        ("{{with .Mounts}}x{{else}}y{{end}}", "y"),
        ("{{$x := .Name}}{{$x = \"other\"}}{{$x}}", "other"),
        ("a {{- .Name -}} b", "a/webb"),
        ("{{/* nothing */}}x", "x"),
        ("{{- /* nothing */ -}} x", "x"),
        ("{{.Name | upper | printf \"%6s|\"}}", "  /WEB|"),
        (
            "{{printf \"%s %d %v %q %05d %-4s| %t %x\" .Name 7 .State.Pid \"a\" 42 \"b\" true 255}}",
            "/web 7 42 \"a\" 00042 b   | true ff",
        ),
        (
            "{{printf \"%d\" \"x\"}} {{printf \"%s\"}}",
            "%!d(string=x) %!s(MISSING)",
        ),
        ("{{print 1 2 \"a\" 3}}", "1 2a3"),
        ("{{println .Name}}", "/web\n"),
        ("{{and true 0}} {{or 0 \"x\"}} {{not 1}}", "0 x false"),
        (
            "{{eq 1 2 1}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge \"b\" \"a\"}}",
            "true true true true false true",
        ),
        (
            "{{slice .Id 1 3}} {{truncate .Id 2}} {{truncate .Id 20}}",
            "bc ab abcdef",
        ),
        (
            "{{join .Config.Env \", \"}} {{split \"a:b\" \":\"}} {{lower \"AB\"}} {{title \"ab cd\"}}",
            "A=1, B=2 [a b] ab Ab Cd",
        ),
        ("{{pad \"x\" 1 2}}|{{pad \"\" 1 2}}|", " x  ||"),
        (
            "{{html \"<a>\"}} {{urlquery \"a b&\"}} {{js \"it's\"}}",
            "&lt;a&gt; a+b%26 it\\'s",
        ),
        (
            "{{define \"t\"}}[{{.}}]{{end}}{{template \"t\" .Name}}",
            "[/web]",
        ),
        ("{{block \"t\" .Id}}<{{.}}>{{end}}", "<abcdef>"),
        (
            "{{(index .Config.Env 0)}} {{(.State).Status}} {{len (slice .Id 2)}}",
            "A=1 running 4",
        ),
        (
            "{{\"quoted\\n\"}}{{`raw\\n`}} {{'a'}} {{0x10}} {{1.5}}",
            "quoted\nraw\\n 97 16 1.5",
        ),
    ] {
        assert_eq!(render(template).as_deref(), Ok(expect), "{template}");
    }
}

#[test]
fn failures_are_told_in_gos_words() {
    for (template, expect) in [
        (
            "{{.Foo}}",
            "template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\"",
        ),
        (
            "{{.Config.Foo}}",
            "template: :1:9: executing \"\" at <.Config.Foo>: map has no entry for key \"Foo\"",
        ),
        (
            "{{.Name.Foo}}",
            "template: :1:7: executing \"\" at <.Name.Foo>: can't evaluate field Foo in type string",
        ),
        ("{{.Name", "template: :1: unclosed action"),
        ("{{nope}}", "template: :1: function \"nope\" not defined"),
        ("{{if .Name}}", "template: :1: unexpected EOF"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        (
            "{{eq 1 \"a\"}}",
            "template: :1:2: executing \"\" at <eq 1 \"a\">: error calling eq: incompatible types for comparison",
        ),
        (
            "{{index .Config.Env 5}}",
            "template: :1:2: executing \"\" at <index .Config.Env 5>: error calling index: reflect: slice index out of range: 5",
        ),
        ("{{\"a}}", "template: :1: unterminated quoted string"),
        ("{{}}", "template: :1: missing value for command"),
    ] {
        assert_eq!(render(template).unwrap_err(), expect, "{template}");
    }
}
