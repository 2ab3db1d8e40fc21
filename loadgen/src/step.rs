//! The steps of a shopper: the fourteen web interactions of TPC-W, login and registration.

/// The names of all steps in scenarios, records and dashboards, in the order of [`Step::ALL`].
pub const STEPS: &[&str] = &[
    "home",
    "new_products",
    "best_sellers",
    "product_detail",
    "search_request",
    "search_results",
    "shopping_cart",
    "customer_registration",
    "buy_request",
    "buy_confirm",
    "order_inquiry",
    "order_display",
    "admin_request",
    "admin_confirm",
    "login",
    "register",
];

/// One step of a shopper: the unit that is timed and counted. It takes one to three HTTP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The front page: the five best-selling products.
    Home,
    /// The newest products of a department.
    NewProducts,
    /// The best-selling products of a department.
    BestSellers,
    /// A product's page, with its availability.
    ProductDetail,
    /// The search form, which lists the best-selling products too.
    SearchRequest,
    /// The hits of a search.
    SearchResults,
    /// A product is put into the cart, and the cart is shown.
    ShoppingCart,
    /// The account page.
    CustomerRegistration,
    /// The cart, shown before buying.
    BuyRequest,
    /// The order.
    BuyConfirm,
    /// The list of the shopper's orders.
    OrderInquiry,
    /// One of the shopper's orders.
    OrderDisplay,
    /// A product's page, before its price is changed.
    AdminRequest,
    /// A price change by an administrator.
    AdminConfirm,
    /// A login, right before the first step that needs an account.
    Login,
    /// A new customer's registration and first login.
    Register,
}

impl Step {
    /// Every step.
    pub const ALL: [Step; 16] = [
        Step::Home,
        Step::NewProducts,
        Step::BestSellers,
        Step::ProductDetail,
        Step::SearchRequest,
        Step::SearchResults,
        Step::ShoppingCart,
        Step::CustomerRegistration,
        Step::BuyRequest,
        Step::BuyConfirm,
        Step::OrderInquiry,
        Step::OrderDisplay,
        Step::AdminRequest,
        Step::AdminConfirm,
        Step::Login,
        Step::Register,
    ];

    /// How many of [`Step::ALL`], from the first, a mix can name. The generator adds the others where needed.
    pub const IN_MIXES: usize = 14;

    /// Its name.
    pub fn name(self) -> &'static str {
        STEPS[self as usize]
    }

    /// The step with this name, if a mix can name it.
    pub fn of_mix(name: &str) -> Option<Step> {
        Self::ALL[..Self::IN_MIXES]
            .iter()
            .copied()
            .find(|s| s.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_steps_have_the_same_order() {
        assert_eq!(STEPS.len(), Step::ALL.len());
        for (i, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, i);
        }
        assert_eq!(Step::BuyConfirm.name(), "buy_confirm");
        assert_eq!(Step::Register.name(), "register");
        assert_eq!(Step::of_mix("order_display"), Some(Step::OrderDisplay));
        assert_eq!(Step::of_mix("login"), None);
    }
}
