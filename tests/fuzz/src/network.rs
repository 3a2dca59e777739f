//! Questions for names, and what the kernel says about networks.

use netd::dns::codec::{self, Code, Record};
use sys::netlink::{Content, attributes, replies};

pub(crate) const DNS_WORDS: &[&str] = &[
    "\0\0\u{1}\0\u{1}",
    "\0\0\u{1c}\0\u{1}",
    "\0\0\u{c}\0\u{1}",
    "\0\0)\u{4}\0\0\0\0\0\0\0",
    "\0",
    "?",
    "@",
    "\u{7}in-addr\u{4}arpa",
    "\u{3}ip6\u{4}arpa",
    "\u{1}1",
    "\u{3}255",
    "\u{3}web",
];

/// A question is answered so that its asker takes the answer for one, within what the asker has room for.
pub(crate) fn dns(input: &[u8]) -> String {
    let query = match codec::read(input) {
        Ok(query) => query,
        Err(Some(code)) => {
            let refusal = codec::refusal(input, code);
            assert_eq!(codec::code_of(&refusal), code as u8);
            assert_eq!(codec::read(&refusal), Err(None), "an answer to an answer");
            return format!("refused: {code:?}");
        }
        Err(None) => return "nothing is said".to_owned(),
    };
    assert!(query.name.len() <= 253 * '\u{fffd}'.len_utf8());
    let records = [
        Record::Address([10, 0, 0, 2].into()),
        Record::Address([0xfd00, 0, 0, 0, 0, 0, 0, 2].into()),
        Record::Name("web.shop".to_owned()),
    ];
    let many: Vec<Record> = std::iter::repeat_n(records.clone(), 40).flatten().collect();
    let id = u16::from_be_bytes([input[0], input[1]]);
    for (records, room) in [
        (&records[..0], query.room()),
        (&many, query.room()),
        (&many, usize::from(u16::MAX)),
    ] {
        let answer = query.answer(input, Code::NoError, records, room);
        assert!(answer.len() <= room, "{} bytes in {room}", answer.len());
        assert!(codec::answers(&answer, input, query.end(), id));
        assert!(!codec::answers(&answer, input, query.end(), !id));
        assert_eq!(codec::read(&answer), Err(None), "an answer to an answer");
    }
    format!(
        "a question, address {}, internet {}, kind {}, room {}",
        query.address().is_some(),
        query.internet,
        matches!(query.kind, codec::A | codec::AAAA | codec::PTR),
        query.room() > 512
    )
}

/// Whatever a datagram says of its lengths, nothing outside of it is read.
pub(crate) fn netlink(input: &[u8]) -> String {
    let (mut data, mut ends, mut refused, mut texts) = (0, 0, 0, 0);
    let mut inside = 0;
    for reply in replies(input) {
        match reply.content {
            Content::Data(payload) => {
                data += 1;
                inside += payload.len();
                let fixed = payload.len().min(16);
                walk(&payload[fixed..], 0);
            }
            Content::Done => ends += 1,
            Content::Answer(None) => {}
            Content::Answer(Some(why)) => {
                refused += 1;
                texts += usize::from(why.text.as_ref().is_some_and(|text| !text.is_empty()));
                assert!(why.to_string().len() < 4 * input.len() + 200);
            }
        }
    }
    assert!(inside <= input.len());
    let some = |count: usize| "+".repeat(count.min(4));
    format!(
        "data {}, ends {}, refused {}, texts {}",
        some(data),
        some(ends),
        some(refused),
        some(texts)
    )
}

/// Attributes within attributes.
fn walk(bytes: &[u8], depth: usize) {
    let mut sum = 0;
    for (_, value) in attributes(bytes) {
        sum += value.len() + 4;
        if depth < 8 {
            walk(value, depth + 1);
        }
    }
    assert!(sum <= bytes.len());
}
