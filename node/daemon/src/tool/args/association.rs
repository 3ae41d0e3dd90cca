//! `goodwatt association`: requests, votes, and proofs of identity.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use goodwatt_chain::hash::{AssociationId, Digest32};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::transaction::Category;
use goodwatt_chain::units::Grains;

use super::Sending;

/// `goodwatt association`.
#[derive(Debug, Subcommand)]
pub enum AssociationCommand {
    /// Ask to be admitted; the owner's key receives the donations
    Request(RequestArgs),
    /// Check a proof of identity offline, and say what it proves and what not
    Check(CheckArgs),
    /// All associations
    List,
    /// Vote on one
    Vote {
        /// The association
        id: AssociationId,
        /// yes or no
        voice: YesNo,
        /// Vote on its removal instead of its admission
        #[arg(long)]
        removal: bool,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
    /// Show fresh evidence before the admission expires
    Renew {
        /// The association
        id: AssociationId,
        /// SHA-256 of a document, 64 hexadecimal digits; up to four
        #[arg(long = "evidence", value_name = "HASH", required = true, num_args = 1..=4)]
        evidence: Vec<Digest32>,
        /// Who vouches for the key
        #[command(flatten)]
        identity: IdentityArgs,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
    /// Take a pending request back; the deposit returns
    Withdraw {
        /// The association
        id: AssociationId,
        /// Fee and waiting
        #[command(flatten)]
        sending: Sending,
    },
}

/// `goodwatt association request`.
#[derive(Args, Debug)]
pub struct RequestArgs {
    /// Name of the association
    #[arg(long)]
    pub name: String,
    /// climate, hunger, diseases, children or `human_condition`
    #[arg(long, value_parser = parse_category)]
    pub category: Category,
    /// Web address, https://...
    #[arg(long)]
    pub web: String,
    /// SHA-256 of a document, 64 hexadecimal digits; up to four
    #[arg(long = "evidence", value_name = "HASH", required = true, num_args = 1..=4)]
    pub evidence: Vec<Digest32>,
    /// What is held until the vote ends [default: the least]
    #[arg(long)]
    pub deposit: Option<Grains>,
    /// Who vouches for the key
    #[command(flatten)]
    pub identity: IdentityArgs,
    /// Fee and waiting
    #[command(flatten)]
    pub sending: Sending,
}

/// A proof of identity.
#[derive(Args, Clone, Debug)]
pub struct IdentityArgs {
    /// Key file of the key that is published under the web address
    #[arg(long, value_name = "FILE", required_unless_present = "certificate")]
    pub published_key: Option<PathBuf>,
    /// Certificate of the domain, DER; with --certificate-signature
    #[arg(long, value_name = "FILE", requires = "certificate_signature")]
    pub certificate: Option<PathBuf>,
    /// Signature over the statement by the certificate's key; `--statement` prints what to sign
    #[arg(long, value_name = "FILE")]
    pub certificate_signature: Option<PathBuf>,
    /// How that key signed
    #[arg(long, value_enum, default_value = "ecdsa-p256-sha256")]
    pub certificate_scheme: Scheme,
    /// Print the 32 bytes that the certificate's key has to sign, in hexadecimal, and stop
    #[arg(long)]
    pub statement: bool,
}

/// How a certificate's key signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Scheme {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaPkcs1Sha256,
    /// Ed25519.
    Ed25519,
}

/// `goodwatt association check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The association
    pub id: AssociationId,
    /// The key as you found it under the web address: an address good1...
    #[arg(long, value_name = "ADDRESS")]
    pub published: Option<PublicKey>,
    /// Certificates between the domain's and the trusted ones, PEM
    #[arg(long, value_name = "FILE")]
    pub chain: Option<PathBuf>,
    /// Trusted certificates, PEM
    #[arg(long, value_name = "FILE", default_value = "/etc/ssl/certs/ca-certificates.crt")]
    pub trusted: PathBuf,
}

/// yes or no.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum YesNo {
    /// For.
    Yes,
    /// Against.
    No,
}

fn parse_category(text: &str) -> Result<Category, String> {
    let found = Category::ALL.into_iter().find(|category| category.name() == text);
    found.ok_or_else(|| {
        let names = Category::ALL.map(Category::name).join(", ");
        format!("not a category: one of {names}")
    })
}
