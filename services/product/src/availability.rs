//! Whether a product can be had, pure: what a page shows of inventory's answer, or of its silence.
//!
//! A page is worth more than the figure on it. Whatever is wrong with inventory, the page comes, with the word that
//! the view has, and says that it is the view's.

use axum::http::StatusCode;
use shop_contract::Role;
use shop_contract::inventory::{Band, Stock};
use shop_contract::product::{Availability, Source};
use shop_kit::client::{Answer, CallError};

/// What came of asking inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockReply {
    /// So many pieces can be reserved.
    Pieces(i64),
    /// It has no such product. That is an answer too: none of it can be reserved.
    UnknownProduct,
    /// Nothing that helps.
    Missing(Reason),
}

/// Why an answer has less in it than it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Inventory took longer than a page waits.
    Timeout,
    /// It cannot be reached.
    Unreachable,
    /// It has failed too often lately and was not asked.
    BreakerOpen,
    /// It has more work than it can do.
    Shed,
    /// It answered, and the answer is of no use.
    Failed,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Timeout,
        Self::Unreachable,
        Self::BreakerOpen,
        Self::Shed,
        Self::Failed,
    ];

    /// As figures name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::BreakerOpen => "breaker_open",
            Self::Shed => "shed",
            Self::Failed => "failed",
        }
    }
}

impl StockReply {
    /// Why there is no figure, where there should be one.
    pub fn missing(&self) -> Option<Reason> {
        match self {
            Self::Missing(reason) => Some(*reason),
            Self::Pieces(_) | Self::UnknownProduct => None,
        }
    }
}

/// Reads what came of the call.
pub fn read_reply(called: Result<Answer, CallError>) -> StockReply {
    let answer = match called {
        Ok(answer) => answer,
        Err(e) => return StockReply::Missing(why(&e)),
    };
    if answer.status == StatusCode::NOT_FOUND {
        return StockReply::UnknownProduct;
    }
    match answer.ok::<Stock>(Role::Inventory) {
        Ok(stock) => StockReply::Pieces(stock.available),
        Err(_) => StockReply::Missing(Reason::Failed),
    }
}

fn why(error: &CallError) -> Reason {
    match error {
        CallError::Open(_) => Reason::BreakerOpen,
        CallError::Shed(_) | CallError::Bulkhead(_) => Reason::Shed,
        CallError::Deadline | CallError::Transport(_, "timeout") => Reason::Timeout,
        CallError::Transport(..) | CallError::NoAddress(_) => Reason::Unreachable,
        _ => Reason::Failed,
    }
}

/// What the page shows, from what was heard at `now_ms` and what the view has.
pub fn shown(reply: StockReply, now_ms: i64, view: Option<Availability>) -> Option<Availability> {
    match reply {
        StockReply::Pieces(pieces) => Some(Availability {
            band: Band::of(pieces),
            pieces: Some(pieces),
            source: Source::Live,
            as_of_ms: now_ms,
        }),
        StockReply::UnknownProduct => None,
        StockReply::Missing(_) => view,
    }
}

/// What the view has of a product with which inventory was at `available` pieces.
pub fn viewed(available: i64, as_of_ms: i64) -> Availability {
    Availability {
        band: Band::of(available),
        pieces: None,
        source: Source::View,
        as_of_ms,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Result<Answer, CallError> {
        Ok(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.into(),
        })
    }

    #[test]
    fn an_answer_is_shown_as_it_is_whatever_the_view_says() {
        let reply = read_reply(answer(200, r#"{"product_id": "p-00001", "available": 3}"#));
        assert_eq!(reply, StockReply::Pieces(3));
        let live = shown(reply, 77, Some(viewed(500, 1))).unwrap();
        assert_eq!(
            (live.band, live.pieces, live.source, live.as_of_ms),
            (Band::FewLeft, Some(3), Source::Live, 77)
        );
    }

    #[test]
    fn what_inventory_does_not_know_cannot_be_had() {
        let reply = read_reply(answer(404, "{}"));
        assert_eq!(reply, StockReply::UnknownProduct);
        assert_eq!(shown(reply, 77, Some(viewed(500, 1))), None);
    }

    #[test]
    fn without_an_answer_the_view_has_the_word_and_shows_its_age() {
        let peer = Role::Inventory;
        for (called, reason) in [
            (Err(CallError::Transport(peer, "timeout")), Reason::Timeout),
            (Err(CallError::Deadline), Reason::Timeout),
            (
                Err(CallError::Transport(peer, "connect")),
                Reason::Unreachable,
            ),
            (Err(CallError::NoAddress(peer)), Reason::Unreachable),
            (Err(CallError::Open(peer)), Reason::BreakerOpen),
            (Err(CallError::Shed(peer)), Reason::Shed),
            (answer(500, "{}"), Reason::Failed),
            (answer(200, "nonsense"), Reason::Failed),
        ] {
            let reply = read_reply(called);
            assert_eq!(reply, StockReply::Missing(reason));
            assert_eq!(shown(reply, 77, Some(viewed(0, 1))), Some(viewed(0, 1)));
            assert_eq!(shown(reply, 77, None), None);
        }
    }

    #[test]
    fn the_view_has_a_word_and_no_figure() {
        let view = viewed(500, 1);
        assert_eq!((view.band, view.pieces), (Band::InStock, None));
    }
}
