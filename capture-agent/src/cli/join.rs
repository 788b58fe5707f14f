//! Carrying out the commands about the device itself: join, renew, status, doctor.

use std::path::Path;

use anyhow::Context;
use proto::invitation::InvitationCode;

use super::run::runtime;
use crate::{
    clock::Clock,
    config,
    doctor::{Grade, command},
    identity::{self, Identity, REQUEST_FILE, Standing},
    join,
    line::{client::CenterClient, spool::Spool},
    output::{self, exit},
};

/// Joins with a code.
pub(super) fn join(dir: &Path, center: &str, code: &str) -> anyhow::Result<u8> {
    let code = match InvitationCode::parse(code) {
        Ok(code) => code,
        Err(error) => {
            output::note(&format!("error: {error}"));
            return Ok(exit::USAGE);
        }
    };
    let registration = runtime()?.block_on(join::join(dir, center, &code))?;
    let config = config::load(dir)?;
    // What an earlier key of the center was is of no use beside the new bundle.
    Spool::open(dir, config.outbox)?.forget_center()?;
    let (device, institution, counter) = (registration.device, registration.institution, registration.counter);
    output::line(&format!(
        "device {device} of institution {institution}, counter {counter}, is ready\nnext: capture-agent doctor, then capture-agent serve"
    ))?;
    Ok(exit::DONE)
}

/// Renews the certificate now. An agent that runs takes it up with its next start; it also renews by itself.
pub(super) fn renew(dir: &Path) -> anyhow::Result<u8> {
    let config = config::load(dir)?;
    let identity = Identity::load(dir)?;
    let renewed = runtime()?.block_on(async {
        if identity.validity.at(Clock::start().date_ms(), 1.0) == Standing::Ended {
            anyhow::ensure!(
                !config.device.join_address.is_empty(),
                "the certificate has ended: expected device.join_address, where it can be renewed; or join with a new code"
            );
            return Ok(join::renew_late(&identity, &config.device.join_address).await?);
        }
        let csr_pem = std::fs::read_to_string(dir.join(REQUEST_FILE)).with_context(|| format!("{REQUEST_FILE} cannot be read"))?;
        let client = CenterClient::new(&config.center, &identity.credentials()?, Clock::start())?;
        let answer = client.renew_certificate(proto::v1::RenewCertificateRequest { csr_pem }).await?;
        anyhow::Ok(identity::papers::take(dir, &answer.certificate_pem, &answer.authority_pem)?)
    })?;
    let until = jiff::Timestamp::from_millisecond(renewed.validity.until_ms)?;
    output::line(&format!("the certificate holds until {}", until.strftime("%Y-%m-%d")))?;
    Ok(exit::DONE)
}

/// Says how this counter stands.
pub(super) fn status(dir: &Path, json: bool) -> anyhow::Result<u8> {
    let (text, well) = command::status(dir, json);
    output::line(&text)?;
    Ok(if well { exit::DONE } else { exit::FAILED })
}

/// Examines this counter.
pub(super) fn doctor(dir: &Path, json: bool) -> anyhow::Result<u8> {
    let runtime = runtime()?;
    let (text, grade) = runtime.block_on(command::doctor(dir, json));
    output::line(&text)?;
    // A camera's driver may still hang; nobody waits for it.
    runtime.shutdown_background();
    Ok(match grade {
        Grade::Ok => exit::DONE,
        Grade::Warn => exit::REVIEW,
        Grade::Fail => exit::FAILED,
    })
}
