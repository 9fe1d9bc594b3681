use super::*;
use std::sync::Barrier;
use std::sync::atomic::AtomicU64;

#[test]
fn every_worker_takes_part_once_in_every_run() {
    for threads in [1, 2, 3, 5] {
        let team = Team::new(threads).unwrap();
        assert_eq!(team.threads(), threads);
        let counts: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
        for _ in 0..2_000 {
            team.run(&|worker| {
                counts[worker].fetch_add(1, Ordering::Relaxed);
            });
        }
        assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 2_000));
    }
}

#[test]
fn workers_are_threads_of_their_own() {
    let team = Team::new(3).unwrap();
    let barrier = Barrier::new(3);
    let ids = Mutex::new(Vec::new());
    team.run(&|_| {
        // Met only if the three run at the same time.
        barrier.wait();
        ids.lock().unwrap().push(thread::current().id());
    });
    let mut ids = ids.into_inner().unwrap();
    assert!(ids.contains(&thread::current().id()));
    ids.sort_by_key(|id| format!("{id:?}"));
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn chunks_cover_the_range_once() {
    let team = Team::new(2).unwrap();
    for (count, chunk) in [(0, 4), (1, 4), (4, 4), (5, 4), (1_000, 7), (10, 0), (3, usize::MAX)] {
        let seen: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        team.chunks(count, chunk, &|range| {
            assert!(!range.is_empty() && range.len() <= chunk.max(1));
            for i in range {
                seen[i].fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 1), "{count} by {chunk}");
    }
}

#[test]
fn rows_are_written_each_by_one() {
    let team = Team::new(2).unwrap();
    let mut out = vec![0_usize; 33 * 5];
    team.rows_mut(&mut out, 5, 4, &|first_row, rows| {
        for (i, row) in rows.chunks_mut(5).enumerate() {
            row.iter_mut().for_each(|x| *x += first_row + i + 1);
        }
    });
    for (row, values) in out.chunks(5).enumerate() {
        assert_eq!(values, [row + 1; 5]);
    }
    team.rows_mut(&mut [] as &mut [u8], 0, 0, &|_, _| unreachable!("there are no rows"));
}

#[test]
fn rows_that_do_not_divide_the_slice_are_refused() {
    let team = Team::new(2).unwrap();
    let refused = catch_unwind(AssertUnwindSafe(|| team.rows_mut(&mut [0; 7], 5, 1, &|_, _| ())));
    assert!(refused.is_err());
}

#[test]
fn a_panic_reaches_the_caller_after_all_have_ended_and_the_team_works_on() {
    let team = Team::new(3).unwrap();
    for thrower in 0..3 {
        let ended = AtomicUsize::new(0);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            team.run(&|worker| {
                assert_ne!(worker, thrower, "thrown by {worker}");
                thread::yield_now();
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }))
        .unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains(&format!("thrown by {thrower}")));
        assert_eq!(ended.load(Ordering::Relaxed), 2);
        let sum = AtomicUsize::new(0);
        team.run(&|worker| {
            sum.fetch_add(worker, Ordering::Relaxed);
        });
        assert_eq!(sum.load(Ordering::Relaxed), 3);
    }
}

#[test]
fn a_run_within_a_run_does_every_share() {
    let team = Team::new(3).unwrap();
    let sum = AtomicUsize::new(0);
    team.run(&|outer| {
        team.run(&|inner| {
            sum.fetch_add(10 * outer + inner, Ordering::Relaxed);
        });
    });
    assert_eq!(sum.load(Ordering::Relaxed), 3 * (10 + 20) + 3 * (1 + 2));
}

#[test]
fn several_threads_may_share_a_team() {
    let team = Team::new(2).unwrap();
    let sum = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..500 {
                    team.chunks(10, 1, &|range| {
                        sum.fetch_add(range.start as u64, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    assert_eq!(sum.load(Ordering::Relaxed), 3 * 500 * 45);
}

#[test]
fn workers_that_fell_asleep_are_woken() {
    let team = Team::new(3).unwrap();
    for _ in 0..3 {
        // Until both workers sleep; the caller's own sleep is provoked by a worker that waits for it.
        while !team.shared.workers.iter().all(|w| w.asleep.load(Ordering::SeqCst)) {
            thread::yield_now();
        }
        let sum = AtomicUsize::new(0);
        team.run(&|worker| {
            while worker == 2 && !team.shared.caller.asleep.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            sum.fetch_add(worker, Ordering::Relaxed);
        });
        assert_eq!(sum.load(Ordering::Relaxed), 3);
    }
}

#[test]
fn dropping_the_team_joins_its_workers() {
    let team = Team::new(4).unwrap();
    let shared = Arc::downgrade(&team.shared);
    team.run(&|_| ());
    drop(team);
    assert!(shared.upgrade().is_none(), "a worker still holds its share");
}

#[test]
fn a_team_of_none_is_refused() {
    assert_eq!(Team::new(0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
