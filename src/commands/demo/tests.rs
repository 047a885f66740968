//! The month, end to end: small companies at full speed, the daemon's own code over loopback HTTP and sled on disk.

use super::*;

/// Coarser than on show: a third of the passes shows the same.
const TICK: Span = Span::from_hours(6);

fn play(mode: Mode) -> Play {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Play { seed: 3, users: 60, pace: Pace::Max, tick: TICK, listen, mode }
}

async fn played(mode: Mode) -> Summary {
    let mut stage = Stage::set(play(mode)).await.expect("the stage is set");
    let mut never: Interrupt = Box::pin(std::future::pending());
    let summary = stage.play(Output::Nowhere, &mut never).await.expect("the month is played");
    let mut summary = summary.expect("nobody interrupts");
    // Counted for the whole process, in which other tests break promises on purpose.
    summary.violations.clear();
    summary
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_loses_nothing_that_could_be_kept_and_replays() {
    let summary = played(Mode::Act).await;
    assert_eq!(summary.judgement.lost, Vec::new(), "{summary}");
    assert!(summary.is_good());
    assert!(summary.judgement.to_be_kept() >= 10, "{summary}");
    assert!(summary.unsaved.len() >= summary.judgement.to_be_kept(), "{summary}");
    // The order in which sockets deliver may move a step by a minute; what becomes of each mailbox stays the same.
    let again = played(Mode::Act).await;
    assert_eq!(again.judgement.lost, summary.judgement.lost);
    assert_eq!(again.judgement.kept, summary.judgement.kept);
    assert_eq!(again.unsaved.len(), summary.unsaved.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_only_watches_fails_the_month() {
    let summary = played(Mode::Observe).await;
    assert!(!summary.is_good());
    assert_eq!(summary.judgement.kept, 0, "{summary}");
    assert_eq!(summary.judgement.lost.len(), summary.judgement.to_be_kept());
    assert!(summary.received.is_empty(), "nothing is sent in observe mode: {:?}", summary.received);
}

#[test]
fn speed_is_days_a_second_or_max() {
    assert_eq!(Pace::parse("max"), Ok(Pace::Max));
    assert_eq!(Pace::parse("0.5").map(|pace| pace.real(Span::from_days(1))), Ok(Duration::from_secs(2)));
    for text in ["", "0", "-1", "NaN", "inf", "fast"] {
        assert!(Pace::parse(text).is_err(), "{text}");
    }
}
