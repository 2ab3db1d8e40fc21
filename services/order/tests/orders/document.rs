//! What the service says of itself.

use shop_testkit::check_document;

use crate::world::Shop;

#[tokio::test]
async fn the_document_says_what_the_router_does() {
    check_document(&Shop::open().await.api, "order").await;
}
