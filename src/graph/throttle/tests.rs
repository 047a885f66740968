//! Delays, the gate and the budget, on paused time.

use super::*;

fn retry_after(text: &str) -> HttpResponse {
    HttpResponse::new(429).with_header("retry-after", text)
}

#[test]
fn retry_after_is_read_in_all_its_forms() {
    let now = Timestamp::parse("2026-11-23T12:00:00Z").expect("valid");
    let named = |text: &str| delay_named(&retry_after(text), now).map(|delay| delay.as_millis());
    let cases = [
        ("7", Some(7_000)),
        ("0.249", Some(249)),
        (" 3 ", Some(3_000)),
        ("0", None),
        ("-5", None),
        ("1000000000", Some(180_000)),
        ("inf", Some(180_000)),
        ("NaN", None),
        ("soon", None),
        ("", None),
        ("Mon, 23 Nov 2026 12:00:09 GMT", Some(9_000)),
        ("Mon, 23 Nov 2026 11:00:00 GMT", None),
        ("Sat, 23 Nov 2126 12:00:09 GMT", Some(180_000)),
    ];
    for (text, expected) in cases {
        assert_eq!(named(text), expected, "{text}");
    }
    assert_eq!(delay_named(&HttpResponse::new(429), now), None);
}

#[test]
fn a_date_is_counted_from_the_servers_clock() {
    let wrong_clock = Timestamp::parse("2020-01-01T00:00:00Z").expect("valid");
    let response =
        retry_after("Mon, 23 Nov 2026 12:00:09 GMT").with_header("date", "Mon, 23 Nov 2026 12:00:04 GMT");
    assert_eq!(delay_named(&response, wrong_clock), Some(Duration::from_secs(5)));
}

#[test]
fn delays_grow_and_repeat_from_run_to_run() {
    let now = Timestamp::from_secs(0);
    let delays = |url: &str| (2..9).map(|attempt| delay_before(attempt, url, None, now)).collect::<Vec<_>>();
    let some = delays("https://graph/users/1");
    assert_eq!(some, delays("https://graph/users/1"));
    assert_eq!(some, delays("http://127.0.0.1:8080/users/1"), "the address of the server does not matter");
    assert_ne!(some, delays("https://graph/users/2"));
    for (doublings, delay) in some.iter().enumerate() {
        let backoff = (BASE_BACKOFF * 2_u32.pow(u32::try_from(doublings).expect("small"))).min(MAX_BACKOFF);
        assert!(*delay >= backoff * 3 / 4 && *delay <= backoff * 5 / 4, "{doublings}: {delay:?}");
    }
    let asked = delay_before(2, "u", Some(&retry_after("2")), now);
    assert!(asked >= Duration::from_secs(2) && asked < Duration::from_millis(2_300), "{asked:?}");
}

mod gate {
    use super::super::super::testing::TestClock;
    use super::*;

    async fn waited(throttle: &Throttle) -> Duration {
        let before = tokio::time::Instant::now();
        throttle.admit(Workload::Directory, 1, false).await;
        before.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_exchange_closes_no_other_gate() {
        let throttle = Throttle::new(Arc::new(TestClock::new()), TenantSize::Large);
        for _ in 0..GATE_AFTER {
            throttle.learn(Workload::Exchange, &retry_after("20"), Timestamp::default());
        }
        assert_eq!(waited(&throttle).await, Duration::ZERO);
        let before = throttle.clock.monotonic();
        throttle.admit(Workload::Exchange, 1, false).await;
        assert!(throttle.clock.monotonic() - before >= Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn closes_for_all_only_after_several_throttled_answers_in_a_row() {
        let throttle = Throttle::new(Arc::new(TestClock::new()), TenantSize::Large);
        for round in 0..10 {
            for _ in 0..GATE_AFTER - 1 {
                throttle.learn(Workload::Directory, &retry_after("20"), Timestamp::default());
            }
            throttle.learn(Workload::Directory, &HttpResponse::new(200), Timestamp::default());
            assert_eq!(waited(&throttle).await, Duration::ZERO, "round {round}");
        }
        for _ in 0..GATE_AFTER {
            throttle.learn(Workload::Directory, &retry_after("20"), Timestamp::default());
        }
        assert!(waited(&throttle).await >= Duration::from_secs(20));
        // That one was the trial: nobody follows it until it is answered, and a refusal closes the gate again at
        // once.
        throttle.learn(Workload::Directory, &retry_after("7"), Timestamp::default());
        assert!(waited(&throttle).await >= Duration::from_secs(7));
        // A trial without any answer does not close it for ever.
        assert_eq!(waited(&throttle).await, TRIAL);
        throttle.learn(Workload::Directory, &HttpResponse::new(200), Timestamp::default());
        assert_eq!(waited(&throttle).await, Duration::ZERO);
        assert_eq!(waited(&throttle).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_holds_back_what_goes_over_it() {
        let throttle = Throttle::new(Arc::new(TestClock::new()), TenantSize::Small);
        let before = tokio::time::Instant::now();
        for _ in 0..3_500 {
            throttle.admit(Workload::Directory, 1, false).await;
        }
        assert!(before.elapsed() > Duration::from_secs(9), "{:?}", before.elapsed());
        throttle.resize(TenantSize::Large);
        let before = tokio::time::Instant::now();
        for _ in 0..3_000 {
            throttle.admit(Workload::Directory, 1, false).await;
        }
        assert!(before.elapsed() < Duration::from_secs(6), "{:?}", before.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_comes_near_slows_down_for_a_while() {
        let near = |text: &str| HttpResponse::new(200).with_header("x-ms-throttle-limit-percentage", text);
        let throttle = Throttle::new(Arc::new(TestClock::new()), TenantSize::Small);
        let cost = |throttle: &Throttle| {
            let now = throttle.clock.monotonic();
            throttle.with_state(|state| state.slowed(10, now))
        };
        for (text, expected) in
            [("0.5", 10), ("nonsense", 10), ("0.8", 10), ("1.0", 20), ("1.8", 60), ("1e300", 60)]
        {
            throttle.learn(Workload::Directory, &near(text), Timestamp::default());
            assert_eq!(cost(&throttle), expected, "{text}");
        }
        tokio::time::sleep(SLOW_FOR).await;
        assert_eq!(cost(&throttle), 10);
    }
}

#[test]
fn size_classes_follow_the_published_borders() {
    let sizes = [(0, TenantSize::Small), (49, TenantSize::Small), (50, TenantSize::Medium)];
    let sizes = sizes.into_iter().chain([(500, TenantSize::Medium), (501, TenantSize::Large)]);
    for (users, size) in sizes {
        assert_eq!(TenantSize::of(users), size, "{users}");
    }
}
