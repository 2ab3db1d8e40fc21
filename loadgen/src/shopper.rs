//! One shopper: which requests a step takes, and how their replies change the next ones. Pure: no I/O, no clock.
//!
//! The driver asks [`Shopper::authentication_for`] whether the step needs a login first. It then begins a step, sends
//! each request that it is given and hands back the reply, until the step is done:
//!
//! ```text
//! begin(step) ─▶ Send(request) ─▶ reply(..) ─▶ Send(request) ─▶ reply(..) ─▶ Done(Ok or failure)
//! ```
//!
//! The first request that fails ends its step. The walk goes on regardless, because it was planned: see
//! [`crate::plan`].

mod request_kind;
mod state;

use std::collections::VecDeque;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use results::record::LedgerEntry;
use shop_contract::bank::{CARD_DECLINED, CARD_GOOD};
use shop_contract::cart::SetQuantity;
use shop_contract::openapi::{cart, order, product, user};
use shop_contract::order::Checkout;
use shop_contract::product::{CATEGORIES, ProductChange};
use shop_contract::user::{Login, NewUser, SEEDED_ADMIN, SEEDED_PASSWORD, seeded_email};

use crate::persona::Persona;
use crate::request::{Failure, Reply, Request};
use crate::step::Step;
use request_kind::{RequestKind, Sort};
use state::ShopperState;

/// The share of orders that are paid with a card that the bank declines.
const DECLINED: f64 = 0.01;

/// Search terms besides the departments. A search without hits is a good reply.
const WORDS: [&str; 12] = [
    "black", "blue", "classic", "compact", "green", "light", "modern", "red", "small", "soft",
    "steel", "wooden",
];

/// What the driver has to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Send this request and hand back its reply.
    Send(Request),
    /// The step is over.
    Done(Result<(), Failure>),
}

/// How a shopper gets the token of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Logs in to an existing account.
    Customer,
    /// Registers an account, then logs in.
    NewCustomer,
    /// Logs in as the administrator.
    Admin,
}

impl Authentication {
    /// The step that it is counted as.
    pub fn step(self) -> Step {
        match self {
            Self::Customer | Self::Admin => Step::Login,
            Self::NewCustomer => Step::Register,
        }
    }
}

/// One shopper during one session.
#[derive(Debug, Clone)]
pub struct Shopper {
    persona: Persona,
    choices: ChaCha8Rng,
    /// The prefix of every idempotency key of this session.
    key_base: String,
    /// Orders sent so far.
    orders: u32,
    state: ShopperState,
    /// The rest of the step, the request under way first.
    queue: VecDeque<RequestKind>,
}

impl Shopper {
    /// A shopper at the start of a session. `key_base` must be unique to the session, and to the run if several runs
    /// use the same shop: the idempotency keys of its orders begin with it.
    pub fn new(persona: Persona, choices: ChaCha8Rng, key_base: String) -> Self {
        Self {
            persona,
            choices,
            key_base,
            orders: 0,
            state: ShopperState::default(),
            queue: VecDeque::new(),
        }
    }

    /// The authentication that this step needs first. `None` if it needs none or the shopper has the token already.
    pub fn authentication_for(&self, step: Step) -> Option<Authentication> {
        match step {
            Step::ShoppingCart
            | Step::CustomerRegistration
            | Step::BuyRequest
            | Step::BuyConfirm
            | Step::OrderInquiry
            | Step::OrderDisplay => match self.persona {
                _ if self.state.token.is_some() => None,
                Persona::New(_) if !self.state.registered => Some(Authentication::NewCustomer),
                _ => Some(Authentication::Customer),
            },
            Step::AdminConfirm if self.state.admin_token.is_none() => Some(Authentication::Admin),
            _ => None,
        }
    }

    /// Begins to authenticate.
    pub fn begin_authentication(&mut self, authentication: Authentication) -> Next {
        self.queue.clear();
        match authentication {
            Authentication::Customer => self.queue.push_back(RequestKind::LogIn),
            Authentication::NewCustomer => self
                .queue
                .extend([RequestKind::CreateUser, RequestKind::LogIn]),
            Authentication::Admin => self.queue.push_back(RequestKind::LogInAdmin),
        }
        self.proceed()
    }

    /// Begins a step of the walk. Logins are no steps of a walk: see [`Shopper::begin_authentication`].
    pub fn begin(&mut self, step: Step) -> Next {
        self.queue.clear();
        let needs_product = matches!(
            step,
            Step::ProductDetail | Step::ShoppingCart | Step::AdminRequest | Step::AdminConfirm
        ) || (step == Step::BuyConfirm && !self.state.cart_filled);
        if needs_product && self.state.listed_products.is_empty() {
            self.queue.push_back(RequestKind::FrontPage);
        }
        match step {
            Step::Home | Step::SearchRequest => self.queue.push_back(RequestKind::FrontPage),
            Step::NewProducts => self.queue.push_back(RequestKind::Department(Sort::New)),
            Step::BestSellers => self.queue.push_back(RequestKind::Department(Sort::Best)),
            Step::ProductDetail => {
                self.state.product = None;
                self.queue.push_back(RequestKind::Product);
            }
            Step::SearchResults => self.queue.push_back(RequestKind::Search),
            Step::ShoppingCart => self
                .queue
                .extend([RequestKind::PutItem, RequestKind::ShowCart]),
            Step::CustomerRegistration => self.queue.push_back(RequestKind::Account),
            Step::BuyRequest => self.queue.push_back(RequestKind::ShowCart),
            Step::BuyConfirm => {
                // Also when the cart's state is unknown: an order from an empty cart would be an error of the load.
                if !self.state.cart_filled {
                    self.queue.push_back(RequestKind::PutItem);
                }
                self.queue.push_back(RequestKind::PlaceOrder);
            }
            Step::OrderInquiry => self.queue.push_back(RequestKind::ListOrders(5)),
            Step::OrderDisplay if self.state.last_order.is_some() => {
                self.queue.push_back(RequestKind::ShowOrder);
            }
            Step::OrderDisplay => self.queue.push_back(RequestKind::ListOrders(1)),
            Step::AdminRequest => {
                self.state.product = None;
                self.queue.push_back(RequestKind::Product);
            }
            Step::AdminConfirm => self.queue.push_back(RequestKind::SetPrice),
            Step::Login | Step::Register => {}
        }
        self.proceed()
    }

    /// Takes in the reply to the last request, received `t_s` seconds after the start. The reply to an order also gives
    /// an entry for the ledger.
    pub fn reply(
        &mut self,
        reply: Result<Reply, Failure>,
        t_s: f64,
    ) -> (Next, Option<LedgerEntry>) {
        let Some(kind) = self.queue.pop_front() else {
            return (Next::Done(Ok(())), None);
        };
        let (result, entry) = match kind {
            RequestKind::PlaceOrder => {
                let (result, entry) = self.state.learn_order(reply, t_s);
                (result, Some(entry))
            }
            other => (self.state.learn(other, reply), None),
        };
        match result {
            Ok(()) => (self.proceed(), entry),
            Err(failure) => {
                self.queue.clear();
                (Next::Done(Err(failure)), entry)
            }
        }
    }

    /// Stops in the middle of a step. The outcome of an order request under way is then unknown.
    pub fn abandon(&mut self, t_s: f64) -> Option<LedgerEntry> {
        self.queue.clear();
        self.state.abandon_order(t_s)
    }

    /// The next request of the step, or its success.
    fn proceed(&mut self) -> Next {
        match self.queue.front() {
            None => Next::Done(Ok(())),
            Some(kind) => match self.request(*kind) {
                Some(request) => Next::Send(request),
                None => {
                    self.queue.clear();
                    Next::Done(Err(Failure::NoProduct))
                }
            },
        }
    }

    /// The request of a kind. `None` if it needs a product and none is known.
    fn request(&mut self, kind: RequestKind) -> Option<Request> {
        let request = match kind {
            RequestKind::FrontPage => Request::to(&product::LIST).query("sort=best&limit=5"),
            RequestKind::Department(sort) => {
                let category = self.pick(&CATEGORIES);
                let query = format!("category={category}&sort={}&limit=20", sort.name());
                Request::to(&product::LIST).query(&query)
            }
            RequestKind::Search => {
                let n = self.below(CATEGORIES.len() + WORDS.len());
                let word = CATEGORIES.iter().chain(&WORDS).nth(n)?;
                Request::to(&product::SEARCH).query(&format!("q={word}"))
            }
            RequestKind::Product => Request::to(&product::ONE).path_parameter(&self.product()?),
            RequestKind::PutItem => {
                let quantity = 1 + self.below(3) as u32;
                let product = self.product()?;
                self.own(Request::to(&cart::SET))
                    .path_parameter(&product)
                    .json(&SetQuantity { quantity })
            }
            RequestKind::ShowCart => self.own(Request::to(&cart::ONE)),
            RequestKind::Account => {
                self.own(Request::to(&user::ACCOUNT).path_parameter(&self.state.user_id))
            }
            RequestKind::PlaceOrder => {
                let declined = self.choices.random_bool(DECLINED);
                let card = if declined { CARD_DECLINED } else { CARD_GOOD }.to_owned();
                let key = format!("{}-{}", self.key_base, self.orders);
                self.orders += 1;
                self.state.pending_order_key = Some(key.clone());
                self.own(Request::to(&order::CHECKOUT))
                    .key(key)
                    .json(&Checkout { card })
            }
            RequestKind::ListOrders(limit) => {
                self.own(Request::to(&order::LIST).query(&format!("limit={limit}")))
            }
            RequestKind::ShowOrder => {
                let id = self.state.last_order.as_ref()?;
                self.own(Request::to(&order::SHOW).path_parameter(id))
            }
            RequestKind::SetPrice => {
                let change = ProductChange {
                    title: None,
                    price_minor: Some(500 + self.below(20_000) as i64),
                };
                Request::to(&product::CHANGE)
                    .path_parameter(&self.product()?)
                    .token(&self.state.admin_token)
                    .json(&change)
            }
            RequestKind::CreateUser => {
                let Persona::New(customer) = &self.persona else {
                    return None;
                };
                Request::to(&user::REGISTER).json(&NewUser {
                    email: customer.email.clone(),
                    name: customer.name.clone(),
                    password: customer.password.clone(),
                })
            }
            RequestKind::LogIn => match &self.persona {
                Persona::Returning(n) => log_in(seeded_email(*n), SEEDED_PASSWORD),
                Persona::New(customer) => log_in(customer.email.clone(), &customer.password),
            },
            RequestKind::LogInAdmin => log_in(SEEDED_ADMIN.to_owned(), SEEDED_PASSWORD),
        };
        Some(request)
    }

    /// The product last looked at, else one of the last list.
    fn product(&mut self) -> Option<String> {
        let listed = self.state.listed_products.len();
        if self.state.product.is_none() && listed > 0 {
            let n = self.below(listed);
            self.state.product = self.state.listed_products.get(n).cloned();
        }
        self.state.product.clone()
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    /// A random number below `n`, which must not be 0. It does not depend on the machine's word size.
    fn below(&mut self, n: usize) -> usize {
        below(&mut self.choices, n)
    }

    /// The request with the shopper's own token.
    fn own(&self, request: Request) -> Request {
        request.token(&self.state.token)
    }
}

fn below(rng: &mut impl Rng, n: usize) -> usize {
    rng.random_range(0..n as u64) as usize
}

fn log_in(email: String, password: &str) -> Request {
    Request::to(&user::LOGIN).json(&Login {
        email,
        password: password.to_owned(),
    })
}
