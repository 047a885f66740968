//! The real store on disk: opening, locking, damage.

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

fn batch(key: &[u8], value: Vec<u8>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key.to_vec(), value).expect("room");
    batch
}

fn open(path: &Path) -> SledKv {
    let (kv, opened) = SledKv::open(path, NOW).expect("opens");
    assert_eq!(opened, Opened::Good);
    kv
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    let kv = open(&path);
    for number in 0_u8..10 {
        kv.apply(batch(&[b'k', number], vec![number])).expect("applied");
    }
    kv.flush().expect("flushed");
    drop(kv);

    let kv = open(&path);
    assert_eq!(kv.get(b"k\x03"), Ok(Some(vec![3])));
    assert_eq!(kv.get(b"other"), Ok(None));
    let keys = |after: Option<&[u8]>, limit| -> Vec<u8> {
        kv.scan(b"k", after, limit).expect("scanned").into_iter().map(|(key, _)| key[1]).collect()
    };
    assert_eq!(keys(None, 3), [0, 1, 2]);
    assert_eq!(keys(Some(b"k\x06"), 9), [7, 8, 9]);
    assert_eq!(kv.floor(b"k", b"k\x05\xff").expect("read").expect("found").1, [5]);
    assert_eq!(kv.floor(b"k", b"j"), Ok(None));
    assert_eq!(kv.floor(b"l", b"l"), Ok(None));
}

#[test]
fn a_batch_deletes_and_puts_together() {
    let directory = tempfile::tempdir().expect("a directory");
    let kv = open(&directory.path().join("state"));
    kv.apply(batch(b"old", vec![1])).expect("applied");
    let mut both = batch(b"new", vec![2]);
    both.delete(b"old".to_vec()).expect("room");
    kv.apply(both).expect("applied");
    assert_eq!(kv.scan(b"", None, 9), Ok(vec![(b"new".to_vec(), vec![2])]));
}

#[test]
fn a_second_opening_says_that_it_is_in_use() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    let _first = open(&path);
    let second = SledKv::open(&path, NOW).map(|(_, opened)| opened);
    assert_eq!(second, Err(Error::InUse { path }));
    assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 1, "nothing was moved");
}

#[test]
fn an_unreadable_directory_is_moved_aside_and_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    let kv = open(&path);
    kv.apply(batch(b"key", vec![1])).expect("applied");
    kv.flush().expect("flushed");
    drop(kv);
    fs::write(path.join("conf"), b"not what sled wrote there").expect("written");

    let (kv, opened) = SledKv::open(&path, NOW).expect("opens anew");
    let Opened::MovedAside { moved_to, reason } = opened else { panic!("it was not noticed") };
    assert_eq!(moved_to, directory.path().join("state.unreadable-20261118T110640Z"));
    assert!(!reason.is_empty());
    assert!(moved_to.join(LOG_FILE).exists());
    assert_eq!(kv.get(b"key"), Ok(None));

    drop(kv);
    fs::write(path.join("conf"), b"not what sled wrote, again").expect("written");
    let (_, opened) = SledKv::open(&path, NOW).expect("opens anew");
    let Opened::MovedAside { moved_to, .. } = opened else { panic!("it was not noticed") };
    assert!(moved_to.ends_with("state.unreadable-20261118T110640Z-2"), "the first one is not overwritten");
}

#[test]
fn a_file_in_the_way_is_the_machines_fault_and_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    fs::write(&path, b"somebody's file").expect("written");
    let refused = SledKv::open(&path, NOW).map(|(_, opened)| opened);
    assert!(matches!(refused, Err(Error::Open { .. })), "{refused:?}");
    assert_eq!(fs::read(&path).expect("still there"), b"somebody's file");
}

/// The write that fails leaves sled waiting for it for ever, in every handle of the process: so the scene plays in a
/// process of its own.
#[test]
fn after_an_error_of_sled_nothing_is_answered() {
    let scene = "store::sled::tests::scene_of_a_failing_write";
    let this = std::env::current_exe().expect("known");
    let played =
        std::process::Command::new(this).args([scene, "--exact", "--ignored"]).output().expect("runs");
    let said = String::from_utf8_lossy(&played.stdout);
    assert!(played.status.success() && said.contains("1 passed"), "{said}");
}

/// sled writes large values into files of their own; without their directory the write fails.
#[test]
#[ignore = "played by after_an_error_of_sled_nothing_is_answered"]
fn scene_of_a_failing_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    let kv = open(&path);
    kv.apply(batch(b"before", vec![1])).expect("applied");
    kv.flush().expect("flushed");
    fs::remove_dir_all(path.join("blobs")).expect("removed");

    let failed = kv.apply(batch(b"large", vec![7; 400_000]));
    assert!(matches!(failed, Err(Error::Failed { operation: Operation::Write, .. })), "{failed:?}");
    assert!(matches!(kv.get(b"before"), Err(Error::Poisoned { .. })));
    assert!(matches!(kv.apply(batch(b"small", vec![1])), Err(Error::Poisoned { .. })));
    assert!(matches!(kv.flush(), Err(Error::Poisoned { .. })));

    let wedged = kv.reopen_within(Duration::from_millis(50));
    assert!(
        matches!(wedged, Err(Error::Open { .. })),
        "sled waits for ever for the write that failed: {wedged:?}"
    );
    assert!(matches!(kv.get(b"before"), Err(Error::Poisoned { .. })));
}

#[test]
fn a_panic_of_sled_is_a_failure_and_reopening_heals_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let kv = open(&directory.path().join("state"));
    kv.apply(batch(b"before", vec![1])).expect("applied");
    let failed = kv.reading(Operation::Read, b"key", |_| -> ::sled::Result<()> { panic!("a damaged page") });
    let Err(Error::Failed { source, .. }) = failed else { panic!("it was not noticed") };
    assert!(source.to_string().contains("a damaged page"));
    assert!(matches!(kv.get(b"before"), Err(Error::Poisoned { .. })));

    assert_eq!(kv.reopen(), Ok(Opened::Good));
    assert_eq!(kv.get(b"before"), Ok(Some(vec![1])));
    kv.apply(batch(b"after", vec![2])).expect("applied");
}

/// sled 0.34.7 ends its recovery at the first damaged byte, forgets everything behind it and says that all is well.
#[test]
fn a_flipped_bit_that_sled_does_not_mention_is_noticed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    let kv = open(&path);
    for number in 0_u32..500 {
        kv.apply(batch(&number.to_be_bytes(), vec![7; 300])).expect("applied");
    }
    kv.flush().expect("flushed");
    drop(kv);
    let good = fs::read(path.join(LOG_FILE)).expect("there");
    for at in (100..good.len() - 2000).step_by(good.len() / 12) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        let copy = directory.path().join(format!("copy-{at}"));
        fs::create_dir_all(copy.join("blobs")).expect("made");
        for name in ["conf", MARK_FILE] {
            fs::copy(path.join(name), copy.join(name)).expect("copied");
        }
        fs::write(copy.join(LOG_FILE), &bad).expect("written");
        let (kv, opened) = SledKv::open(&copy, NOW).expect("opens");
        let is_whole = (0_u32..500).all(|number| kv.get(&number.to_be_bytes()) == Ok(Some(vec![7; 300])));
        assert_eq!(is_whole, opened == Opened::Good, "byte {at}: {opened:?}");
        assert!(is_whole || opened == Opened::RolledBack { flushes: 1, found: 0 }, "byte {at}: {opened:?}");
    }
}

#[test]
fn flushes_are_counted_across_openings() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    for _ in 0..3 {
        let kv = open(&path);
        kv.apply(batch(b"key", vec![1])).expect("applied");
        kv.flush().expect("flushed");
    }
    assert_eq!(fs::read_to_string(path.join(MARK_FILE)).expect("there"), "3\n");
    let kv = open(&path);
    assert_eq!(kv.scan(b"t/", None, 9), Ok(Vec::new()), "the count stands outside the tenants");
    drop(kv);

    fs::write(path.join(MARK_FILE), "7\n").expect("written");
    let (_, opened) = SledKv::open(&path, NOW).expect("opens");
    assert_eq!(opened, Opened::RolledBack { flushes: 7, found: 3 });
    assert_eq!(
        open(&path).get(b"key"),
        Ok(Some(vec![1])),
        "told once: from here on the older state is the state"
    );
}
