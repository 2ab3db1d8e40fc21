//! All mistakes of a file are reported at once, each with its position.

use syntax::{Document, Map, units};

fn read(text: &str) -> Result<(), syntax::Mistakes> {
    let doc = Document::parse("x.yaml", text)?;
    if let Some(mut root) = doc.root().map() {
        root.required("name", |n| n.text());
        root.optional("wait", units::duration);
        root.optional("items", |n| {
            for item in n.list()? {
                let mut m: Map<'_> = item.map()?;
                m.required("kind", |n| n.one_of(&["latency", "kill"]));
                m.finish();
            }
            Some(())
        });
        root.finish();
    }
    doc.finish()
}

#[test]
fn all_mistakes_come_at_once_with_line_and_column() {
    let text = "wait: 3\nitems:\n  - kind: latnecy\n  - { kind: kill, colour: red }\nnmae: x\n";
    let err = read(text).unwrap_err();
    let lines: Vec<String> = err.to_string().lines().map(str::to_owned).collect();
    assert_eq!(
        lines,
        [
            "x.yaml:1:1: `name` is missing",
            "x.yaml:1:7: expected a length of time such as 300ms, 5s or 2m, found `3`",
            "x.yaml:3:11: unknown `latnecy`; did you mean `latency`?",
            "x.yaml:4:19: unknown key `colour`; expected one of: kind",
            "x.yaml:5:1: unknown key `nmae`; did you mean `name`?",
        ]
    );
}

#[test]
fn broken_yaml_and_duplicate_keys_name_their_line() {
    let broken = Document::parse("b.yaml", "a: [1, 2\nb: 3\n").err().unwrap();
    assert_eq!(broken.list.len(), 1);
    assert!(broken.list[0].line >= 1);
    let twice = Document::parse("d.yaml", "a: 1\nb: 2\na: 3\n")
        .err()
        .unwrap();
    assert_eq!(twice.list[0].line, 3, "{twice}");
}

#[test]
fn a_correct_file_has_no_mistakes() {
    read("name: x\nwait: 3s\nitems: [{ kind: kill }]\n").unwrap();
}
