//! Flame graphs.

use inferno::flamegraph::{self, Options, TextTruncateDirection};

/// An SVG of folded stacks, `outer;inner 17` a line, with times in nanoseconds. The message of an error if that can't be done.
pub fn graph(folded: &str, title: &str, subtitle: &str) -> Result<String, String> {
    let mut options = Options::default();
    options.title = title.to_string();
    options.subtitle = (!subtitle.is_empty()).then(|| subtitle.to_string());
    options.count_name = "ns".to_string();
    options.name_type = "Function:".to_string();
    options.text_truncate_direction = TextTruncateDirection::Right;
    // The same function has the same colour in every picture.
    options.hash = true;
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, folded.lines(), &mut svg).map_err(|error| error.to_string())?;
    String::from_utf8(svg).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::graph;

    #[test]
    fn a_graph() {
        let svg = graph("app.py:1;mod.f 100\napp.py:1;mod.f;HPy_Add 300\n", "title", "").unwrap();
        assert!(svg.contains("<svg") && svg.contains("HPy_Add") && svg.contains("title"));
    }

    #[test]
    fn nothing_to_draw() {
        assert!(graph("", "title", "").is_err());
    }
}
