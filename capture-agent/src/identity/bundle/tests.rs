//! Bundles that are taken in, and those that are not.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::identity::{REQUEST_FILE, init};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

/// A state folder with a key, and a bundle issued for its request.
fn issued(authority: &Authority, not_after: i32) -> (TempDir, TempDir) {
    let (dir, bundle) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    init(dir.path()).unwrap();
    let mut request = CertificateSigningRequestParams::from_pem(&fs::read_to_string(dir.path().join(REQUEST_FILE)).unwrap()).unwrap();
    request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    request.params.not_after = rcgen::date_time_ymd(not_after, 1, 1);
    fs::write(bundle.path().join(CERTIFICATE_FILE), request.signed_by(&authority.issuer).unwrap().pem()).unwrap();
    fs::write(bundle.path().join(CA_FILE), &authority.pem).unwrap();
    fs::write(bundle.path().join(REGISTRATION_FILE), registration("counter-1")).unwrap();
    (dir, bundle)
}

fn registration(device: &str) -> String {
    let key = proto::envelope::OpeningKey::generate();
    let hex: String = key.public().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("device = \"{device}\"\ninstitution = \"P001\"\ncounter = \"till 1\"\nopening_key = \"{hex}\"\n")
}

#[track_caller]
fn check_refused(dir: &TempDir, bundle: &TempDir, expected: &str) {
    let error = install(dir.path(), bundle.path()).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_bundle_for_this_key_is_taken_and_read_back() {
    let (dir, bundle) = issued(&authority(), 4000);
    assert!(matches!(Identity::load(dir.path()), Err(IdentityError::NotIssued(_))));
    let registration = install(dir.path(), bundle.path()).unwrap();
    assert_eq!((registration.device.as_str(), registration.institution.as_str()), ("counter-1", "P001"));
    let identity = Identity::load(dir.path()).unwrap();
    assert_eq!(identity.registration, registration);
    install(dir.path(), bundle.path()).unwrap();
}

#[test]
fn a_bundle_for_another_key_or_device_is_refused() {
    let authority = authority();
    let (dir, bundle) = issued(&authority, 4000);
    let (_, foreign) = issued(&authority, 4000);
    check_refused(&dir, &foreign, "expected a certificate for this device's key");
    install(dir.path(), bundle.path()).unwrap();
    fs::write(bundle.path().join(REGISTRATION_FILE), registration("counter-2")).unwrap();
    check_refused(&dir, &bundle, "the state folder is device counter-1's");
}

#[test]
fn a_certificate_that_is_expired_or_by_another_authority_is_refused() {
    let (dir, bundle) = issued(&authority(), 2020);
    check_refused(&dir, &bundle, "expected a valid certificate by the authority");
    let (dir, bundle) = issued(&authority(), 4000);
    fs::write(bundle.path().join(CA_FILE), authority().pem).unwrap();
    check_refused(&dir, &bundle, "expected a valid certificate by the authority");
}

#[test]
fn a_certificate_by_either_of_two_authorities_is_taken() {
    for order in [0, 1] {
        let (one, other) = (authority(), authority());
        let (dir, bundle) = issued(&one, 4000);
        let both = if order == 0 { [&one.pem, &other.pem] } else { [&other.pem, &one.pem] };
        fs::write(bundle.path().join(CA_FILE), format!("# made 2026-01-01T00:00:00Z\n{}{}", both[0], both[1])).unwrap();
        install(dir.path(), bundle.path()).unwrap();
        Identity::load(dir.path()).unwrap();
    }
}

#[test]
fn malformed_files_are_named() {
    let (dir, bundle) = issued(&authority(), 4000);
    let file = bundle.path().join(REGISTRATION_FILE);
    let good = registration("counter-1");
    fs::write(&file, good.replace("counter-1", "till 1")).unwrap();
    check_refused(&dir, &bundle, "device.toml: expected device: 1 to 64 of");
    fs::write(&file, good.replace("opening_key = \"", "opening_key = \"zz")).unwrap();
    check_refused(&dir, &bundle, "device.toml: expected opening_key: 64 hexadecimal digits");
    fs::write(&file, format!("{good}extra = 1\n")).unwrap();
    check_refused(&dir, &bundle, "device.toml: expected the center's registration: unknown field");
    fs::write(&file, good).unwrap();
    fs::write(bundle.path().join(CERTIFICATE_FILE), "no").unwrap();
    check_refused(&dir, &bundle, "device.crt: expected a certificate (PEM)");
    fs::remove_file(bundle.path().join(CA_FILE)).unwrap();
    check_refused(&dir, &bundle, "ca.crt: could not be read");
}

#[test]
fn making_the_folder_again_keeps_key_and_edited_configuration() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path()).unwrap();
    let key = fs::read(dir.path().join(super::super::KEY_FILE)).unwrap();
    fs::write(dir.path().join("agent.toml"), "# mine").unwrap();
    fs::remove_file(dir.path().join(REQUEST_FILE)).unwrap();
    init(dir.path()).unwrap();
    assert_eq!(fs::read(dir.path().join(super::super::KEY_FILE)).unwrap(), key);
    assert_eq!(fs::read(dir.path().join("agent.toml")).unwrap(), b"# mine");
    assert!(dir.path().join(REQUEST_FILE).exists());
}
