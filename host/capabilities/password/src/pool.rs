//! A few threads that compute, and a short queue before them. Knows nothing of passwords but that
//! they want a lot of memory, again and again.

use crate::phc::PasswordError;
use argon2::Block;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Blocks that a thread keeps for its next job: getting 19 MiB of zeroed pages from the kernel each
/// time costs as much as a tenth of the hash.
#[derive(Default)]
pub struct Memory(pub(crate) Vec<Block>);

impl Memory {
    /// Kept between jobs; what a costlier job took beyond it goes back.
    const KEPT_BLOCKS_MAX: usize = 64 * 1024;

    /// Bytes held now.
    pub fn bytes(&self) -> usize {
        self.0.len() * Block::SIZE
    }

    fn shrink(&mut self) {
        if self.0.len() > Self::KEPT_BLOCKS_MAX {
            self.0 = Vec::new();
        }
    }
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Threads of our own rather than the async runtime's blocking pool: their number is the bound on
/// CPU and memory, and nothing else waits behind a hash.
pub struct Pool {
    queue: Arc<Queue>,
}

struct Queue {
    jobs: Mutex<Jobs>,
    arrived: Condvar,
    waiting_max: usize,
}

struct Jobs {
    waiting: VecDeque<Job>,
    idle: usize,
    closed: bool,
}

impl Pool {
    /// Starts `threads` threads; `waiting_max` jobs may wait beyond those being computed.
    ///
    /// # Errors
    ///
    /// [`PasswordError::NoThread`] when the machine refuses one.
    pub fn start(threads: NonZeroUsize, waiting_max: usize) -> Result<Self, PasswordError> {
        let jobs = Jobs { waiting: VecDeque::new(), idle: threads.get(), closed: false };
        let queue = Queue { jobs: Mutex::new(jobs), arrived: Condvar::new(), waiting_max };
        let pool = Self { queue: Arc::new(queue) };
        for index in 0..threads.get() {
            let queue = pool.queue.clone();
            std::thread::Builder::new()
                .name(format!("password-{index}"))
                .spawn(move || queue.work())
                .map_err(|e| PasswordError::NoThread(e.to_string()))?;
        }
        Ok(pool)
    }

    /// Computes `job` on one of the threads. Dropping the future forgets a job that still waits.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Busy`] at once when every thread is taken and the queue is full.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Box::new(move |memory| {
            if !answer.is_closed() {
                // The asker may have gone while we computed; then nobody wants the answer.
                _ = answer.send(job(memory));
            }
        }))?;
        // Closed without an answer only when the pool goes away or the job panicked.
        answered.await.map_err(|_| PasswordError::Busy)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.arrived.notify_all();
    }
}

impl Queue {
    /// A job that panicked holds no lock, so a poisoned one is still sound.
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) -> Result<(), PasswordError> {
        let mut jobs = self.lock();
        if jobs.waiting.len() >= jobs.idle + self.waiting_max {
            return Err(PasswordError::Busy);
        }
        jobs.waiting.push_back(job);
        drop(jobs);
        self.arrived.notify_one();
        Ok(())
    }

    fn work(&self) {
        let mut memory = Memory::default();
        while let Some(job) = self.next() {
            let run = std::panic::AssertUnwindSafe(|| job(&mut memory));
            if std::panic::catch_unwind(run).is_err() {
                memory = Memory::default();
            }
            memory.shrink();
            self.lock().idle += 1;
        }
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = self.lock();
        loop {
            if jobs.closed {
                return None;
            }
            if let Some(job) = jobs.waiting.pop_front() {
                jobs.idle -= 1;
                return Some(job);
            }
            jobs = self.arrived.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn pool(threads: usize, waiting_max: usize) -> Arc<Pool> {
        Arc::new(Pool::start(NonZeroUsize::new(threads).unwrap(), waiting_max).unwrap())
    }

    /// Occupies one thread until the sender is dropped.
    fn occupy(pool: &Arc<Pool>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<bool>) {
        let (release, wait) = mpsc::channel::<()>();
        let (started, is_started) = mpsc::channel::<()>();
        let pool = pool.clone();
        let task = tokio::spawn(async move {
            let job = move |_: &mut Memory| {
                started.send(()).unwrap();
                wait.recv().is_err()
            };
            pool.run(job).await.is_ok_and(|released| released)
        });
        tokio::task::block_in_place(|| is_started.recv().unwrap());
        (release, task)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_queue_answers_busy_at_once_and_recovers() {
        let pool = pool(1, 1);
        let (release, first) = occupy(&pool);
        let second = pool.run(|_| 2);
        tokio::pin!(second);
        assert!(futures_poll(second.as_mut()).is_none(), "the second waits");
        assert_eq!(pool.run(|_| 3).await, Err(PasswordError::Busy));
        drop(release);
        assert!(first.await.unwrap());
        assert_eq!(second.await, Ok(2));
        assert_eq!(pool.run(|_| 4).await, Ok(4));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_job_whose_asker_went_away_is_never_computed() {
        let pool = pool(1, 8);
        let (release, first) = occupy(&pool);
        let (computed, was_computed) = mpsc::channel();
        {
            let forgotten = pool.run(move |_| computed.send(()));
            tokio::pin!(forgotten);
            assert!(futures_poll(forgotten.as_mut()).is_none());
        }
        drop(release);
        assert!(first.await.unwrap());
        assert_eq!(pool.run(|_| 1).await, Ok(1));
        assert!(was_computed.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_job_that_panics_takes_no_thread_with_it() {
        let pool = pool(1, 1);
        for _ in 0..3 {
            let panicked = pool.run(|_| panic!("as a hostile job might")).await;
            assert_eq!(panicked, Err::<(), _>(PasswordError::Busy));
        }
        // The thread counts itself idle a moment after the answer.
        assert_eq!(pool.run(|_| 1).await, Ok(1));
    }

    #[tokio::test]
    async fn memory_of_a_costly_job_is_not_kept() {
        let pool = pool(1, 8);
        let grow = |blocks: usize| move |memory: &mut Memory| memory.0.resize(blocks, Block::new());
        pool.run(grow(19_456)).await.unwrap();
        assert_eq!(pool.run(|memory| memory.bytes()).await, Ok(19_456 * 1024));
        pool.run(grow(Memory::KEPT_BLOCKS_MAX + 1)).await.unwrap();
        assert_eq!(pool.run(|memory| memory.bytes()).await, Ok(0));
    }

    fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
