//! Work that may take long: parsing and comparing schemas that strangers send. It runs beside the threads that serve
//! requests, a bounded number at a time, so that a schema made to be slow delays others of its kind and no read.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::super::error::RegistryError;
use super::super::handle::RegistryHandle;
use super::super::log::LogError;
use super::super::snapshot::Snapshot;

/// Where such work runs.
#[derive(Debug, Clone)]
pub(super) struct Heavy {
    slots: Arc<Semaphore>,
}

impl Heavy {
    /// As many slots as there are processors, and more than one.
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, |count| count.get().max(2));
        Self { slots: Arc::new(Semaphore::new(processors)) }
    }

    /// Runs `work` to its end, even if nobody waits for it any more: its slot is free only then.
    ///
    /// # Errors
    /// The process ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RegistryError> {
        let slot = self.slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        let running = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work()
        });
        running.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => RegistryError::Store(LogError::Closed),
        })
    }

    /// As [`RegistryHandle::read`], with the query run here.
    ///
    /// # Errors
    /// See [`RegistryHandle::read`].
    pub(super) async fn read<T: Send + 'static>(
        &self,
        registry: &RegistryHandle,
        query: impl Fn(&Snapshot) -> Result<T, RegistryError> + Send + Sync + 'static,
    ) -> Result<T, RegistryError> {
        let query = Arc::new(query);
        let ask = || {
            let (query, snapshot) = (query.clone(), registry.snapshot());
            self.run(move || query(&snapshot))
        };
        match ask().await? {
            Err(error) if error.is_miss() => {
                registry.refresh().await?;
                ask().await?
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn slow_work_holds_up_neither_the_runtime_nor_more_than_its_slot() {
        let heavy = Heavy { slots: Arc::new(Semaphore::new(2)) };
        let (release, held) = channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let slow = heavy.clone();
        let slow = tokio::spawn(async move {
            slow.run(move || {
                let _ = started.send(());
                held.recv()
            })
            .await
        });
        has_started.await.unwrap();
        // This test has one thread: it comes here because the work has another.
        assert_eq!(heavy.run(|| 7).await.unwrap(), 7);
        assert_eq!(heavy.slots.available_permits(), 1);
        release.send(()).unwrap();
        assert!(slow.await.unwrap().unwrap().is_ok());
        assert_eq!(heavy.slots.available_permits(), 2);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_slot_until_it_ends() {
        let heavy = Heavy { slots: Arc::new(Semaphore::new(1)) };
        let (release, held) = channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let abandoned = heavy.clone();
        let abandoned = tokio::spawn(async move {
            abandoned
                .run(move || {
                    let _ = started.send(());
                    held.recv()
                })
                .await
        });
        has_started.await.unwrap();
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
        assert_eq!(heavy.slots.available_permits(), 0);
        release.send(()).unwrap();
        assert_eq!(heavy.run(|| 7).await.unwrap(), 7);
    }
}
