//! The kinds of requests that steps consist of.

/// One request of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    FrontPage,
    Department(Sort),
    Search,
    Product,
    PutItem,
    ShowCart,
    Account,
    PlaceOrder,
    /// The newest orders, with their maximum number.
    ListOrders(u32),
    ShowOrder,
    SetPrice,
    CreateUser,
    LogIn,
    LogInAdmin,
}

/// The sort order of a list of products.
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
