//! The pages that describe what the code defines.

use watchtower_core::tables::TABLES;

#[test]
fn every_table_and_column_is_documented() {
    let page = std::fs::read_to_string(super::root().join("docs/tables.md")).unwrap();
    for table in TABLES {
        let heading = format!("### `{}`\n", table.name);
        let start = page.find(&heading).unwrap_or_else(|| panic!("docs/tables.md has no {heading:?}"));
        let section = &page[start + heading.len()..];
        let section = &section[..section.find("\n### ").unwrap_or(section.len())];
        for column in table.columns {
            let row = format!("| `{}` |", column.name);
            assert!(section.contains(&row), "docs/tables.md, {}: no row {row:?}", table.name);
        }
    }
}
