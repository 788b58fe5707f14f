//! How the command ends when it does not succeed.

use anyhow::Error;

/// The trials do not resolve what was asked, or a picture could not be processed.
pub(crate) const EXIT_REFUSED: u8 = 1;
/// Wrong arguments, or a file of trials that is not in order.
pub(crate) const EXIT_MALFORMED: u8 = 2;
/// Models, manifest or policy cannot be used, or a result cannot be written.
pub(crate) const EXIT_UNUSABLE: u8 = 64;

/// What to say, and the exit code.
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) error: Error,
}

/// Puts an exit code to an error.
pub(crate) trait Exit<T> {
    fn exit(self, code: u8) -> Result<T, Failure>;
}

impl<T, E: Into<Error>> Exit<T> for Result<T, E> {
    fn exit(self, code: u8) -> Result<T, Failure> {
        self.map_err(|error| Failure { code, error: error.into() })
    }
}
