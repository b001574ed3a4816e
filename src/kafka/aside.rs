//! Clients that are closed beside their owner.

use std::ops::Deref;
use std::thread;

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
        let client = self.0.take();
        // Without a thread to be had it is closed here and now.
        drop(thread::Builder::new().name("closing".to_owned()).spawn(move || drop(client)));
    }
}
