//! Reading a metrics page.

/// The value of the only series of a page that has this name and these labels, among others.
///
/// # Panics
/// There is no such series, or there are several.
pub fn metric(page: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
    let mut lines = page.lines().filter(|line| {
        let series = line.strip_prefix(name);
        series.is_some_and(|s| s.starts_with('{')) && labels.iter().all(|l| line.contains(l))
    });
    let line = lines
        .next()
        .unwrap_or_else(|| panic!("no {name} with {labels:?} in:\n{page}"));
    assert_eq!(lines.next(), None, "more than one {name} with {labels:?}");
    // An exemplar follows the value.
    let value = line.split(" # ").next().unwrap();
    value.rsplit(' ').next().unwrap().parse().unwrap()
}
