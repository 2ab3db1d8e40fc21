//! The examples of the pages are scenarios.

use super::Scenario;

const SCHEDULES: &str = include_str!("../../docs/schedules.md");

/// What the examples leave out.
const REST: &str = "\
name: example
shop: { replicas: { order: 2, product: 2 } }
load:
  phases:
    - { name: steady, for: 60s, arrivals: 10/s }
";

#[test]
fn every_example_of_the_page_on_schedules_is_read() {
    let mut examples = 0;
    for block in SCHEDULES.split("```yaml\n").skip(1) {
        let (example, _) = block.split_once("```").unwrap();
        let text = format!("{REST}{example}");
        let read = Scenario::parse("docs/schedules.md", &text, None);
        let read = read.unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert!(
            !read.faults.is_empty() || !read.abort.is_empty(),
            "{example}"
        );
        examples += 1;
    }
    assert_eq!(examples, 5);
}
