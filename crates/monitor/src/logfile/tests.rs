//! What is written is what is read, whatever happened to the file in between.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::protocol::Log;

fn now(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second)
}

fn log(path: &Path, max_size: u64, max_files: u32) -> Log {
    Log {
        path: path.to_str().expect("UTF-8").to_owned(),
        max_size,
        max_files,
    }
}

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x-json.log");
    (directory, path)
}

fn lines(path: &Path, query: Query) -> Vec<String> {
    let reader = Reader::query(path, 10, query).expect("opens");
    reader
        .map(|record| String::from_utf8(record.expect("reads").line).expect("UTF-8"))
        .collect()
}

fn tail(count: u64) -> Query {
    Query {
        tail: Some(count),
        ..Query::default()
    }
}

fn write(path: &Path, texts: &[&str]) {
    let mut writer = Writer::open(&log(path, 0, 1)).expect("opens");
    for (second, text) in texts.iter().enumerate() {
        writer.write(Stream::Stdout, text.as_bytes(), now(second as u64));
    }
    writer.end(Stream::Stdout, now(99));
    writer.flush();
}

#[test]
fn records_are_dockers() {
    let (_directory, path) = fresh();
    let mut writer = Writer::open(&log(&path, 0, 1)).expect("opens");
    let time = UNIX_EPOCH + Duration::new(1_700_000_000, 120_000_000);
    writer.write(Stream::Stdout, b"one\ntw", time);
    writer.write(Stream::Stderr, b"<err>\n", time);
    writer.write(Stream::Stdout, b"o\nrest", time);
    writer.end(Stream::Stdout, time);
    writer.flush();
    let expect = concat!(
        r#"{"log":"one\n","stream":"stdout","time":"2023-11-14T22:13:20.12Z"}"#,
        "\n",
        r#"{"log":"\u003cerr\u003e\n","stream":"stderr","time":"2023-11-14T22:13:20.12Z"}"#,
        "\n",
        r#"{"log":"two\n","stream":"stdout","time":"2023-11-14T22:13:20.12Z"}"#,
        "\n",
        r#"{"log":"rest","stream":"stdout","time":"2023-11-14T22:13:20.12Z"}"#,
        "\n",
    );
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), expect);
}

#[test]
fn long_lines_are_cut() {
    for length in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE + 5] {
        let (_directory, path) = fresh();
        write(&path, &[&format!("{}\nnext\n", "x".repeat(length))]);
        let records: Vec<Record> = Reader::open(&path, 1)
            .expect("opens")
            .map(|r| r.expect("reads"))
            .collect();
        let (last, line) = records.split_last().expect("records");
        assert_eq!(last.line, b"next\n");
        assert_eq!(line.len(), length / MAX_LINE + 1);
        for record in &line[..line.len() - 1] {
            assert!(record.partial && record.line.len() == MAX_LINE);
        }
        assert_eq!(
            line.iter().map(|record| record.line.len()).sum::<usize>(),
            length + 1
        );
        assert!(!line[line.len() - 1].partial);
    }
}

#[test]
fn rotates_and_reads_across_files() {
    let (directory, path) = fresh();
    let mut writer = Writer::open(&log(&path, 300, 3)).expect("opens");
    let mut follower = Reader::open(&path, 3).expect("opens");
    let mut followed = Vec::new();
    for number in 0..20 {
        writer.write(
            Stream::Stdout,
            format!("line {number}\n").as_bytes(),
            now(number),
        );
        writer.flush();
        while let Some(record) = follower.next_record().expect("reads") {
            followed.push(String::from_utf8(record.line).expect("UTF-8"));
        }
    }
    let all: Vec<String> = (0..20).map(|number| format!("line {number}\n")).collect();
    assert_eq!(followed, all);
    assert_eq!(
        std::fs::read_dir(directory.path()).expect("lists").count(),
        3
    );
    let kept = lines(&path, Query::default());
    assert!(kept.len() >= 8 && all.ends_with(&kept), "{kept:?}");
    assert_eq!(lines(&path, tail(5)), all[15..]);
    assert_eq!(lines(&path, tail(7)), all[13..]);
    assert_eq!(lines(&path, tail(1000)), kept);
}

#[test]
fn a_single_file_is_begun_anew() {
    let (directory, path) = fresh();
    let mut writer = Writer::open(&log(&path, 200, 1)).expect("opens");
    for number in 0..20 {
        writer.write(
            Stream::Stdout,
            format!("line {number}\n").as_bytes(),
            now(number),
        );
    }
    writer.flush();
    assert_eq!(
        std::fs::read_dir(directory.path()).expect("lists").count(),
        1
    );
    assert_eq!(
        lines(&path, Query::default()).last().map(String::as_str),
        Some("line 19\n")
    );
}

#[test]
fn a_follower_of_a_single_file_misses_nothing_when_it_is_begun_anew() {
    let (_directory, path) = fresh();
    let mut writer = Writer::open(&log(&path, 200, 1)).expect("opens");
    let mut follower = Reader::open(&path, 1).expect("opens");
    let mut followed = Vec::new();
    for number in 0..20 {
        let line = format!("line {number}\n");
        writer.write(Stream::Stdout, line.as_bytes(), now(number));
        writer.flush();
        // A file takes three records: of each the last is not read before the next file is begun.
        if number % 3 == 1 {
            let new = follower.by_ref().map(|record| record.expect("reads").line);
            followed.extend(new.map(|line| String::from_utf8(line).expect("UTF-8")));
        }
    }
    let all: Vec<String> = (0..20).map(|number| format!("line {number}\n")).collect();
    assert_eq!(followed, all);
}

#[test]
fn filters() {
    let (_directory, path) = fresh();
    write(&path, &["a\n", "b\n", "c\n", "d\n"]);
    let between = Query {
        since: Some(now(1)),
        until: Some(now(2)),
        ..Query::default()
    };
    assert_eq!(lines(&path, between), ["b\n", "c\n"]);
    assert_eq!(
        lines(
            &path,
            Query {
                stdout: false,
                ..Query::default()
            }
        ),
        Vec::<String>::new()
    );
    assert_eq!(lines(&path, tail(0)), Vec::<String>::new());
    assert_eq!(lines(&path, tail(1)), ["d\n"]);
    assert_eq!(
        lines(Path::new("/nonexistent/log"), tail(1)),
        Vec::<String>::new()
    );
}

#[test]
fn tail_crosses_blocks() {
    let (_directory, path) = fresh();
    let texts: Vec<String> = (0..3000)
        .map(|number| format!("{number}-{}\n", "y".repeat(90)))
        .collect();
    write(&path, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    for count in [0, 1, 400, 401, 2999, 3000, 3001] {
        assert_eq!(
            lines(&path, tail(count)),
            texts[3000_usize.saturating_sub(usize::try_from(count).unwrap())..]
        );
    }
}

#[test]
fn torn_and_zeroed_records_are_passed_over() {
    let (_directory, path) = fresh();
    write(&path, &["first {\"log\":\"fake\",\"stream\":\"stdout\"}\n"]);
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes.extend_from_slice(b"{\"log\":\"torn");
    bytes.extend_from_slice(&[0; 4096]);
    std::fs::write(&path, &bytes).expect("writes");
    write(&path, &["second\n"]);
    let expect = [
        "first {\"log\":\"fake\",\"stream\":\"stdout\"}\n",
        "second\n",
    ];
    assert_eq!(lines(&path, Query::default()), expect);
    let good = std::fs::read(&path).expect("reads");
    let last = good.iter().rposition(|b| *b == b'{').expect("a record");
    // NULs directly before a record, and a record cut off at the end.
    std::fs::write(
        &path,
        [&[0; 100][..], &good[last..], br#"{"log":"x\n","str"#].concat(),
    )
    .expect("writes");
    assert_eq!(lines(&path, Query::default()), ["second\n"]);
}

#[test]
fn a_record_is_read_once_it_is_whole() {
    let (_directory, path) = fresh();
    write(&path, &["a\n", "b\n"]);
    let bytes = std::fs::read(&path).expect("reads");
    let cut = bytes.len() - 20;
    std::fs::write(&path, &bytes[..cut]).expect("writes");
    let mut reader = Reader::open(&path, 1).expect("opens");
    assert_eq!(
        reader.next_record().expect("reads").expect("a record").line,
        b"a\n"
    );
    assert_eq!(reader.next_record().expect("reads"), None);
    std::fs::write(&path, &bytes).expect("writes");
    assert_eq!(
        reader.next_record().expect("reads").expect("a record").line,
        b"b\n"
    );
}

/// Prints what an optimised build is measured by: `cargo test --release -p monitor throughput -- --nocapture`.
#[test]
fn throughput() {
    let (_directory, path) = fresh();
    let mut writer = Writer::open(&log(&path, 0, 1)).expect("opens");
    for line in [
        "y\n".to_owned(),
        format!(
            "{}\n",
            "the quick brown fox jumps over the lazy dog ".repeat(3)
        ),
    ] {
        let output = line.repeat(64 * 1024 / line.len());
        let before = std::fs::metadata(&path).expect("size").len();
        let begun = std::time::Instant::now();
        for _ in 0..50 {
            writer.write(Stream::Stdout, output.as_bytes(), SystemTime::now());
            writer.flush();
        }
        let micros = begun.elapsed().as_micros();
        let written = u128::from(std::fs::metadata(&path).expect("size").len() - before);
        let taken = 50 * output.len() as u128;
        println!(
            "lines of {}: {} MB/s of output, {} MB/s of log",
            line.len(),
            taken / micros,
            written / micros
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_output_comes_back(chunks in prop::collection::vec(("\\PC*|[\\x00-\\x20\"\\\\<&]*|(\n|a)*", any::<bool>()), 0..20)) {
        let (_directory, path) = fresh();
        let mut writer = Writer::open(&log(&path, 0, 1)).expect("opens");
        let mut expect = [String::new(), String::new()];
        for (text, error) in &chunks {
            let stream = if *error { Stream::Stderr } else { Stream::Stdout };
            writer.write(stream, text.as_bytes(), now(0));
            expect[stream as usize].push_str(text);
        }
        writer.end(Stream::Stdout, now(1));
        writer.end(Stream::Stderr, now(1));
        writer.flush();
        let mut found = [Vec::new(), Vec::new()];
        for record in Reader::open(&path, 1).expect("opens") {
            let record = record.expect("reads");
            found[record.stream as usize].extend(record.line);
        }
        prop_assert_eq!(found[0].as_slice(), expect[0].as_bytes());
        prop_assert_eq!(found[1].as_slice(), expect[1].as_bytes());
    }

    #[test]
    fn damage_never_invents_a_record(damage in prop::collection::vec((0_usize..2000, any::<u8>()), 1..30), cut in 0_usize..2000) {
        let (_directory, path) = fresh();
        let texts: Vec<String> = (0..20).map(|number| format!("line {number}\n")).collect();
        write(&path, &texts.iter().map(String::as_str).collect::<Vec<_>>());
        let mut bytes = std::fs::read(&path).expect("reads");
        let length = bytes.len();
        for (place, _) in damage {
            // Zeroed, as after a crash: other bytes may well make another valid text.
            bytes[place % length] = 0;
        }
        bytes.truncate(length - cut.min(length));
        std::fs::write(&path, &bytes).expect("writes");
        for line in lines(&path, Query::default()) {
            prop_assert!(texts.contains(&line), "{line:?}");
        }
    }
}
