//! Commands that send a transaction: payments, slots, associations.

use std::fmt::Write;
use std::path::Path;

use goodwatt_chain::hash::{AssociationId, Digest32};
use goodwatt_chain::signature::{PublicKey, Signature};
use goodwatt_chain::transaction::{
    Action, BallotKind, BuySlot, CertificateProof, Delegate, IdentityProof, RenewAssociation,
    RequestAssociation, SignatureScheme, VoteAssociation, WithdrawRequest, association_id,
    identity_statement, renewal_statement,
};
use goodwatt_chain::units::{Epoch, Grains};

use super::args::{IdentityArgs, RequestArgs, Scheme, Sending, YesNo};
use super::context::Context;
use super::error::ToolError;
use super::output::line;
use super::wallet::{Wallet, transfer};
use crate::hex;
use crate::protocol::{Call, FreshSigner, Slots, Submitted};

/// `goodwatt send`.
pub(super) fn send(
    context: &Context,
    to: PublicKey,
    amount: Grains,
    memo: &str,
    sending: &Sending,
) -> Result<(), ToolError> {
    let action = transfer(to, amount, memo)?;
    submit(context, &mut Wallet::open(context)?, action, sending)
}

fn submit(
    context: &Context,
    wallet: &mut Wallet,
    action: Action,
    sending: &Sending,
) -> Result<(), ToolError> {
    let submitted = wallet.send(action, sending)?;
    print_submitted(context, &submitted)
}

fn print_submitted(context: &Context, submitted: &Submitted) -> Result<(), ToolError> {
    Ok(context.output.print(submitted, |page| submitted_text(page, submitted))?)
}

pub(super) fn submitted_text(page: &mut String, submitted: &Submitted) -> std::fmt::Result {
    match submitted.height {
        Some(height) => writeln!(page, "{}  sealed at height {height}", submitted.id),
        None => writeln!(page, "{}  admitted, waits to be sealed", submitted.id),
    }
}

/// `goodwatt slot buy`.
pub(super) fn buy_slot(
    context: &Context,
    amount: Grains,
    preference: Option<AssociationId>,
    sending: &Sending,
) -> Result<(), ToolError> {
    let mut wallet = Wallet::open(context)?;
    let buyer = wallet.address().to_string();
    let fresh: FreshSigner = wallet.client.call(Call::NewSigner { buyer })?;
    let action = buy_slot_action(&fresh, amount, preference)
        .ok_or_else(|| ToolError::failed("the daemon gave a signer key that is not understood"))?;
    submit(context, &mut wallet, action, sending)
}

/// `goodwatt slot back`.
pub(super) fn back_slot(
    context: &Context,
    owner: PublicKey,
    amount: Grains,
    sending: &Sending,
) -> Result<(), ToolError> {
    let mut wallet = Wallet::open(context)?;
    let slots: Slots = wallet.client.call(Call::Slots)?;
    let (epoch, owner) = (Epoch::new(slots.open_epoch), owner.to_string());
    let bid = slots.bids.iter().find(|bid| bid.owner == owner);
    let signer = bid.and_then(|bid| bid.signer.parse().ok()).ok_or_else(|| {
        ToolError::failed(format!("{owner} has no bid for {epoch}: see goodwatt slot list"))
    })?;
    let action = Action::Delegate(Delegate { epoch, signer, amount });
    submit(context, &mut wallet, action, sending)
}

/// The purchase that a fresh signer key consented to, or `None` where a field is malformed.
pub(crate) fn buy_slot_action(
    fresh: &FreshSigner,
    amount: Grains,
    preference: Option<AssociationId>,
) -> Option<Action> {
    let consent: [u8; 64] = hex::decode(&fresh.consent)?.try_into().ok()?;
    Some(Action::BuySlot(BuySlot {
        epoch: Epoch::new(fresh.epoch),
        amount,
        signer: fresh.signer.parse().ok()?,
        consent: Signature::from_bytes(consent),
        reveal_head: fresh.reveal_head.parse().ok()?,
        preference,
    }))
}

/// `goodwatt association request`.
pub(super) fn request(context: &Context, args: &RequestArgs) -> Result<(), ToolError> {
    let mut wallet = Wallet::open(context)?;
    let deposit = args.deposit.unwrap_or(wallet.chain.genesis.parameters.association_deposit);
    let mut request = RequestAssociation {
        name: bounded(&args.name, "name")?,
        category: args.category,
        web: bounded(&args.web, "web address")?,
        evidence: evidence(&args.evidence)?,
        identity: unsigned_identity(),
        deposit,
    };
    let statement = identity_statement(&wallet.chain.id, &wallet.address(), &request.claims());
    if args.identity.statement {
        return Ok(line(&statement.to_string())?);
    }
    request.identity = identity(context, &args.identity, &statement)?;
    let nonce = wallet.next_nonce()?;
    let id = association_id(&wallet.chain.id, &wallet.address(), nonce);
    if !context.output.json {
        super::output::note(&format!("association {id}"));
    }
    let action = Action::RequestAssociation(Box::new(request));
    submit(context, &mut wallet, action, &args.sending)
}

/// `goodwatt association renew`.
pub(super) fn renew(
    context: &Context,
    association: AssociationId,
    documents: &[Digest32],
    args: &IdentityArgs,
    sending: &Sending,
) -> Result<(), ToolError> {
    let mut wallet = Wallet::open(context)?;
    let evidence = evidence(documents)?;
    let mut renewal = RenewAssociation { association, evidence, identity: unsigned_identity() };
    let statement = renewal_statement(&wallet.chain.id, &wallet.address(), &renewal);
    if args.statement {
        return Ok(line(&statement.to_string())?);
    }
    renewal.identity = identity(context, args, &statement)?;
    submit(context, &mut wallet, Action::RenewAssociation(Box::new(renewal)), sending)
}

/// Stands in while the statement is made, which does not cover it.
fn unsigned_identity() -> IdentityProof {
    IdentityProof::Published {
        key: PublicKey::from_bytes([0; 32]),
        signature: Signature::from_bytes([0; 64]),
    }
}

fn bounded<const N: usize>(text: &str, what: &str) -> Result<heapless::String<N>, ToolError> {
    text.try_into()
        .map_err(|_| ToolError::Usage(format!("the {what} has {} bytes; {N} fit", text.len())))
}

fn evidence(hashes: &[Digest32]) -> Result<heapless::Vec<Digest32, 4>, ToolError> {
    hashes.try_into().map_err(|_| ToolError::Usage("at most four documents fit".to_owned()))
}

fn identity(
    context: &Context,
    args: &IdentityArgs,
    statement: &Digest32,
) -> Result<IdentityProof, ToolError> {
    if let Some(path) = &args.published_key {
        let key = context.signing_key(path)?;
        return Ok(IdentityProof::Published { key: key.public(), signature: key.sign(statement) });
    }
    let (Some(certificate), Some(signature)) = (&args.certificate, &args.certificate_signature)
    else {
        let message = "a certificate needs --certificate-signature: see --statement";
        return Err(ToolError::Usage(message.to_owned()));
    };
    Ok(IdentityProof::Certificate(Box::new(CertificateProof {
        scheme: match args.certificate_scheme {
            Scheme::EcdsaP256Sha256 => SignatureScheme::EcdsaP256Sha256,
            Scheme::RsaPkcs1Sha256 => SignatureScheme::RsaPkcs1Sha256,
            Scheme::Ed25519 => SignatureScheme::Ed25519,
        },
        certificate: read_bounded(certificate)?,
        signature: read_bounded(signature)?,
    })))
}

fn read_bounded<const N: usize>(path: &Path) -> Result<heapless::Vec<u8, N>, ToolError> {
    let bytes = std::fs::read(path)
        .map_err(|error| ToolError::failed(format!("{}: {error}", path.display())))?;
    bytes.as_slice().try_into().map_err(|_| {
        let (path, len) = (path.display(), bytes.len());
        ToolError::failed(format!("{path} has {len} bytes; {N} fit into a request"))
    })
}

/// `goodwatt association vote`.
pub(super) fn vote(
    context: &Context,
    association: AssociationId,
    voice: YesNo,
    removal: bool,
    sending: &Sending,
) -> Result<(), ToolError> {
    let kind = if removal { BallotKind::Removal } else { BallotKind::Admission };
    let vote = VoteAssociation { association, kind, approve: voice == YesNo::Yes };
    submit(context, &mut Wallet::open(context)?, Action::VoteAssociation(vote), sending)
}

/// `goodwatt association withdraw`.
pub(super) fn withdraw(
    context: &Context,
    association: AssociationId,
    sending: &Sending,
) -> Result<(), ToolError> {
    let action = Action::WithdrawRequest(WithdrawRequest { association });
    submit(context, &mut Wallet::open(context)?, action, sending)
}
