//! One shopper: which requests a step takes, and what is learnt from their answers. Pure: no I/O, no clock.
//!
//! The driver asks [`Shopper::door`] whether the step needs logging in first, begins a step, makes each call that
//! it gets and hands back the answer, until the step is done:
//!
//! ```text
//! begin(step) ─▶ Send(call) ─▶ answer(..) ─▶ Send(call) ─▶ answer(..) ─▶ Done(ok or why not)
//! ```
//!
//! The first call that fails ends its step. The walk goes on all the same: it was planned, see [`crate::plan`].

mod errand;

use std::collections::VecDeque;
use std::sync::Arc;

use http::Method;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use results::record::{LedgerEntry, OrderOutcome};
use serde::Serialize;
use shop_contract::bank::{CARD_DECLINED, CARD_GOOD};
use shop_contract::cart::SetQuantity;
use shop_contract::order::Checkout;
use shop_contract::product::{CATEGORIES, ProductChange};
use shop_contract::user::{Login, NewUser, SEEDED_ADMIN, SEEDED_PASSWORD, seeded_email};

use crate::call::{Answer, Call, Failure};
use crate::persona::Persona;
use crate::step::Step;
use errand::{Errand, Sort};

/// The share of orders that are paid with a card the bank declines.
const DECLINED: f64 = 0.01;

/// What people search for, besides departments. A search that finds nothing is an answer as it should be.
const WORDS: [&str; 12] = [
    "black", "blue", "classic", "compact", "green", "light", "modern", "red", "small", "soft",
    "steel", "wooden",
];

/// What a shopper does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Make this request and hand back its answer.
    Send(Call),
    /// The step is over.
    Done(Result<(), Failure>),
}

/// The way through which a shopper gets an account's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// With an account that exists.
    Customer,
    /// With an account that has to be opened first.
    Newcomer,
    /// As the administrator.
    Admin,
}

impl Door {
    /// The step it is counted as.
    pub fn step(self) -> Step {
        match self {
            Self::Customer | Self::Admin => Step::Login,
            Self::Newcomer => Step::Register,
        }
    }
}

/// One shopper during one session.
#[derive(Debug, Clone)]
pub struct Shopper {
    persona: Persona,
    choices: ChaCha8Rng,
    /// What every idempotency key of this session starts with.
    key_base: String,
    orders: u32,
    registered: bool,
    user_id: String,
    token: Option<Arc<str>>,
    admin: Option<Arc<str>>,
    /// The products of the last list that had any.
    seen: Vec<String>,
    /// The product last looked at.
    product: Option<String>,
    /// Whether there is certainly something in the cart.
    cart_filled: bool,
    /// The last own order.
    order: Option<String>,
    /// What is left of the step, the errand under way first.
    todo: VecDeque<Errand>,
    /// The key of the order under way.
    ordering: Option<String>,
}

impl Shopper {
    /// Somebody who has just come in. `key_base` must be unique to the session, and to the run where several runs
    /// meet the same shop: the keys of its orders are made from it.
    pub fn new(persona: Persona, choices: ChaCha8Rng, key_base: String) -> Self {
        Self {
            persona,
            choices,
            key_base,
            orders: 0,
            registered: false,
            user_id: String::new(),
            token: None,
            admin: None,
            seen: Vec::new(),
            product: None,
            cart_filled: false,
            order: None,
            todo: VecDeque::new(),
            ordering: None,
        }
    }

    /// The door to go through before this step; none where the step needs none, or it is open already.
    pub fn door(&self, step: Step) -> Option<Door> {
        match step {
            Step::ShoppingCart
            | Step::CustomerRegistration
            | Step::BuyRequest
            | Step::BuyConfirm
            | Step::OrderInquiry
            | Step::OrderDisplay => match self.persona {
                _ if self.token.is_some() => None,
                Persona::New(_) if !self.registered => Some(Door::Newcomer),
                _ => Some(Door::Customer),
            },
            Step::AdminConfirm if self.admin.is_none() => Some(Door::Admin),
            _ => None,
        }
    }

    /// Begins to log in.
    pub fn begin_door(&mut self, door: Door) -> Next {
        self.todo.clear();
        match door {
            Door::Customer => self.todo.push_back(Errand::LogIn),
            Door::Newcomer => self.todo.extend([Errand::CreateUser, Errand::LogIn]),
            Door::Admin => self.todo.push_back(Errand::LogInAdmin),
        }
        self.proceed()
    }

    /// Begins a step of the walk. The doors are not steps of a walk; see [`Shopper::begin_door`].
    pub fn begin(&mut self, step: Step) -> Next {
        self.todo.clear();
        let needs_product = matches!(
            step,
            Step::ProductDetail | Step::ShoppingCart | Step::AdminRequest | Step::AdminConfirm
        ) || (step == Step::BuyConfirm && !self.cart_filled);
        if needs_product && self.seen.is_empty() {
            self.todo.push_back(Errand::Front);
        }
        match step {
            Step::Home | Step::SearchRequest => self.todo.push_back(Errand::Front),
            Step::NewProducts => self.todo.push_back(Errand::Department(Sort::New)),
            Step::BestSellers => self.todo.push_back(Errand::Department(Sort::Best)),
            Step::ProductDetail => {
                self.product = None;
                self.todo.push_back(Errand::Product);
            }
            Step::SearchResults => self.todo.push_back(Errand::Search),
            Step::ShoppingCart => self.todo.extend([Errand::PutItem, Errand::ShowCart]),
            Step::CustomerRegistration => self.todo.push_back(Errand::Account),
            Step::BuyRequest => self.todo.push_back(Errand::ShowCart),
            Step::BuyConfirm => {
                // Also when the cart is merely unknown: an order for nothing would be the load's mistake.
                if !self.cart_filled {
                    self.todo.push_back(Errand::PutItem);
                }
                self.todo.push_back(Errand::PlaceOrder);
            }
            Step::OrderInquiry => self.todo.push_back(Errand::Orders(5)),
            Step::OrderDisplay if self.order.is_some() => self.todo.push_back(Errand::ShowOrder),
            Step::OrderDisplay => self.todo.push_back(Errand::Orders(1)),
            Step::AdminRequest => {
                self.product = None;
                self.todo.push_back(Errand::Product);
            }
            Step::AdminConfirm => self.todo.push_back(Errand::SetPrice),
            Step::Login | Step::Register => {}
        }
        self.proceed()
    }

    /// Takes in what became of the call last sent, `t_s` seconds after the start. Of an order there is an entry
    /// for the ledger.
    pub fn answer(
        &mut self,
        answer: Result<Answer, Failure>,
        t_s: f64,
    ) -> (Next, Option<LedgerEntry>) {
        let Some(errand) = self.todo.pop_front() else {
            return (Next::Done(Ok(())), None);
        };
        let (learnt, entry) = match errand {
            Errand::PlaceOrder => self.learn_order(answer, t_s),
            other => (self.learn(other, answer), None),
        };
        match learnt {
            Ok(()) => (self.proceed(), entry),
            Err(failure) => {
                self.todo.clear();
                (Next::Done(Err(failure)), entry)
            }
        }
    }

    /// Leaves in the middle of whatever is under way. An order that was sent is then one of unknown outcome.
    pub fn abandon(&mut self, t_s: f64) -> Option<LedgerEntry> {
        self.todo.clear();
        let key = self.ordering.take()?;
        Some(self.entry(key, OrderOutcome::Unknown, t_s))
    }

    fn entry(&self, key: String, outcome: OrderOutcome, t_s: f64) -> LedgerEntry {
        LedgerEntry {
            t_s,
            key,
            user_id: self.user_id.clone(),
            outcome,
            order_id: None,
            total_minor: None,
        }
    }

    /// The next call of the step, or its good end.
    fn proceed(&mut self) -> Next {
        match self.todo.front() {
            None => Next::Done(Ok(())),
            Some(errand) => match self.call(*errand) {
                Some(call) => Next::Send(call),
                None => {
                    self.todo.clear();
                    Next::Done(Err(Failure::NoProduct))
                }
            },
        }
    }

    /// The request for an errand; none where it needs a product and there is none.
    fn call(&mut self, errand: Errand) -> Option<Call> {
        let call = match errand {
            Errand::Front => get("/products?sort=best&limit=5".to_owned()),
            Errand::Department(sort) => get(format!(
                "/products?category={}&sort={}&limit=20",
                self.pick(&CATEGORIES),
                sort.name()
            )),
            Errand::Search => {
                let n = self.below(CATEGORIES.len() + WORDS.len());
                let word = CATEGORIES.iter().chain(&WORDS).nth(n)?;
                get(format!("/products/search?q={word}"))
            }
            Errand::Product => get(format!("/products/{}", self.product()?)),
            Errand::PutItem => {
                let quantity = 1 + self.below(3) as u32;
                let path = format!("/cart/items/{}", self.product()?);
                self.own(with_body(Method::PUT, path, &SetQuantity { quantity }))
            }
            Errand::ShowCart => self.own(get("/cart".to_owned())),
            Errand::Account => self.own(get(format!("/users/{}", self.user_id))),
            Errand::PlaceOrder => {
                let declined = self.choices.random_bool(DECLINED);
                let card = if declined { CARD_DECLINED } else { CARD_GOOD }.to_owned();
                let key = format!("{}-{}", self.key_base, self.orders);
                self.orders += 1;
                self.ordering = Some(key.clone());
                let mut call = with_body(Method::POST, "/orders".to_owned(), &Checkout { card });
                call.key = Some(key);
                self.own(call)
            }
            Errand::Orders(limit) => self.own(get(format!("/orders?limit={limit}"))),
            Errand::ShowOrder => self.own(get(format!("/orders/{}", self.order.as_ref()?))),
            Errand::SetPrice => {
                let change = ProductChange {
                    title: None,
                    price_minor: Some(500 + self.below(20_000) as i64),
                };
                let path = format!("/products/{}", self.product()?);
                let mut call = with_body(Method::PUT, path, &change);
                call.token.clone_from(&self.admin);
                call
            }
            Errand::CreateUser => {
                let Persona::New(who) = &self.persona else {
                    return None;
                };
                let user = NewUser {
                    email: who.email.clone(),
                    name: who.name.clone(),
                    password: who.password.clone(),
                };
                with_body(Method::POST, "/users".to_owned(), &user)
            }
            Errand::LogIn => match &self.persona {
                Persona::Returning(n) => log_in(seeded_email(*n), SEEDED_PASSWORD),
                Persona::New(who) => log_in(who.email.clone(), &who.password),
            },
            Errand::LogInAdmin => log_in(SEEDED_ADMIN.to_owned(), SEEDED_PASSWORD),
        };
        Some(call)
    }

    /// The product last looked at, or else one of those in sight.
    fn product(&mut self) -> Option<String> {
        if self.product.is_none() && !self.seen.is_empty() {
            let n = self.below(self.seen.len());
            self.product = self.seen.get(n).cloned();
        }
        self.product.clone()
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    /// A number below `n`, which must not be 0. The same on machines of any word size.
    fn below(&mut self, n: usize) -> usize {
        below(&mut self.choices, n)
    }

    fn own(&self, mut call: Call) -> Call {
        call.token.clone_from(&self.token);
        call
    }
}

fn below(rng: &mut impl Rng, n: usize) -> usize {
    rng.random_range(0..n as u64) as usize
}

fn get(path: String) -> Call {
    Call {
        method: Method::GET,
        path,
        token: None,
        key: None,
        body: None,
    }
}

fn with_body(method: Method, path: String, body: &impl Serialize) -> Call {
    let body = serde_json::to_string(body).expect("wire types can always be written");
    Call {
        method,
        body: Some(body),
        ..get(path)
    }
}

fn log_in(email: String, password: &str) -> Call {
    let login = Login {
        email,
        password: password.to_owned(),
    };
    with_body(Method::POST, "/users/login".to_owned(), &login)
}
