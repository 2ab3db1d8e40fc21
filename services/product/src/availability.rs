//! A product's availability, pure: what a page shows for inventory's reply, or without one.
//!
//! A page is worth more than the stock on it. Whatever is wrong with inventory, the page is served, with the stock of
//! the view, and names the view as its source.

use axum::http::StatusCode;
use shop_contract::Role;
use shop_contract::inventory::{Band, Stock};
use shop_contract::product::{Availability, Source};
use shop_kit::client::{Answer, CallError};

/// What inventory replied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockReply {
    /// This many pieces can be reserved.
    Pieces(i64),
    /// It has no such product, so none can be reserved.
    UnknownProduct,
    /// No usable reply.
    Missing(Reason),
}

/// Why an answer is incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Inventory took longer than a page waits.
    Timeout,
    /// It cannot be reached.
    Unreachable,
    /// Its breaker is open, and it was not asked.
    BreakerOpen,
    /// It is overloaded.
    Shed,
    /// Its answer is unusable.
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

    /// Its metric label.
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
    /// Why the pieces are missing, if they are.
    pub fn missing(&self) -> Option<Reason> {
        match self {
            Self::Missing(reason) => Some(*reason),
            Self::Pieces(_) | Self::UnknownProduct => None,
        }
    }
}

/// Reads the result of a call.
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

/// The availability that a page shows, from inventory's reply at `now_ms` and the view.
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

/// The availability in the view, for this many available pieces.
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
    fn the_live_stock_goes_before_the_view() {
        let reply = read_reply(answer(200, r#"{"product_id": "p-00001", "available": 3}"#));
        assert_eq!(reply, StockReply::Pieces(3));
        let live = shown(reply, 77, Some(viewed(500, 1))).unwrap();
        assert_eq!(
            (live.band, live.pieces, live.source, live.as_of_ms),
            (Band::FewLeft, Some(3), Source::Live, 77)
        );
    }

    #[test]
    fn a_product_unknown_to_inventory_is_unavailable() {
        let reply = read_reply(answer(404, "{}"));
        assert_eq!(reply, StockReply::UnknownProduct);
        assert_eq!(shown(reply, 77, Some(viewed(500, 1))), None);
    }

    #[test]
    fn without_a_reply_the_view_is_shown_with_its_age() {
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
    fn the_view_has_a_band_and_no_pieces() {
        let view = viewed(500, 1);
        assert_eq!((view.band, view.pieces), (Band::InStock, None));
    }
}
