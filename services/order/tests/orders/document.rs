//! What the service says of itself.

use shop_testkit::check_document;

use crate::world::Shop;

#[tokio::test]
async fn the_document_matches_the_router() {
    check_document(&Shop::open().await.api, "order").await;
}
