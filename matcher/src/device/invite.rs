//! `matcher device invite`: a code that one device may join with.

use clap::Args;
use proto::invitation::{self, InvitationCode};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::Serialize;

use super::{DeviceError, Role, name, read, time};
use crate::{
    data_dir::DataDir,
    store::{Store, TimeMs, registry::Invitation},
    surroundings::os_random,
};

/// Arguments of `matcher device invite`.
#[derive(Debug, Clone, Args)]
pub struct InviteArgs {
    /// Institution the device will stand in, 1 to 64 of A-Z a-z 0-9 . _ -
    #[arg(long, value_name = "ID", value_parser = name)]
    pub institution: String,
    /// Counter the device will stand at, 1 to 64 of A-Z a-z 0-9 . _ -
    #[arg(long, value_name = "ID", value_parser = name)]
    pub counter: String,
    /// What the device may do
    #[arg(long, value_enum, default_value_t = Role::Counter)]
    pub role: Role,
    /// Name of the device; without it, institution and counter joined by a hyphen
    #[arg(long, value_name = "ID", value_parser = name)]
    pub id: Option<String>,
    /// Let the device take the place of one of the same name
    #[arg(long)]
    pub replace: bool,
    /// How long the code may be used, in hours
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
    pub valid_hours: u32,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// A code that was made; it is nowhere else.
#[derive(Debug, Serialize)]
pub struct Invited {
    /// The device's name.
    pub device: String,
    /// The code.
    pub code: String,
    /// Until when it may be used, RFC 3339 in UTC.
    pub expires_at: String,
}

/// Makes a code. Its digest alone is kept.
///
/// # Errors
/// When another device has the name, or something cannot be read or written.
pub async fn invite(dir: &DataDir, store: &dyn Store, args: &InviteArgs, now: TimeMs) -> Result<Invited, DeviceError> {
    let device = match &args.id {
        Some(id) => id.clone(),
        None => name(&format!("{}-{}", args.institution, args.counter)).map_err(|_| DeviceError::Name)?,
    };
    if !args.replace && store.device(&device).await.map_err(DeviceError::Store)?.is_some() {
        return Err(DeviceError::Exists(device));
    }
    let ca = read(dir.authority_certificate())?;
    let authority = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(|_| DeviceError::Authority)?;
    let code = InvitationCode::new(os_random(), &authority);
    let invitation = Invitation {
        locator: code.locator().to_owned(),
        digest: invitation::digest(code.locator(), code.secret()),
        device: device.clone(),
        institution: args.institution.clone(),
        counter: args.counter.clone(),
        role: args.role.into(),
        replaces: args.replace,
        made_at: now,
        expires_at: now + TimeMs::from(args.valid_hours) * 3_600_000,
        wrong: 0,
        used: None,
    };
    let expires_at = time(invitation.expires_at);
    store.invite(invitation).await.map_err(DeviceError::Store)?;
    Ok(Invited { device, code: code.text(), expires_at })
}

impl Invited {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { device, code, expires_at } = self;
        format!(
            "{code}\nDevice {device} may join with this code once, until {expires_at}. At the counter:\n  \
             capture-agent join --center https://HOST:PORT --code {code}\nwhere PORT is that of joining.listen. The code is not kept here: write it down now."
        )
    }
}
