//! What one of each costs, and how that is known.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How a cost is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// By a bench, whose command is given.
    Measured,
    /// From a limit that a bench holds the program to.
    Limit,
    /// Nobody measured it; said so that it can be replaced.
    Assumed,
}

/// What one costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// How much, above 0.
    pub value: f64,
    /// Of what, for what.
    pub unit: String,
    /// How it is known.
    pub basis: Basis,
    /// The command that measures it, or where it comes from.
    pub command: String,
    /// The machine.
    pub machine: String,
    /// The day, YYYY-MM-DD.
    pub date: String,
}

/// Costs that cannot be used.
#[derive(Debug, Error)]
pub enum CostError {
    /// They are not in their form.
    #[error("unit costs: expected a JSON object with every cost, its unit, basis, command, machine and date")]
    Form(#[source] serde_json::Error),
    /// One is no number above 0.
    #[error("unit costs: {name}: expected a number above 0, got {value}")]
    Value {
        /// Which one.
        name: &'static str,
        /// What it is.
        value: f64,
    },
}

macro_rules! unit_costs {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What one of each costs.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct UnitCosts {
            $($(#[$doc])* pub $name: Cost,)+
        }

        impl UnitCosts {
            /// All costs with their names.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, &Cost)> {
                vec![$((stringify!($name), &self.$name),)+]
            }

            /// The cost of a name, to be replaced by a bench.
            pub fn get_mut(&mut self, name: &str) -> Option<&mut Cost> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)+
                    _ => None,
                }
            }
        }
    };
}

unit_costs! {
    /// Core time of the center for one live verification with all checks, ms.
    verification_core_ms,
    /// Core time for comparing a stored capture again, ms.
    comparison_core_ms,
    /// Core time from a photo to a reference in the store, ms.
    enrolment_core_ms,
    /// Core time of one vector in building the index, ms.
    index_core_ms,
    /// One commit of the store's writer with its flush of the disk, ms.
    commit_ms,
    /// A person's rows without the photo, bytes.
    record_bytes,
    /// A decision's rows without sample, template and audit entry, bytes.
    verification_bytes,
    /// A capture's sealed template with its rows, bytes.
    template_bytes,
    /// An audit entry with its share of the chain, bytes.
    audit_bytes,
    /// What an envelope adds to its sample on the wire, bytes.
    envelope_bytes,
    /// A vector in the index, bytes.
    index_bytes,
    /// Memory of a serving process under load, bytes.
    process_bytes,
}

impl UnitCosts {
    /// Reads costs.
    ///
    /// # Errors
    /// When one is missing, unknown, or no number above 0.
    pub fn from_json(text: &str) -> Result<Self, CostError> {
        let costs: Self = serde_json::from_str(text).map_err(CostError::Form)?;
        match costs.all().into_iter().find(|(_, cost)| !(cost.value.is_finite() && cost.value > 0.0)) {
            Some((name, cost)) => Err(CostError::Value { name, value: cost.value }),
            None => Ok(costs),
        }
    }
}
