//! The service's OpenAPI document.

use shop_testkit::check_document;

use crate::shop::Shop;

#[tokio::test]
async fn the_document_matches_the_router() {
    check_document(&Shop::open().await.api, "cart").await;
}
