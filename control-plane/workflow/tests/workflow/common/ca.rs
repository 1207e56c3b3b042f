//! A CA in memory: the protocol's states, real signatures, faults on command.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use sealwax_core::issuer::{
    IssueError, Issuer, OrderChallenge, OrderRequest, OrderStatus, OrderView, Refusal, RenewalInfo,
};
use sealwax_core::preflight::CaaIdentity;
use sealwax_core::{Chain, Clock, Span, Timestamp};
use sealwax_protocol::{ChallengeToken, DomainName};

pub(crate) const LIFE: Span = Span::from_secs(90 * 86_400);

pub(crate) struct MemoryCa {
    name: &'static str,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    root: CertifiedIssuer<'static, KeyPair>,
    /// As many answers to new orders as are wanted, unless a test takes them away.
    pub(crate) answers: tokio::sync::Semaphore,
}

#[derive(Default)]
struct State {
    orders: HashMap<String, Placed>,
    faults: HashMap<&'static str, VecDeque<IssueError>>,
    rejects: HashMap<DomainName, Refusal>,
    stalls: HashSet<DomainName>,
    hangs: bool,
    order_life: Option<Span>,
    life: Option<Span>,
    /// Domains whose validation fails, with the challenge left open, and how often yet.
    complaints: HashMap<DomainName, (Refusal, u32)>,
    answers: u32,
    signed: u32,
    renewal_info: Option<RenewalInfo>,
    suggested_for: Option<String>,
    asked: usize,
    relinquished: usize,
    ahead: Span,
    for_all: bool,
}

struct Placed {
    domain: DomainName,
    status: OrderStatus,
    token: ChallengeToken,
    refusal: Option<Refusal>,
    expires: Option<Timestamp>,
    /// What the last try to validate found, with the challenge left open.
    complaint: Option<Refusal>,
    chain: Option<Chain>,
}

impl MemoryCa {
    pub(crate) fn new(name: &'static str, clock: Arc<dyn Clock>) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Memory CA");
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let answers = tokio::sync::Semaphore::new(1_000_000);
        Self { name, clock, state: Mutex::default(), root, answers }
    }

    /// The next calls of this kind fail like this.
    pub(crate) fn fail(&self, call: &'static str, errors: impl IntoIterator<Item = IssueError>) {
        self.state.lock().unwrap().faults.entry(call).or_default().extend(errors);
    }

    /// Calls of this kind work again.
    pub(crate) fn mend(&self, call: &'static str) {
        self.state.lock().unwrap().faults.remove(call);
    }

    /// Validation of this domain fails from now on.
    pub(crate) fn reject(&self, domain: &DomainName, refusal: Refusal) {
        self.state.lock().unwrap().rejects.insert(domain.clone(), refusal);
    }

    /// Validation of this domain does not come to an end.
    pub(crate) fn stall(&self, domain: &DomainName) {
        self.state.lock().unwrap().stalls.insert(domain.clone());
    }

    /// Orders stay in `processing` once they are finalized, or do no more.
    pub(crate) fn hang(&self, hangs: bool) {
        self.state.lock().unwrap().hangs = hangs;
    }

    /// What it issues lives so long.
    pub(crate) fn live(&self, life: Span) {
        self.state.lock().unwrap().life = Some(life);
    }

    /// Orders say that they expire after so long.
    pub(crate) fn expire_orders_after(&self, life: Span) {
        self.state.lock().unwrap().order_life = Some(life);
    }

    /// The next `times` validations of this domain fail, and its challenge stays open.
    pub(crate) fn complain(&self, domain: &DomainName, refusal: Refusal, times: u32) {
        let mut state = self.state.lock().unwrap();
        state.complaints.insert(domain.clone(), (refusal, times));
    }

    /// How often it was told to go ahead.
    pub(crate) fn answers(&self) -> u32 {
        self.state.lock().unwrap().answers
    }

    pub(crate) fn accept(&self, domain: &DomainName) {
        self.state.lock().unwrap().rejects.remove(domain);
    }

    pub(crate) fn orders_for(&self, domain: &DomainName) -> usize {
        let state = self.state.lock().unwrap();
        state.orders.values().filter(|placed| placed.domain == *domain).count()
    }

    /// Suggests this time for the first certificate that is asked about.
    pub(crate) fn suggest(&self, info: RenewalInfo) {
        self.state.lock().unwrap().renewal_info = Some(info);
    }

    /// Suggests this time for every certificate.
    pub(crate) fn suggest_for_all(&self, info: RenewalInfo) {
        let mut state = self.state.lock().unwrap();
        (state.renewal_info, state.for_all) = (Some(info), true);
    }

    /// How many of the failures that were ordered are left.
    pub(crate) fn failures_left(&self, call: &'static str) -> usize {
        self.state.lock().unwrap().faults.get(call).map_or(0, VecDeque::len)
    }

    /// Certificates begin so much later than now.
    pub(crate) fn date_ahead(&self, span: Span) {
        self.state.lock().unwrap().ahead = span;
    }

    /// How often it was asked when to renew.
    pub(crate) fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    /// How often what an order proved was given up.
    pub(crate) fn relinquished(&self) -> usize {
        self.state.lock().unwrap().relinquished
    }

    pub(crate) fn orders(&self) -> usize {
        self.state.lock().unwrap().orders.len()
    }

    pub(crate) fn signed(&self) -> u32 {
        self.state.lock().unwrap().signed
    }

    fn fault(&self, call: &'static str) -> Result<(), IssueError> {
        let mut state = self.state.lock().unwrap();
        let queued = state.faults.get_mut(call).and_then(VecDeque::pop_front);
        queued.map_or(Ok(()), Err)
    }

    fn complaint(&self, domain: &DomainName) -> Option<Refusal> {
        let mut state = self.state.lock().unwrap();
        let (refusal, left) = state.complaints.get_mut(domain)?;
        *left = left.checked_sub(1)?;
        Some(refusal.clone())
    }

    fn sign(&self, csr: &[u8]) -> Chain {
        let der = csr.to_vec().into();
        let mut request = rcgen::CertificateSigningRequestParams::from_der(&der).unwrap();
        let ahead = self.state.lock().unwrap().ahead;
        let now = i64::try_from((self.clock.now() + ahead).secs()).unwrap();
        let moment = |secs: i64| time::OffsetDateTime::from_unix_timestamp(secs).unwrap();
        request.params.not_before = moment(now);
        let life = self.state.lock().unwrap().life.unwrap_or(LIFE);
        request.params.not_after = moment(now + i64::try_from(life.secs()).unwrap());
        request.params.use_authority_key_identifier_extension = true;
        let leaf = request.signed_by(&self.root).unwrap();
        Chain::from_pem(format!("{}{}", leaf.pem(), self.root.pem())).unwrap()
    }

    fn with<T>(
        &self,
        url: &str,
        act: impl FnOnce(&mut Placed) -> Result<T, IssueError>,
    ) -> Result<T, IssueError> {
        let mut state = self.state.lock().unwrap();
        let gone = || IssueError::OrderGone { detail: "no such order".into() };
        act(state.orders.get_mut(url).ok_or_else(gone)?)
    }
}

#[async_trait]
impl Issuer for MemoryCa {
    fn name(&self) -> &str {
        self.name
    }

    async fn place_order(&self, request: &OrderRequest) -> Result<String, IssueError> {
        self.fault("place_order")?;
        let url = {
            let mut state = self.state.lock().unwrap();
            let number = state.orders.len() + 1;
            let url = format!("memory:order/{number}");
            let placed = Placed {
                domain: request.domain.clone(),
                status: OrderStatus::Pending,
                token: ChallengeToken::parse(&format!("token{number}")).unwrap(),
                refusal: None,
                expires: state.order_life.map(|life| self.clock.now() + life),
                complaint: None,
                chain: None,
            };
            state.orders.insert(url.clone(), placed);
            url
        };
        self.answers.acquire().await.unwrap().forget();
        Ok(url)
    }

    async fn observe(&self, order_url: &str) -> Result<OrderView, IssueError> {
        self.fault("observe")?;
        self.with(order_url, |placed| {
            let pending = placed.status == OrderStatus::Pending;
            let challenge = pending.then(|| OrderChallenge {
                token: placed.token.clone(),
                key_authorization: format!("{}.thumb", placed.token),
                processing: false,
                error: placed.complaint.clone(),
            });
            Ok(OrderView {
                url: order_url.to_owned(),
                status: placed.status,
                challenge,
                failure: placed.refusal.clone(),
                retry_after: None,
                expires: placed.expires,
            })
        })
    }

    async fn answer(&self, order_url: &str) -> Result<(), IssueError> {
        self.fault("answer")?;
        let domain = self.with(order_url, |placed| Ok(placed.domain.clone()))?;
        self.state.lock().unwrap().answers += 1;
        if self.state.lock().unwrap().stalls.contains(&domain) {
            return Ok(());
        }
        let complaint = self.complaint(&domain);
        if complaint.is_some() {
            return self.with(order_url, |placed| {
                placed.complaint = complaint;
                Ok(())
            });
        }
        let refusal = self.state.lock().unwrap().rejects.get(&domain).cloned();
        self.with(order_url, |placed| {
            placed.status =
                if refusal.is_some() { OrderStatus::Invalid } else { OrderStatus::Ready };
            placed.refusal = refusal;
            Ok(())
        })
    }

    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<(), IssueError> {
        self.fault("finalize")?;
        let chain = self.sign(csr_der);
        if self.state.lock().unwrap().hangs {
            return self.with(order_url, |placed| {
                placed.status = OrderStatus::Processing;
                Ok(())
            });
        }
        self.with(order_url, |placed| {
            assert_eq!(placed.status, OrderStatus::Ready, "finalized once, when ready");
            placed.status = OrderStatus::Valid;
            placed.chain = Some(chain);
            Ok(())
        })?;
        self.state.lock().unwrap().signed += 1;
        // Done, and said not to be.
        self.fault("finalized")
    }

    async fn download(&self, order_url: &str) -> Result<Chain, IssueError> {
        self.fault("download")?;
        self.with(order_url, |placed| Ok(placed.chain.clone().expect("valid")))
    }

    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfo>, IssueError> {
        self.fault("renewal_info")?;
        let mut state = self.state.lock().unwrap();
        state.asked += 1;
        let first = state.suggested_for.get_or_insert_with(|| ari_id.to_owned()) == ari_id;
        Ok(state.renewal_info.clone().filter(|_| first || state.for_all))
    }

    async fn revoke(&self, _leaf_der: &[u8]) -> Result<(), IssueError> {
        Ok(())
    }

    async fn relinquish(&self, order_url: &str) -> Result<(), IssueError> {
        self.fault("relinquish")?;
        self.with(order_url, |placed| {
            placed.status = OrderStatus::Invalid;
            Ok(())
        })?;
        self.state.lock().unwrap().relinquished += 1;
        Ok(())
    }

    async fn caa_identity(&self) -> CaaIdentity {
        CaaIdentity { names: vec![format!("{}.example", self.name)], account: None }
    }
}
