//! Generates the `countersign.v1` types and services from `proto/`, without `protoc`.

use std::path::PathBuf;

const FILES: [&str; 9] = [
    "countersign/v1/envelope.proto",
    "countersign/v1/capture.proto",
    "countersign/v1/verification.proto",
    "countersign/v1/deferred.proto",
    "countersign/v1/lease.proto",
    "countersign/v1/enrolment.proto",
    "countersign/v1/device.proto",
    "countersign/v1/policy.proto",
    "countersign/v1/receipt.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("countersign.v1.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        // Captures hold faces: their `Debug` is written by hand, redacted.
        .skip_debug([
            "countersign.v1.Template",
            "countersign.v1.Sample",
            "countersign.v1.Identifier",
            "countersign.v1.EnrolmentSubmission",
            "countersign.v1.Proxy",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
