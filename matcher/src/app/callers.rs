//! Who called lately, by certificate: whose turn a call takes is known before the registry is asked.
//!
//! Nobody is let in by this: the registry is asked on every call (`admission`). A certificate that was not seen yet
//! takes turns as an institution of its own.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{overload::Caller, store::Device};

/// Certificates that are remembered. When there are more, all are forgotten: each is learned again by one call.
const REMEMBERED_MAX: usize = 200_000;

/// Devices by the SHA-256 of their certificates.
#[derive(Default)]
pub struct Callers(RwLock<HashMap<[u8; 32], Caller>>);

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callers")
    }
}

impl Callers {
    /// Who shows this certificate.
    #[must_use]
    pub fn of(&self, certificate_sha256: &[u8; 32]) -> Caller {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(certificate_sha256).cloned();
        known.unwrap_or_else(|| {
            let name: Arc<str> = crate::keys::hex(certificate_sha256).into();
            Caller { institution: Arc::clone(&name), device: name }
        })
    }

    /// Remembers a device that the registry knows.
    pub fn remember(&self, device: &Device) {
        let is_known = |callers: &HashMap<[u8; 32], Caller>| {
            let caller = callers.get(&device.certificate_sha256);
            caller.is_some_and(|caller| *caller.institution == *device.institution && *caller.device == *device.id)
        };
        if is_known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let caller = Caller { institution: device.institution.as_str().into(), device: device.id.as_str().into() };
        let mut callers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= REMEMBERED_MAX {
            callers.clear();
        }
        callers.insert(device.certificate_sha256, caller);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DeviceRole;

    fn device(institution: &str) -> Device {
        Device {
            id: "till-1".into(),
            institution: institution.into(),
            counter: "1".into(),
            role: DeviceRole::Counter,
            public_key: [1; 32],
            certificate_sha256: [2; 32],
            certificate_expires_at: 0,
            issued_at: 0,
            revoked_at: None,
        }
    }

    #[test]
    fn strangers_take_turns_alone_and_devices_with_their_institution() {
        let callers = Callers::default();
        let (stranger, another) = (callers.of(&[2; 32]), callers.of(&[3; 32]));
        assert_ne!(stranger.institution, another.institution);
        callers.remember(&device("P1"));
        assert_eq!(callers.of(&[2; 32]), Caller { institution: "P1".into(), device: "till-1".into() });
        callers.remember(&device("P2"));
        assert_eq!(&*callers.of(&[2; 32]).institution, "P2", "a device may move");
    }
}
