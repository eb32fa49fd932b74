//! The compiled module `tasker.fold._native`: columns in, states, rows and tallies out. Every rule is in `tasker-fold`.

mod chain;
mod convert;
mod door;
mod errors;
mod input;
mod link;
mod plan;
mod rows;
mod states;

use pyo3::prelude::*;

/// Moves with every change of what the module takes or gives; Python refuses a module of another version.
const FOLD_VERSION: u32 = 2;

/// Compiled fold of task streams and verification of hash chains.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::chain::Chain;
    #[pymodule_export]
    use super::door::{rows, states, tally};
    #[pymodule_export]
    use super::link::link;
    #[pymodule_export]
    use super::plan::Plan;
    use super::{FOLD_VERSION, errors::FoldError};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("FOLD_VERSION", FOLD_VERSION)?;
        module.add("FoldError", module.py().get_type::<FoldError>())
    }
}
