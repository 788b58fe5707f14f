//! A state folder as `init` and `install` make it, and the authority that issues for it.

use std::{fs, path::Path};

use capture_agent::{
    config::{self, Config},
    identity::{self, Identity},
};
use proto::envelope::OpeningPublicKey;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use tempfile::TempDir;

/// A certificate authority of its own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key (PEM) of a server on this machine.
    pub(crate) fn server(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// The certificate (PEM) of a device's key; with an address, of a relay's that counters reach under it.
    pub(crate) fn device(&self, key: &impl rcgen::PublicKeyData, device: &str, reached_under: Option<std::net::IpAddr>) -> String {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(format!("urn:countersign:device:{device}").try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if let Some(address) = reached_under {
            params.subject_alt_names.push(SanType::IpAddress(address));
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.signed_by(key, &self.issuer).unwrap().pem()
    }

    /// A certificate for a request.
    pub(crate) fn issue(&self, request_pem: &str) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(request_pem).unwrap();
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        request.signed_by(&self.issuer).unwrap().pem()
    }
}

/// The key that policies are signed with.
pub(crate) fn policy_key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[9; 32])
}

fn ppm(colour: [u8; 3]) -> Vec<u8> {
    let mut ppm = b"P6\n320 240\n255\n".to_vec();
    ppm.extend(std::iter::repeat_n(colour, 320 * 240).flatten());
    ppm
}

/// A device that the authority has issued for, and pictures for its playback camera.
pub(crate) struct Folder {
    pub(crate) dir: TempDir,
    pub(crate) pictures: TempDir,
    pub(crate) bundle: TempDir,
    longer: std::cell::Cell<bool>,
    staged: std::cell::Cell<bool>,
    instead: std::cell::RefCell<Vec<(&'static str, &'static str)>>,
}

impl Folder {
    /// Makes the folder, and its bundle; installs nothing yet.
    pub(crate) fn made(authority: &Authority, opening_key: &OpeningPublicKey) -> Self {
        let folder = Self {
            dir: tempfile::tempdir().unwrap(),
            pictures: tempfile::tempdir().unwrap(),
            bundle: tempfile::tempdir().unwrap(),
            longer: false.into(),
            staged: false.into(),
            instead: std::cell::RefCell::default(),
        };
        identity::init(folder.path()).unwrap();
        let request = fs::read_to_string(folder.path().join(identity::REQUEST_FILE)).unwrap();
        let hex: String = opening_key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let registration = format!(
            "device = \"counter-1\"\ninstitution = \"P001\"\ncounter = \"till 1\"\nopening_key = \"{hex}\"\npolicy_key = \"{}\"\n",
            policy_key().verifying_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        );
        fs::write(folder.bundle.path().join("device.toml"), registration).unwrap();
        fs::write(folder.bundle.path().join("device.crt"), authority.issue(&request)).unwrap();
        fs::write(folder.bundle.path().join("ca.crt"), &authority.pem).unwrap();
        folder
    }

    /// A device ready to work.
    pub(crate) fn installed(authority: &Authority, opening_key: &OpeningPublicKey) -> Self {
        let folder = Self::made(authority, opening_key);
        identity::install(folder.path(), folder.bundle.path()).unwrap();
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::load(self.path()).unwrap()
    }

    /// Writes the configuration: playback, short bounds, and what the test adds.
    pub(crate) fn configure(&self, center: &str, more: &str) -> Config {
        let text = format!(
            "[center]\naddress = \"{center}\"\nconnect_timeout_ms = 500\ncall_timeout_ms = 1000\nretry_for_ms = 3000\nretry_pause_ms = 10\n\
             [camera]\nkind = \"playback\"\nfolder = '{}'\nframe_interval_ms = 5\nreopen_max = 1\nreopen_pause_ms = 10\n\
             [acquisition]\ndeadline_ms = 1000\nframe_gap_ms = 10\nrelax_after_ms = 300\nstall_after_ms = 600\nstale_after_ms = 5000\n{more}",
            self.pictures.path().display()
        );
        let text = if self.longer.get() {
            text.replace("deadline_ms = 1000", "deadline_ms = 6000")
                .replace("stall_after_ms = 600", "stall_after_ms = 2000")
                .replace("frame_interval_ms = 5\n", "frame_interval_ms = 33\n")
        } else {
            text
        };
        let text = if self.staged.get() {
            let patient = [("deadline_ms = 6000", "deadline_ms = 60000"), ("relax_after_ms = 300", "relax_after_ms = 60000")];
            let patient = patient.into_iter().chain([("call_timeout_ms = 1000", "call_timeout_ms = 12000")]);
            let patient =
                patient.chain([("stall_after_ms = 2000", "stall_after_ms = 6000"), ("stale_after_ms = 5000", "stale_after_ms = 500")]);
            patient.fold(text, |text, (short, long)| text.replace(short, long))
        } else {
            text
        };
        let text = self.instead.borrow().iter().fold(text, |text, (line, other)| text.replace(line, other));
        fs::write(self.path().join(config::FILE), text).unwrap();
        config::load(self.path()).unwrap()
    }

    /// Puts one picture of this colour before the camera, in place of what was there.
    pub(crate) fn show(&self, colour: [u8; 3]) {
        fs::write(self.pictures.path().join("a.ppm"), ppm(colour)).unwrap();
    }

    /// Puts a picture before the camera whose upper half is of one colour and whose lower half of another; a face that stands on
    /// its head, where `below` is one.
    pub(crate) fn show_turned(&self, below: [u8; 3], above: [u8; 3]) {
        let mut ppm = b"P6\n320 240\n255\n".to_vec();
        ppm.extend(std::iter::repeat_n(above, 320 * 120).flatten());
        ppm.extend(std::iter::repeat_n(below, 320 * 120).flatten());
        fs::write(self.pictures.path().join("a.ppm"), ppm).unwrap();
    }

    /// Writes something else in the place of a line of the configuration.
    pub(crate) fn instead(&self, line: &'static str, other: &'static str) {
        self.instead.borrow_mut().push((line, other));
    }

    /// Lets acquisition go on for as long as it ships with.
    pub(crate) fn longer(&self) {
        self.longer.set(true);
    }

    /// Lets it go on for as long as somebody looks at every instruction.
    pub(crate) fn staged(&self) {
        self.longer();
        self.staged.set(true);
    }

    /// Plays pictures of these colours, each for so long; the last goes on, unless `end` says otherwise.
    pub(crate) fn plays(&self, colours: &[[u8; 3]], each_ms: u32, end: &str) {
        let mut timings = format!("at_end = \"{end}\"\n");
        for (number, colour) in colours.iter().enumerate() {
            fs::write(self.pictures.path().join(format!("p{number}.ppm")), ppm(*colour)).unwrap();
            timings += &format!("[[picture]]\nfile = \"p{number}.ppm\"\nduration_ms = {each_ms}\n");
        }
        fs::write(self.pictures.path().join("playback.toml"), timings).unwrap();
    }

    /// The first picture played is none.
    pub(crate) fn garbles(&self) {
        fs::write(self.pictures.path().join("p0.ppm"), b"P6 and no more").unwrap();
    }

    /// Opening the camera ends so.
    pub(crate) fn opens(&self, how: &str) {
        fs::write(self.pictures.path().join("playback.toml"), format!("opens = \"{how}\"\n")).unwrap();
    }

    /// The camera is in order again.
    pub(crate) fn cure(&self) {
        let _ = fs::remove_file(self.pictures.path().join("playback.toml"));
    }

    /// What comes after the picture.
    pub(crate) fn at_end(&self, end: &str) {
        let text = format!("at_end = \"{end}\"\n[[picture]]\nfile = \"a.ppm\"\nduration_ms = 1\n");
        fs::write(self.pictures.path().join("playback.toml"), text).unwrap();
    }
}
