//! A bound on how much is computed at once, before the blocking threads of the host's runtime.
//! Knows nothing of what is computed.

use crate::RsaError;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// A few seats to compute in, and a short queue before them.
pub struct Pool {
    /// One for each job that computes or waits.
    places: Arc<Semaphore>,
    /// One for each job that computes.
    seats: Arc<Semaphore>,
    runtime: Handle,
}

impl Pool {
    /// `waiting_max` jobs may wait beyond the `threads` that are computed.
    pub fn new(threads: NonZeroUsize, waiting_max: usize, runtime: Handle) -> Self {
        Self {
            places: Arc::new(Semaphore::new(threads.get() + waiting_max)),
            seats: Arc::new(Semaphore::new(threads.get())),
            runtime,
        }
    }

    /// Computes `job` on a blocking thread. Dropping the future forgets a job that still waits;
    /// one that has begun is finished, and keeps its seat until then.
    ///
    /// # Errors
    ///
    /// [`RsaError::Busy`] at once when every seat is taken and the queue is full, or when the job
    /// panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RsaError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| RsaError::Busy)?;
        let seat = self.seats.clone().acquire_owned().await.map_err(|_| RsaError::Busy)?;
        let computed = self.runtime.spawn_blocking(move || {
            let _held = (place, seat);
            job()
        });
        computed.await.map_err(|_| RsaError::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn pool(threads: usize, waiting_max: usize) -> Arc<Pool> {
        let threads = NonZeroUsize::new(threads).unwrap();
        Arc::new(Pool::new(threads, waiting_max, Handle::current()))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_queue_answers_busy_at_once_and_recovers() {
        let pool = pool(1, 0);
        let (release, wait) = mpsc::channel::<()>();
        let (started, is_started) = mpsc::channel::<()>();
        let occupied = tokio::spawn({
            let pool = pool.clone();
            async move {
                let job = move || {
                    started.send(()).unwrap();
                    wait.recv().is_err()
                };
                pool.run(job).await
            }
        });
        tokio::task::block_in_place(|| is_started.recv().unwrap());
        assert_eq!(pool.run(|| 2).await, Err(RsaError::Busy));
        drop(release);
        assert_eq!(occupied.await.unwrap(), Ok(true));
        assert_eq!(pool.run(|| 3).await, Ok(3));
    }

    #[tokio::test]
    async fn a_job_that_panics_takes_no_seat_with_it() {
        let pool = pool(1, 0);
        for _ in 0..3 {
            let panicked = pool.run(|| panic!("as a hostile job might")).await;
            assert_eq!(panicked, Err::<(), _>(RsaError::Busy));
        }
        assert_eq!(pool.run(|| 1).await, Ok(1));
    }
}
