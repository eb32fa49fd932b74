use std::fmt;

/// The last microsecond of the year 9999: no instant lies behind it.
pub(crate) const END_OF_TIME: i64 = 253_402_300_799_999_999;

/// Why a plan was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// A step names a parent that is no step.
    NoSuchParent {
        /// The step.
        step: usize,
        /// What it names.
        parent: i64,
    },
    /// A step depends on itself.
    OwnParent {
        /// The step.
        step: usize,
    },
    /// More steps than can be numbered.
    TooMany,
}

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchParent { step, parent } => {
                write!(
                    formatter,
                    "expected the ordinal of a step as parent of step {step}, found {parent}"
                )
            }
            Self::OwnParent { step } => write!(
                formatter,
                "expected another step as parent of step {step}, found itself"
            ),
            Self::TooMany => write!(formatter, "expected fewer than 2147483647 steps"),
        }
    }
}

impl std::error::Error for PlanError {}

/// A pinned definition as the fold needs it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether several steps may run at once.
    pub concurrent: bool,
    timeout: Option<i64>,
    parents: Vec<u32>,
    /// Children of step n are `children[starts[n]..starts[n + 1]]`, in declared order.
    starts: Vec<u32>,
    children: Vec<u32>,
    roots: u32,
}

impl Plan {
    /// Indexes the shape of a definition.
    ///
    /// # Errors
    /// A parent is no other step.
    pub fn new(
        parents: &[Vec<i64>],
        timeout: Option<i64>,
        concurrent: bool,
    ) -> Result<Self, PlanError> {
        let size = u32::try_from(parents.len())
            .ok()
            .filter(|size| *size < i32::MAX as u32)
            .ok_or(PlanError::TooMany)?;
        let mut behind: Vec<Vec<u32>> = vec![Vec::new(); parents.len()];
        for (step, wanted) in (0..size).zip(parents) {
            for &parent in wanted {
                if parent == i64::from(step) {
                    return Err(PlanError::OwnParent {
                        step: step as usize,
                    });
                }
                let place = usize::try_from(parent)
                    .ok()
                    .and_then(|parent| behind.get_mut(parent));
                place
                    .ok_or(PlanError::NoSuchParent {
                        step: step as usize,
                        parent,
                    })?
                    .push(step);
            }
        }
        let mut starts = vec![0];
        let mut children = Vec::new();
        for mut found in behind {
            children.append(&mut found);
            starts.push(u32::try_from(children.len()).map_err(|_| PlanError::TooMany)?);
        }
        let parents: Vec<u32> = parents
            .iter()
            .map(|wanted| u32::try_from(wanted.len()).map_err(|_| PlanError::TooMany))
            .collect::<Result<_, _>>()?;
        let roots =
            u32::try_from(parents.iter().filter(|wanted| **wanted == 0).count()).unwrap_or(size);
        Ok(Self {
            concurrent,
            timeout,
            parents,
            starts,
            children,
            roots,
        })
    }

    /// Counts the steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// Says whether there are no steps.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// Counts the steps without parents.
    #[must_use]
    pub fn roots(&self) -> u32 {
        self.roots
    }

    /// Gives how many parents each step has.
    #[must_use]
    pub fn parents(&self) -> &[u32] {
        &self.parents
    }

    /// Gives the steps that depend on a step.
    #[must_use]
    pub fn children(&self, step: usize) -> &[u32] {
        &self.children[self.starts[step] as usize..self.starts[step + 1] as usize]
    }

    /// Gives when a task that starts, or is reopened, at an instant expires.
    #[must_use]
    pub fn expiry(&self, at: i64) -> Option<i64> {
        self.timeout
            .map(|timeout| at.saturating_add(timeout).min(END_OF_TIME))
    }
}
