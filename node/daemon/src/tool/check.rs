//! `goodwatt association check`: what a proof of identity proves, offline, and what it does not.

use std::fmt::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use goodwatt_chain::codec;
use goodwatt_chain::hash::Digest32;
use goodwatt_chain::signature::{PublicKey, verify};
use goodwatt_chain::state::Dossier;
use goodwatt_chain::transaction::{
    CertificateProof, IdentityProof, SignatureScheme, identity_statement,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use serde::Serialize;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring};

use super::args::CheckArgs;
use super::context::Context;
use super::error::ToolError;
use super::wallet::Chain;
use crate::hex;
use crate::protocol::{AssociationInfo, Call};

/// What was found: each line is one claim, proven or not.
#[derive(Serialize)]
struct Findings {
    association: String,
    name: String,
    web: String,
    proven: Vec<String>,
    not_proven: Vec<String>,
    forged: bool,
}

/// Runs the command; a forged proof ends it with exit code 1.
pub(super) fn run(context: &Context, args: &CheckArgs) -> Result<(), ToolError> {
    let mut client = context.connect()?;
    let chain = Chain::ask(&mut client)?;
    let info: AssociationInfo = client.call(Call::Association { id: args.id.to_string() })?;
    let dossier: Dossier = hex::decode(&info.dossier)
        .and_then(|bytes| codec::decode(&bytes).ok())
        .ok_or_else(|| ToolError::failed("the daemon's answer is not understood"))?;
    let key: PublicKey = info.key.parse().map_err(ToolError::failed)?;
    let statement = identity_statement(&chain.id, &key, &dossier.claims());
    let mut findings = Findings {
        association: info.id,
        name: info.name,
        web: info.web,
        proven: Vec::new(),
        not_proven: Vec::new(),
        forged: false,
    };
    match &dossier.identity {
        IdentityProof::Published { key, signature } => {
            let good = verify(key, &statement, signature);
            published(&mut findings, args, key, good);
        }
        IdentityProof::Certificate(proof) => certificate(&mut findings, args, proof, &statement)?,
    }
    findings.not_proven.push(
        "that the association does what it says: its documents, and people \
        who know it, tell"
            .to_owned(),
    );
    print(context, &findings)?;
    if findings.forged { Err(ToolError::failed("the proof of identity is forged")) } else { Ok(()) }
}

fn print(context: &Context, findings: &Findings) -> Result<(), ToolError> {
    Ok(context.output.print(findings, |page| {
        writeln!(page, "{}  {}", findings.name, findings.web)?;
        findings.proven.iter().try_for_each(|claim| writeln!(page, "  proven      {claim}"))?;
        findings.not_proven.iter().try_for_each(|claim| writeln!(page, "  not proven  {claim}"))
    })?)
}

fn published(findings: &mut Findings, args: &CheckArgs, key: &PublicKey, good: bool) {
    findings.forged = !good;
    if good {
        findings.proven.push(format!("the key {key} signed this very request"));
    } else {
        findings.not_proven.push(format!("a signature by the key {key}: it does not verify"));
    }
    let (web, found) = (&findings.web, args.published);
    match found {
        Some(found) if found == *key => {
            findings.proven.push(format!("this is the key you found under {web}"));
        }
        Some(found) => {
            findings.not_proven.push(format!("you found {found} under {web}, another key"));
            findings.forged = true;
        }
        None => findings.not_proven.push(format!(
            "that this key is published under {web}: look there, then give it by --published"
        )),
    }
}

fn certificate(
    findings: &mut Findings,
    args: &CheckArgs,
    proof: &CertificateProof,
    statement: &Digest32,
) -> Result<(), ToolError> {
    let der = CertificateDer::from(proof.certificate.as_slice());
    let entity = match EndEntityCert::try_from(&der) {
        Ok(entity) => entity,
        Err(error) => {
            findings.forged = true;
            findings.not_proven.push(format!("anything: the certificate is malformed ({error})"));
            return Ok(());
        }
    };
    let signed =
        entity.verify_signature(algorithm(proof.scheme), statement.as_bytes(), &proof.signature);
    match signed {
        Ok(()) => findings.proven.push("the certificate's key signed this very request".to_owned()),
        Err(error) => {
            findings.forged = true;
            findings.not_proven.push(format!("a signature by the certificate's key: {error}"));
        }
    }
    subject(findings, &entity);
    trust(findings, args, &entity)
}

fn algorithm(scheme: SignatureScheme) -> &'static dyn SignatureVerificationAlgorithm {
    match scheme {
        SignatureScheme::EcdsaP256Sha256 => ring::ECDSA_P256_SHA256,
        SignatureScheme::RsaPkcs1Sha256 => ring::RSA_PKCS1_2048_8192_SHA256,
        SignatureScheme::Ed25519 => ring::ED25519,
    }
}

fn subject(findings: &mut Findings, entity: &EndEntityCert<'_>) {
    let host = findings.web.strip_prefix("https://").unwrap_or(&findings.web);
    let host = host.split('/').next().unwrap_or(host).to_owned();
    let named = ServerName::try_from(host.as_str())
        .is_ok_and(|name| entity.verify_is_valid_for_subject_name(&name).is_ok());
    if named {
        findings.proven.push(format!("the certificate is made out to {host}"));
    } else {
        findings.not_proven.push(format!("that the certificate is made out to {host}: it is not"));
        findings.forged = true;
    }
}

fn trust(
    findings: &mut Findings,
    args: &CheckArgs,
    entity: &EndEntityCert<'_>,
) -> Result<(), ToolError> {
    let trusted = read_pem(&args.trusted)?;
    let anchors: Vec<_> =
        trusted.iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
    let between = args.chain.as_deref().map(read_pem).transpose()?.unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let verified = entity.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &between,
        UnixTime::since_unix_epoch(now),
        KeyUsage::server_auth(),
        None,
        None,
    );
    match verified {
        Ok(_) => findings.proven.push(format!(
            "one of the {} authorities in {} vouches for the certificate today",
            anchors.len(),
            args.trusted.display()
        )),
        Err(error) => findings.not_proven.push(format!(
            "that an authority vouches for the certificate today ({error}): give the \
             certificates in between by --chain"
        )),
    }
    findings.not_proven.push("that the certificate was not revoked: that needs the network".into());
    Ok(())
}

fn read_pem(path: &Path) -> Result<Vec<CertificateDer<'static>>, ToolError> {
    let failed = |error: String| ToolError::failed(format!("{}: {error}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| failed(e.to_string()))?;
    certificates.collect::<Result<_, _>>().map_err(|error| failed(error.to_string()))
}
