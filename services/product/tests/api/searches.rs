//! Finding what is looked for.

use std::cmp::Reverse;

use axum::http::StatusCode;
use shop_contract::product::Product;

use crate::shop::Shop;

/// The expected result of a search: every title of the catalogue is compared.
async fn expected(shop: &Shop, words: &[&str]) -> Vec<Product> {
    let mut all = shop.all("limit=100").await;
    all.retain(|p| {
        let text = format!("{} {}", p.title, p.category).to_lowercase();
        words
            .iter()
            .all(|w| text.split(' ').any(|t| t.starts_with(w)))
    });
    all.sort_by_key(|p| Reverse((p.sold, p.id.clone())));
    all.truncate(20);
    all
}

#[tokio::test]
async fn every_word_must_be_found_and_the_best_selling_come_first() {
    let shop = Shop::open().await;
    for words in [
        &["steel"][..],
        &["kitchen"],
        &["steel", "kitchen"],
        &["puzzle"],
    ] {
        let expected = expected(&shop, words).await;
        assert!(!expected.is_empty(), "{words:?} tells nothing here");
        assert_eq!(shop.found(&words.join("+")).await, expected, "{words:?}");
    }
}

#[tokio::test]
async fn a_product_is_found_by_its_whole_title_however_it_is_written() {
    let shop = Shop::open().await;
    let product = shop.product("p-00001").await;
    let title = product.title.to_uppercase().replace(' ', "%20-%20");
    assert!(shop.found(&title).await.contains(&product));
}

#[tokio::test]
async fn the_beginning_of_a_word_is_enough() {
    let shop = Shop::open().await;
    let expected = expected(&shop, &["stee"]).await;
    assert!(expected.iter().any(|p| p.title.contains("Steel")));
    assert_eq!(shop.found("stee").await, expected);
    assert_eq!(shop.found("teel").await, []);
}

#[tokio::test]
async fn at_most_twenty_are_found() {
    let shop = Shop::open().await;
    assert_eq!(shop.found("c").await.len(), 20);
}

#[tokio::test]
async fn a_search_without_a_word_is_refused() {
    let shop = Shop::open().await;
    for (path, expected) in [
        ("/products/search", StatusCode::BAD_REQUEST),
        ("/products/search?q=", StatusCode::UNPROCESSABLE_ENTITY),
        (
            "/products/search?q=%25_%27",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "/products/search?q=a+b+c+d+e+f+g+h+i",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        assert_eq!(shop.get(path).await.0, expected, "{path}");
    }
}
