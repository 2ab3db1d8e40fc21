//! What a shopper has learned from replies so far: tokens, products, cart and orders.

use std::sync::Arc;

use results::record::{LedgerEntry, OrderOutcome};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shop_contract::order::Order;
use shop_contract::product::Product;
use shop_contract::user::{Session, User};

use super::request_kind::RequestKind;
use crate::request::{Failure, Reply};

/// The state of a shopper.
#[derive(Debug, Clone, Default)]
pub(super) struct ShopperState {
    /// Whether a new customer has an account by now.
    pub(super) registered: bool,
    pub(super) user_id: String,
    pub(super) token: Option<Arc<str>>,
    pub(super) admin_token: Option<Arc<str>>,
    /// The products of the last list that was not empty.
    pub(super) listed_products: Vec<String>,
    /// The product last looked at.
    pub(super) product: Option<String>,
    /// Whether the cart is known to hold something.
    pub(super) cart_filled: bool,
    /// The shopper's last order.
    pub(super) last_order: Option<String>,
    /// The idempotency key of the order request that waits for its reply.
    pub(super) pending_order_key: Option<String>,
}

/// A list of things with ids. The other fields are not read.
#[derive(Deserialize)]
struct Listed {
    items: Vec<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

/// A cart, read only to see whether it is empty.
#[derive(Deserialize)]
struct CartItems {
    items: Vec<serde::de::IgnoredAny>,
}

impl ShopperState {
    /// Takes in the reply to any request but an order.
    ///
    /// # Errors
    /// The failure of the step, if the reply is not as the API describes it.
    pub(super) fn learn(
        &mut self,
        kind: RequestKind,
        reply: Result<Reply, Failure>,
    ) -> Result<(), Failure> {
        let reply = reply?;
        // The email address is taken by this shopper: in a request whose reply was lost, or in an earlier run. The
        // password follows from the seed, so the login works.
        let registered_before = kind == RequestKind::CreateUser && reply.status == 409;
        if !(200..300).contains(&reply.status) && !registered_before {
            if reply.status == 401 {
                self.forget_token(kind);
            }
            return Err(Failure::Http(reply.status));
        }
        match kind {
            RequestKind::FrontPage | RequestKind::Department(_) | RequestKind::Search => {
                let list: Listed = parse(&reply)?;
                if !list.items.is_empty() {
                    self.listed_products = list.items.into_iter().map(|p| p.id).collect();
                }
            }
            RequestKind::Product => drop(parse::<Product>(&reply)?),
            RequestKind::PutItem | RequestKind::ShowCart => {
                let cart: CartItems = parse(&reply)?;
                self.cart_filled = !cart.items.is_empty();
            }
            RequestKind::Account => drop(parse::<User>(&reply)?),
            RequestKind::ListOrders(_) => {
                let list: Listed = parse(&reply)?;
                if let Some(newest) = list.items.into_iter().next() {
                    self.last_order = Some(newest.id);
                }
            }
            RequestKind::ShowOrder => drop(parse::<Order>(&reply)?),
            RequestKind::CreateUser => self.registered = true,
            RequestKind::LogIn => {
                let session: Session = parse(&reply)?;
                self.token = Some(session.token.into());
                self.user_id = session.user_id;
            }
            RequestKind::LogInAdmin => {
                let session: Session = parse(&reply)?;
                self.admin_token = Some(session.token.into());
            }
            // The body of a price change is not read. Replies to orders go to `learn_order`.
            RequestKind::SetPrice | RequestKind::PlaceOrder => {}
        }
        Ok(())
    }

    /// Takes in the reply to an order: the result of the step, and the ledger's entry.
    pub(super) fn learn_order(
        &mut self,
        reply: Result<Reply, Failure>,
        t_s: f64,
    ) -> (Result<(), Failure>, LedgerEntry) {
        let key = self.pending_order_key.take().unwrap_or_default();
        let outcome = reply.and_then(|reply| match reply.status {
            201 => parse(&reply).map(|order: Order| (OrderOutcome::Promised, Some(order))),
            202 => parse(&reply).map(|order: Order| (OrderOutcome::Accepted, Some(order))),
            402 | 409 => Ok((OrderOutcome::Refused, None)),
            status => Err(Failure::Http(status)),
        });
        // An order empties the cart. If it failed, the state of the cart is unknown.
        self.cart_filled = false;
        let mut entry = self.ledger_entry(key, OrderOutcome::Unknown, t_s);
        let result = match outcome {
            Ok((outcome, order)) => {
                entry.outcome = outcome;
                if let Some(order) = order {
                    entry.total_minor = Some(order.total.minor);
                    entry.order_id = Some(order.id.clone());
                    self.last_order = Some(order.id);
                }
                Ok(())
            }
            Err(failure) => {
                if failure == Failure::Http(401) {
                    self.token = None;
                }
                Err(failure)
            }
        };
        (result, entry)
    }

    /// Gives up the order request under way, if there is one. Its outcome is unknown.
    pub(super) fn abandon_order(&mut self, t_s: f64) -> Option<LedgerEntry> {
        let key = self.pending_order_key.take()?;
        Some(self.ledger_entry(key, OrderOutcome::Unknown, t_s))
    }

    fn ledger_entry(&self, key: String, outcome: OrderOutcome, t_s: f64) -> LedgerEntry {
        LedgerEntry {
            t_s,
            key,
            user_id: self.user_id.clone(),
            outcome,
            order_id: None,
            total_minor: None,
        }
    }

    /// Drops a token that was refused. The next step that needs one logs in again.
    fn forget_token(&mut self, kind: RequestKind) {
        match kind {
            RequestKind::SetPrice => self.admin_token = None,
            _ => self.token = None,
        }
    }
}

fn parse<T: DeserializeOwned>(reply: &Reply) -> Result<T, Failure> {
    serde_json::from_slice(&reply.body).map_err(|_| Failure::BadReply)
}
