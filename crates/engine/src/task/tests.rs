//! Calls and the ways in which the other end goes away.

use monitor::protocol::{Call, Event, Failure, Message, Reply, Request, Stage};
use sys::socket::SeqPacket;

use super::Task;

/// A peer that takes one call, does something with it, and closes its end.
fn peer(socket: SeqPacket, answer: impl FnOnce(Call) -> Option<Message> + Send + 'static) {
    std::thread::spawn(move || {
        let mut packet = Vec::new();
        socket.recv(&mut packet).unwrap();
        if let Some(message) = answer(postcard::from_bytes(&packet).unwrap()) {
            let packet = postcard::to_allocvec(&message).unwrap();
            socket.send(&packet, &[]).unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_counts_though_the_monitor_is_gone_by_then() {
    for _ in 0..500 {
        let (ours, theirs) = SeqPacket::pair().unwrap();
        peer(theirs, |call| Some(Message::Reply(call.seq, Reply::Done)));
        let (task, _events) = Task::adopt("box", ours, None).unwrap();
        let reply = task.call(Request::Start, Vec::new()).await.unwrap();
        assert!(matches!(reply, Reply::Done), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_that_goes_away_fails_the_call_at_once() {
    let (ours, theirs) = SeqPacket::pair().unwrap();
    peer(theirs, |_| None);
    let (task, _events) = Task::adopt("box", ours, None).unwrap();
    let error = task.call(Request::Start, Vec::new()).await.unwrap_err();
    assert!(
        error.to_string().contains("went away without an answer"),
        "{error}"
    );
    task.gone().await;
    let error = task.call(Request::Start, Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_monitor_said_counts_though_it_has_not_read_all_requests() {
    let (ours, theirs) = SeqPacket::pair().unwrap();
    let (task, mut events) = Task::adopt("box", ours, None).unwrap();
    let start = task.ask(Request::Start, Vec::new()).await.unwrap();
    let failure = Failure {
        stage: Stage::Setup,
        errno: 0,
        message: "no room".to_owned(),
    };
    let message = Message::Event(Event::Failed(failure));
    let packet = postcard::to_allocvec(&message).unwrap();
    theirs.send(&packet, &[]).unwrap();
    // With the request unread: the kernel says ECONNRESET to the other end, before anything else.
    drop(theirs);
    let event = events.recv().await;
    assert!(
        matches!(&event, Some(Event::Failed(failure)) if failure.message == "no room"),
        "{event:?}"
    );
    let error = start.answer().await.unwrap_err();
    assert!(error.to_string().contains("without an answer"), "{error}");
}
