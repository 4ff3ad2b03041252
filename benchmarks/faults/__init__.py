"""What commands do when something goes wrong at any moment, measured; see docs/reliability.md."""
