//! Very many networks and places on them: the last costs what the first did, and nothing is left of any.
//!
//! A hundred networks and two hundred places on every change; `CORTEN_NETWORKS` and `CORTEN_ENDPOINTS` make it more
//! (`cargo xtask networks`).

use std::time::Instant;

use serde_json::{Value, json};
use testkit::{Context, Settings};

/// How many networks one container is on, of the many.
const EACH: u8 = 20;

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number"))
    })
}

/// Makes a request that must succeed; gives the milliseconds.
#[track_caller]
fn timed(context: &Context, method: &str, path: &str, body: Option<&Value>) -> f64 {
    let begun = Instant::now();
    let answer = context.request(method, path, body).expect("an answer");
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    let said = answer.json();
    assert!(answer.status < 300, "{method} {path}: {said}");
    took
}

/// The medians of the first and the last ten.
#[expect(clippy::print_stdout, reason = "figures for whoever runs it for them")]
fn ends(what: &str, times: &[f64]) {
    let median = |part: &[f64]| {
        let mut sorted = part.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let few = times.len().min(10);
    println!(
        "{} {what}: the first {:.2} ms, the last {:.2} ms",
        times.len(),
        median(&times[..few]),
        median(&times[times.len() - few..])
    );
}

#[test]
fn hundreds_of_networks_and_places_come_and_go() {
    let networks = number("CORTEN_NETWORKS", 100);
    let containers = number("CORTEN_ENDPOINTS", 200) / usize::from(EACH);
    let context = Context::with(Settings {
        arguments: ["--default-address-pool", "base=10.64.0.0/13,size=24"]
            .map(str::to_owned)
            .into(),
        ..Settings::default()
    });
    context.load("busybox");
    let mut times = Vec::new();
    for network in 0..networks {
        let body = json!({"Name": format!("n{network}"), "EnableIPv6": false});
        times.push(timed(&context, "POST", "/networks/create", Some(&body)));
    }
    ends("networks made", &times);
    let mut times = Vec::new();
    for container in 0..containers {
        let places: serde_json::Map<String, Value> = (0..EACH)
            .map(|place| {
                let network = (container * usize::from(EACH) + usize::from(place)) % networks;
                (format!("n{network}"), json!({}))
            })
            .collect();
        let body = json!({"Image": "busybox", "Cmd": ["sleep", "100000"],
            "NetworkingConfig": {"EndpointsConfig": places}});
        let path = format!("/containers/create?name=c{container}");
        timed(&context, "POST", &path, Some(&body));
        let path = format!("/containers/c{container}/start");
        times.push(timed(&context, "POST", &path, None) / f64::from(EACH));
    }
    ends("containers started, a place", &times);
    // Neighbours of the last network know each other by name.
    let last = format!("c{}", containers - 1);
    let inside = context.corten(&["exec", &last, "ip", "-4", "-o", "addr"]);
    assert_eq!(
        inside.ok().lines().count(),
        usize::from(EACH) + 1,
        "{inside:?}"
    );
    context
        .corten(&["exec", &last, "nslookup", &last, "127.0.0.11"])
        .ok();
    let mut times = Vec::new();
    for container in 0..containers {
        let path = format!("/containers/c{container}?force=1");
        times.push(timed(&context, "DELETE", &path, None) / f64::from(EACH));
    }
    ends("containers removed, a place", &times);
    let mut times = Vec::new();
    for network in 0..networks {
        let path = format!("/networks/n{network}");
        times.push(timed(&context, "DELETE", &path, None));
    }
    ends("networks removed", &times);
    // What is left of their bridges and cables, the context looks for at its end.
    let listed = context.corten(&["network", "ls", "-q", "--filter", "type=custom"]);
    assert_eq!(listed.ok(), "");
}
