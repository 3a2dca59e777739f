//! Questions and answers, byte by byte, and anything at all.

use proptest::prelude::*;

use super::*;

fn query(name: &str, kind: u16, edns: Option<u16>) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    if let Some(room) = edns {
        message[11] = 1;
        let [high, low] = room.to_be_bytes();
        message.extend_from_slice(&[0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]);
    }
    message
}

#[test]
fn a_question_is_read_whatever_its_case() {
    let read = read(&query("WWW.Example.COM", A, None)).unwrap();
    assert_eq!(read.name, "www.example.com");
    assert_eq!((read.kind, read.internet, read.room()), (A, true, 512));
    let read = super::read(&query("a", AAAA, Some(4096))).unwrap();
    assert_eq!((read.kind, read.room()), (AAAA, 1232));
    assert_eq!(super::read(&query("a", A, Some(0))).unwrap().room(), 512);
    assert_eq!(super::read(&query("", A, None)).unwrap().name, "");
}

#[test]
fn addresses_are_read_from_their_names() {
    let address = |name: &str| read(&query(name, PTR, None)).unwrap().address();
    assert_eq!(
        address("2.0.17.172.in-addr.arpa"),
        Some("172.17.0.2".parse().unwrap())
    );
    let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    assert_eq!(address(six), Some("2001:db8::1".parse().unwrap()));
    for wrong in [
        "1.2.3.in-addr.arpa",
        "1.2.3.4.5.in-addr.arpa",
        "x.ip6.arpa",
        "a",
    ] {
        assert_eq!(address(wrong), None, "{wrong}");
    }
}

#[test]
fn an_answer_repeats_the_question_and_points_at_its_name() {
    let message = query("Web", A, Some(1232));
    let read = read(&message).unwrap();
    let records = [Record::Address("10.0.0.2".parse().unwrap())];
    let answer = read.answer(&message, Code::NoError, &records, read.room());
    assert_eq!(
        &answer[..12],
        [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 1]
    );
    assert_eq!(&answer[12..21], &message[12..21]);
    assert_eq!(
        &answer[21..37],
        [0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 2]
    );
    assert_eq!(answer.len(), 37 + 11);
    assert!(answers(&answer, &message, read.end(), 0xabcd));
    assert!(!answers(&answer, &message, read.end(), 0xabce));
    assert!(!answers(
        &answer,
        &query("wob", A, None),
        read.end(),
        0xabcd
    ));
}

#[test]
fn what_does_not_fit_is_asked_for_by_connection() {
    let message = query("web", A, None);
    let read = read(&message).unwrap();
    let records: Vec<Record> = (0..100)
        .map(|last| Record::Address(Ipv4Addr::new(10, 0, 0, last).into()))
        .collect();
    let answer = read.answer(&message, Code::NoError, &records, read.room());
    assert!(answer.len() <= 512 && answer[2] & 2 != 0);
    let whole = read.answer(&message, Code::NoError, &records, usize::from(u16::MAX));
    assert_eq!((whole[2] & 2, &whole[6..8]), (0, &[0, 100][..]));
}

#[test]
fn nonsense_is_refused_or_ignored() {
    assert_eq!(read(&[]), Err(None));
    let mut answer = query("a", A, None);
    answer[2] |= 0x80;
    assert_eq!(read(&answer), Err(None));
    let mut update = query("a", A, None);
    update[2] |= 0x28;
    assert_eq!(read(&update), Err(Some(Code::NotImplemented)));
    let mut two = query("a", A, None);
    two[5] = 2;
    assert_eq!(read(&two), Err(Some(Code::FormatError)));
    let mut pointer = query("a", A, None);
    pointer[12] = 0xc0;
    assert_eq!(read(&pointer), Err(Some(Code::FormatError)));
    let long = vec!["x".repeat(63); 5].join(".");
    assert_eq!(read(&query(&long, A, None)), Err(Some(Code::FormatError)));
}

proptest! {
    #[test]
    fn anything_is_read_and_answered_without_harm(mut message in prop::collection::vec(any::<u8>(), 0..600), plain: bool) {
        if plain && message.len() >= 12 {
            // Most random headers are refused at once.
            message[2] &= 0x07;
            message[4..6].copy_from_slice(&[0, 1]);
        }
        match read(&message) {
            Ok(query) => {
                let records = [Record::Address(IpAddr::from([1, 2, 3, 4])), Record::Name(query.name.clone())];
                let answer = query.answer(&message, Code::NoError, &records, query.room());
                prop_assert!(answer.len() <= query.room().max(query.end() + 11));
                prop_assert!(answers(&answer, &message, query.end(), u16::from_be_bytes([message[0], message[1]])));
                let _address = query.address();
            }
            Err(Some(code)) => prop_assert_eq!(refusal(&message, code).len(), 12),
            Err(None) => {}
        }
    }
}
