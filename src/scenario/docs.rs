//! Tests that the examples in the documentation are valid scenarios.

use super::Scenario;

const SCHEDULES: &str = include_str!("../../docs/schedules.md");

/// The part of a scenario that the examples leave out.
const REST: &str = "\
name: example
shop: { replicas: { order: 2, product: 2 } }
load:
  phases:
    - { name: steady, for: 60s, arrivals: 10/s }
";

#[test]
fn every_example_in_schedules_md_is_valid() {
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
