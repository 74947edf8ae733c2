"""What draws for a person: charts, HTML, Markdown."""
