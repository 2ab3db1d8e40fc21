//! The single requests that steps are made of, and what is learnt from the answer to each.

use results::record::{LedgerEntry, OrderOutcome};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shop_contract::order::Order;
use shop_contract::product::Product;
use shop_contract::user::{Session, User};

use super::Shopper;
use crate::call::{Answer, Failure};

/// A single request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    Front,
    Department(Sort),
    Search,
    Product,
    PutItem,
    ShowCart,
    Account,
    PlaceOrder,
    Orders(u32),
    ShowOrder,
    SetPrice,
    CreateUser,
    LogIn,
    LogInAdmin,
}

/// The order of a list of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    New,
    Best,
}

impl Sort {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Best => "best",
        }
    }
}

/// A list of things with ids; of the rest of a list the shopper has no use.
#[derive(Deserialize)]
struct Listed {
    items: Vec<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

/// A cart, read only as far as to know whether it is empty.
#[derive(Deserialize)]
struct CartItems {
    items: Vec<serde::de::IgnoredAny>,
}

impl Shopper {
    /// Whether the answer to any errand but an order is as it should be, and what follows from it.
    pub(super) fn learn(
        &mut self,
        errand: Errand,
        answer: Result<Answer, Failure>,
    ) -> Result<(), Failure> {
        let answer = answer?;
        // Somebody has this address already: ourselves, in an attempt whose answer was lost or in an earlier run.
        // The password, which follows from the seed, fits then.
        let known = errand == Errand::CreateUser && answer.status == 409;
        if !(200..300).contains(&answer.status) && !known {
            if answer.status == 401 {
                self.forget_token(errand);
            }
            return Err(Failure::Http(answer.status));
        }
        match errand {
            Errand::Front | Errand::Department(_) | Errand::Search => {
                let list: Listed = parse(&answer)?;
                if !list.items.is_empty() {
                    self.seen = list.items.into_iter().map(|p| p.id).collect();
                }
            }
            Errand::Product => drop(parse::<Product>(&answer)?),
            Errand::PutItem | Errand::ShowCart => {
                let cart: CartItems = parse(&answer)?;
                self.cart_filled = !cart.items.is_empty();
            }
            Errand::Account => drop(parse::<User>(&answer)?),
            Errand::Orders(_) => {
                let list: Listed = parse(&answer)?;
                if let Some(newest) = list.items.into_iter().next() {
                    self.order = Some(newest.id);
                }
            }
            Errand::ShowOrder => drop(parse::<Order>(&answer)?),
            Errand::CreateUser => self.registered = true,
            Errand::LogIn => {
                let session: Session = parse(&answer)?;
                self.token = Some(session.token.into());
                self.user_id = session.user_id;
            }
            Errand::LogInAdmin => {
                let session: Session = parse(&answer)?;
                self.admin = Some(session.token.into());
            }
            // The change is asked for, not looked at; an order is learnt elsewhere.
            Errand::SetPrice | Errand::PlaceOrder => {}
        }
        Ok(())
    }

    /// What the shopper was told of an order: whether that is an answer as it should be, and the ledger's entry.
    pub(super) fn learn_order(
        &mut self,
        answer: Result<Answer, Failure>,
        t_s: f64,
    ) -> (Result<(), Failure>, Option<LedgerEntry>) {
        let key = self.ordering.take().unwrap_or_default();
        let told = answer.and_then(|answer| match answer.status {
            201 => parse(&answer).map(|order: Order| (OrderOutcome::Promised, Some(order))),
            202 => parse(&answer).map(|order: Order| (OrderOutcome::Accepted, Some(order))),
            402 | 409 => Ok((OrderOutcome::Refused, None)),
            status => Err(Failure::Http(status)),
        });
        // An order empties the cart; when it went another way, nobody knows.
        self.cart_filled = false;
        let mut entry = self.entry(key, OrderOutcome::Unknown, t_s);
        let result = match told {
            Ok((outcome, order)) => {
                entry.outcome = outcome;
                if let Some(order) = order {
                    entry.total_minor = Some(order.total.minor);
                    entry.order_id = Some(order.id.clone());
                    self.order = Some(order.id);
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
        (result, Some(entry))
    }

    /// A token that was refused is of no more use: the next step that needs one logs in again.
    fn forget_token(&mut self, errand: Errand) {
        match errand {
            Errand::SetPrice => self.admin = None,
            _ => self.token = None,
        }
    }
}

fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|_| Failure::BadAnswer)
}
