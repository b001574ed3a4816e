//! Clients that are closed beside their owner.

use std::ops::Deref;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// How many clients are being closed without their owners, in the whole process.
static CLOSING: Mutex<usize> = Mutex::new(0);
static CLOSED: Condvar = Condvar::new();

/// A client, or several, whose owner does not wait until they are closed: that takes the library a tenth of a second each,
/// in which its threads notice. Not for producers, whose records have to be on their way before the owner goes on.
pub(super) struct Aside<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Aside<T> {
    pub(super) fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for Aside<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only dropping takes it")
    }
}

impl<T: Send + 'static> Drop for Aside<T> {
    fn drop(&mut self) {
        let closing = (self.0.take(), Closing::begin());
        // Without a thread to be had it is closed here and now.
        drop(thread::Builder::new().name("closing".to_owned()).spawn(move || drop(closing)));
    }
}

/// Waits until every client whose owner is gone is closed. For one who stops the servers next: a client that outlives its
/// broker says so in the log.
pub fn wait_closed() {
    let closing = CLOSING.lock().unwrap_or_else(PoisonError::into_inner);
    drop(CLOSED.wait_while(closing, |closing| *closing > 0));
}

/// Counted while it is there.
struct Closing;

impl Closing {
    fn begin() -> Self {
        *CLOSING.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        *CLOSING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        CLOSED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use super::*;

    struct Slow(mpsc::Receiver<()>, Arc<AtomicBool>);

    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.recv().expect("the test lets it go on");
            self.1.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_owner_goes_on_at_once_and_the_one_who_waits_sees_it_closed() {
        let (go_on, wait) = mpsc::channel();
        let closed = Arc::new(AtomicBool::new(false));
        drop(Aside::new(Slow(wait, Arc::clone(&closed))));
        assert!(!closed.load(Ordering::SeqCst), "dropping it does not wait");
        go_on.send(()).expect("it waits");
        wait_closed();
        assert!(closed.load(Ordering::SeqCst));
    }
}
