// SPDX-License-Identifier: BSL-1.0
// Rust's standard library: threads with an alternate signal stack each, locks and parking straight on futexes, channels, scoped
// threads, thread_local! with destructors, panics that unwind to join.
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;

static DROPPED: AtomicUsize = AtomicUsize::new(0);

struct CountsDrop(usize);
impl Drop for CountsDrop {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    static OWN: RefCell<CountsDrop> = RefCell::new(CountsDrop(0));
}

fn channels() -> u64 {
    let (sender, receiver) = mpsc::sync_channel::<u64>(3);
    let producers: Vec<_> = (0..8u64)
        .map(|id| {
            let sender = sender.clone();
            thread::spawn(move || (0..500).for_each(|i| sender.send(id * 1000 + i).unwrap()))
        })
        .collect();
    drop(sender);
    let sum = receiver.iter().sum();
    producers.into_iter().for_each(|p| p.join().unwrap());
    sum
}

fn ring() -> usize {
    let state = Arc::new((Mutex::new(0usize), Condvar::new()));
    let threads: Vec<_> = (0..10)
        .map(|id| {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                for _ in 0..20 {
                    let mut turn = state.0.lock().unwrap();
                    while *turn % 10 != id {
                        turn = state.1.wait(turn).unwrap();
                    }
                    *turn += 1;
                    state.1.notify_all();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    let turns = *state.0.lock().unwrap();
    turns
}

fn locals() -> usize {
    let handles: Vec<_> = (0..100)
        .map(|id| {
            thread::spawn(move || {
                OWN.with(|own| own.borrow_mut().0 = id);
                for _ in 0..50 {
                    thread::yield_now();
                    OWN.with(|own| assert_eq!(own.borrow().0, id));
                }
            })
        })
        .collect();
    handles.into_iter().for_each(|h| h.join().unwrap());
    DROPPED.load(Ordering::SeqCst)
}

fn panics() -> usize {
    std::panic::set_hook(Box::new(|_| {}));
    let handles: Vec<_> = (0..20).map(|id| thread::spawn(move || if id % 2 == 0 { panic!("{}", id) } else { id })).collect();
    handles.into_iter().map(|h| h.join()).filter(|r| r.is_err()).count()
}

fn parking() -> u32 {
    let parked = thread::spawn(|| {
        let mut woken = 0;
        for _ in 0..20 {
            thread::park();
            woken += 1;
        }
        woken
    });
    while !parked.is_finished() {
        parked.thread().unpark();
        thread::yield_now();
    }
    parked.join().unwrap()
}

fn scoped() -> u64 {
    let table = RwLock::new(vec![0u64; 100]);
    let barrier = Barrier::new(5);
    let once = Once::new();
    thread::scope(|scope| {
        for id in 0..5usize {
            let (table, barrier, once) = (&table, &barrier, &once);
            scope.spawn(move || {
                once.call_once(|| table.write().unwrap()[0] += 1000);
                barrier.wait();
                for i in 0..20 {
                    table.write().unwrap()[id * 20 + i] += i as u64;
                    let _ = table.read().unwrap()[i];
                }
            });
        }
    });
    let sum = table.read().unwrap().iter().sum();
    sum
}

fn main() {
    println!("channels {}", channels());
    println!("ring {}", ring());
    println!("locals dropped {}", locals());
    println!("panics {}", panics());
    println!("parked {}", parking());
    println!("scoped {}", scoped());
}
