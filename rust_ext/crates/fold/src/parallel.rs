use std::ops::Range;
use std::sync::OnceLock;

use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Threads that share the work on many streams.
#[derive(Debug)]
pub struct Pool {
    process: u32,
    pool: ThreadPool,
}

static POOL: OnceLock<Option<Pool>> = OnceLock::new();

/// Gives the threads of this process, made at first use; none where one thread is all there is, or after a fork, whose
/// child has none of its parent's threads.
pub fn pool() -> Option<&'static Pool> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    if threads < 2 {
        return None;
    }
    let made = POOL.get_or_init(|| {
        let builder = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("tasker-fold-{number}"));
        builder.build().ok().map(|pool| Pool {
            process: std::process::id(),
            pool,
        })
    });
    made.as_ref()
        .filter(|pool| pool.process == std::process::id())
}

impl Pool {
    /// Counts the threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Gives the results of work on parts, in their order.
    pub fn map<T: Send>(
        &self,
        parts: &[Range<usize>],
        work: impl Fn(Range<usize>) -> T + Sync,
    ) -> Vec<T> {
        self.pool
            .install(|| parts.par_iter().map(|part| work(part.clone())).collect())
    }

    /// Gives the first number below a bound for which a check fails.
    pub fn first_failing(
        &self,
        bound: usize,
        check: impl Fn(usize) -> bool + Sync,
    ) -> Option<usize> {
        self.pool.install(|| {
            (0..bound)
                .into_par_iter()
                .filter(|number| !check(*number))
                .min()
        })
    }
}
